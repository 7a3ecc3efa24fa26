"""Files in and out of containers, and images made of them."""

from __future__ import annotations

import copy
import io
import json
import os
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from jupyter_containers.errors import ContainerError, InputError, NotFoundError, UntrustedContentError
from jupyter_containers.files import Files
from jupyter_containers.image.check import verify
from jupyter_containers.image.gc import collect
from jupyter_containers.runtime.base import BindMount
from jupyter_containers.runtime.freezing import frozen
from jupyter_containers.shipping import Shipping

COUNT = "i=0; while true; do i=$((i+1)); echo $i > a; echo $i > b; done"


@pytest.fixture
def house(house):
    """Whose containers run as their ordinary user, where nothing else is said."""
    own = copy.copy(house)
    own.create = lambda *argv, **fields: house.create(*argv, **{"user": "jovyan", **fields})
    return own


@pytest.fixture
def files(house) -> Files:
    shipping = Shipping(house.paths, house.store)
    return Files(house.paths, house.store, shipping, container=house.runtime.find)


@pytest.fixture(params=["running", "at rest"])
def container(request, house) -> Iterator:
    """One that has made ~/made, ~/sub/inner, links out of itself, and removed /etc/remove-me."""
    script = (
        "cd; echo made > made; mkdir sub; echo inner > sub/inner; ln -s /etc/shadow out; ln -s / root; "
        "ln -s sub to-sub; ln -s ../../../../../../../../etc up; rm /etc/remove-me; touch ready;"
    )
    made = house.start(script + ("sleep 100" if request.param == "running" else "true"))
    if request.param == "running":
        house.eventually(lambda: any(change.path.endswith("/ready") for change in made.changes()))
    else:
        made.wait(20)
    yield made
    made.remove(force=True)


class TestCommit:
    def test_only_what_changed_becomes_the_layer(self, house, files):
        script = (
            "cd /etc; rm remove-me; rmdir /opt; echo file > /opt; chmod 700 /home; cd; echo x > new; chmod 111 new; "
            "ln new twin; mkdir -p deep/er; mkfifo pipe; echo t > /tmp/left; "
            "echo 1 >> /etc/made"
        )
        container = house.start(script, user="root")
        container.wait(20)
        told = []
        made = files.commit(
            container.id, "made:1", message="a comment", author="someone", changes=['CMD ["sh"]', "ENV A=b"],
            progress=lambda *progress: told.append(progress),
        )  # fmt: skip
        assert ("copying files", made.size, 0) in told
        image = house.store.image("made:1")
        container.remove()
        assert made.image == image.digest
        assert image.config.execution.environment["A"] == "b"
        assert image.config.execution.cmd == ("sh",)
        entry = image.config.history[-1]
        assert (entry.comment, entry.author, entry.empty_layer) == ("a comment", "someone", False)
        assert [layer.diff_id for layer in image.layers] == [
            house.store.image(house.image).layers[0].diff_id,
            made.layer,
        ]
        tree = image.layers[-1].path
        names = {str(path.relative_to(tree)) for path in tree.rglob("*")}
        assert names == {
            "etc", "etc/remove-me", "opt", "etc/made", "home", "root", "root/new", "root/twin", "root/deep",
            "root/deep/er", "root/pipe",
        }  # fmt: skip
        facts = house.store.layer_record(made.layer).facts
        assert facts.modes["root/new"] == 0o111
        assert facts.links == {"root/twin": "root/new"}
        assert (tree / "home").stat().st_mode & 0o777 == 0o700
        assert verify(house.store) == ()
        code, text = house.run(
            "ls -d /etc/remove-me; ls -ld /opt; cat /etc/made; ls /tmp; stat -c %h /root/new", image=made.image,
            user="root",
        )  # fmt: skip
        assert code == 0
        assert "No such file" in text
        assert "-rw-r--r--" in text
        assert text.endswith("1\n2\n")
        house.store.remove_image("made:1")

    def test_a_folder_that_was_made_anew_hides_the_old_one(self, house, files):
        first = house.start("mkdir -p d/old d/both; echo 1 > d/both/x; echo 1 > d/y", cwd="/home/jovyan")
        first.wait(20)
        files.commit(first.id, "folder:1")
        second = house.start(
            "rm -r d; mkdir -p d/both; echo 2 > d/z", cwd="/home/jovyan", image=house.store.image("folder:1").digest
        )
        second.wait(20)
        made = files.commit(second.id, "folder:2")
        assert house.run("cd /home/jovyan; find d | sort", image=made.image) == (0, "d\nd/both\nd/z\n")
        for each in (first, second):
            each.remove()

    def test_what_was_opened_and_not_changed_is_not_taken(self, house, files):
        container = house.start("cd /etc; true >> hosts2; true >> remove-me; chmod 600 remove-me; chmod 644 remove-me")
        container.wait(20)
        made = files.commit(container.id, "same:1")
        paths = {path.name for path in house.store.image("same:1").layers[-1].path.rglob("*")}
        assert "hosts2" in paths
        assert "remove-me" not in paths
        assert made.entries
        container.remove()

    def test_nothing_changed_is_no_layer(self, house, files):
        container = house.create("true")
        made = files.commit(container.id, "same:2", message="nothing")
        assert made.layer == ""
        image = house.store.image("same:2")
        assert len(image.layers) == 1
        assert image.config.history[-1].empty_layer
        container.remove()

    def test_a_running_one_is_caught_between_two_steps_and_goes_on(self, house, files):
        container = house.start(COUNT, cwd="/home/jovyan")
        house.eventually(lambda: len(container.changes()) > 2)
        for number in range(5):
            made = files.commit(container.id, f"count:{number}")
            tree = next(layer.path for layer in house.store.image(made.image).layers if layer.diff_id == made.layer)
            a, b = ((tree / "home/jovyan" / name).read_text() for name in "ab")
            # `echo > a` empties and then writes: whatever the moment, b is not ahead of a.
            assert not a or not b or int(a) - int(b) in (0, 1)
        before = max(map(int, filter(None, (a, b, "0"))))
        with container.open_root() as root, root.enter("home") as home, home.enter("jovyan") as own:

            def now() -> int:
                with os.fdopen(own.open("a")) as file:
                    return int(file.read() or 0)

            house.eventually(lambda: now() > before)
        container.remove(force=True)

    def test_a_killed_commit_lets_the_container_go_on(self, house, tmp_path):
        container = house.start("while true; do echo x >> /home/jovyan/log; sleep 0.01; done")
        state = container.state()
        program = (
            "import os, signal, sys, pathlib\n"
            "from jupyter_containers.runtime.freezing import frozen\n"
            "with frozen(pathlib.Path(sys.argv[1]), int(sys.argv[2]), name='x'):\n"
            "    os.kill(os.getpid(), signal.SIGKILL)\n"
        )
        folder = house.paths.containers / container.id
        done = subprocess.run([sys.executable, "-c", program, str(folder), str(state.pid)], env=house.env, check=False)
        assert done.returncode == -signal.SIGKILL
        log = folder / "upper/home/jovyan/log"
        size = log.stat().st_size
        house.eventually(lambda: log.stat().st_size > size)
        container.remove(force=True)

    @pytest.mark.parametrize("with_group", [True, False])
    def test_it_stands_still(self, house, monkeypatch, with_group):
        container = house.start("(while true; do echo x >> /home/jovyan/log; done) & wait")
        folder = house.paths.containers / container.id
        log = folder / "upper/home/jovyan/log"
        house.eventually(log.exists)
        if not with_group:
            monkeypatch.setattr("jupyter_containers.runtime.freezing.find_group", lambda path: None)
        with frozen(folder, container.state().pid, name="x"):
            size = log.stat().st_size
            time.sleep(0.1)
            assert log.stat().st_size == size
        house.eventually(lambda: log.stat().st_size > size)
        container.remove(force=True)

    def test_a_killed_commit_leaves_nothing(self, house):
        container = house.start("dd if=/dev/zero of=/home/jovyan/big bs=1M count=64 2>/dev/null; sleep 100")
        big = house.paths.containers / container.id / "upper/home/jovyan/big"
        house.eventually(lambda: big.exists() and big.stat().st_size == 64 << 20)
        collect(house.store)
        before = sorted(path.name for path in house.store.folder("l").iterdir())
        program = [sys.executable, "-m", "jupyter_containers", "commit", container.id, "killed:1"]
        for pause in (0.15, 0.25, 0.35, 0.45):
            process = subprocess.Popen(program, env=house.env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            time.sleep(pause)
            process.kill()
            process.wait()
            collect(house.store)
            assert verify(house.store) == ()
            assert list(house.store.folder("tmp").iterdir()) == []
            if "killed:1" not in house.store.references():
                assert sorted(path.name for path in house.store.folder("l").iterdir()) == before
        assert container.state().status == "running"
        container.remove(force=True)

    def test_mounts_and_generated_files_are_not_taken(self, house, files, tmp_path):
        (tmp_path / "secret").write_text("host")
        container = house.start(
            "cat /mnt/data/secret; echo x > /mnt/own", mounts=(BindMount(source=str(tmp_path), target="/mnt/data"),)
        )
        container.wait(20)
        made = files.commit(container.id, "mounts:1")
        tree = house.store.image(made.image).layers[-1].path
        assert {path.name for path in tree.rglob("*")} == {"mnt", "own"}
        container.remove()

    def test_accounts_that_root_made_are_taken(self, house, files):
        container = house.start("echo me:x:5:5::/:/bin/sh >> /etc/passwd", user="root")
        container.wait(20)
        assert ("C", "/etc/passwd") in {(change.kind, change.path) for change in container.changes()}
        made = files.commit(container.id, "accounts:1")
        assert (house.store.image(made.image).layers[-1].path / "etc/passwd").read_text().count("\n") == 2
        container.remove()

    def test_refused(self, house, files):
        container = house.create("true")
        for bad in ("Bad Name", "x@sha256:" + "0" * 64):
            with pytest.raises(InputError):
                files.commit(container.id, bad)
        with pytest.raises(InputError, match="RUN"):
            files.commit(container.id, "x:1", changes=["RUN true"])
        with pytest.raises(NotFoundError):
            files.commit("nothing-here", "x:1")
        assert "x:1" not in house.store.references()
        container.remove()


class TestCopy:
    def test_in_and_out(self, files, container, tmp_path):
        (tmp_path / "in/deep").mkdir(parents=True)
        (tmp_path / "in/deep/file").write_text("content")
        (tmp_path / "in/deep/file").chmod(0o640)
        os.utime(tmp_path / "in/deep/file", (10**9, 10**9))
        (tmp_path / "in/link").symlink_to("deep/file")
        copied = files.copy(str(tmp_path / "in"), f"{container.id}:/home/jovyan/new")
        assert (copied.files, copied.size) == (4, 7)
        files.copy(str(tmp_path / "in"), f"{container.id}:/home/jovyan/new")
        files.copy(str(tmp_path / "in") + "/.", f"{container.id}:/home/jovyan/sub")
        told = []
        back = files.copy(
            f"{container.id}:/home/jovyan/.", str(tmp_path / "out"), progress=lambda *progress: told.append(progress)
        )
        assert told[-1] == ("copying files", back.size, 0)
        names = {str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*")}
        assert names == {
            "made", "ready", "out", "root", "to-sub", "up", "sub", "sub/inner", "sub/deep", "sub/deep/file", "sub/link",
            "new", "new/deep", "new/deep/file", "new/link", "new/in", "new/in/deep", "new/in/deep/file", "new/in/link",
        }  # fmt: skip
        file = (tmp_path / "out/new/deep/file").lstat()
        assert (file.st_mode & 0o7777, file.st_mtime, file.st_uid) == (0o640, 10**9, os.geteuid())
        assert os.readlink(tmp_path / "out/out") == "/etc/shadow"
        if container.state().status != "running":
            return
        code = subprocess.run(
            container.exec_argv(["stat", "-c", "%u %a", "/home/jovyan/new/deep/file"]), capture_output=True, text=True
        )
        assert code.stdout == "1000 640\n"

    def test_names(self, files, container, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        Path("file").write_text("1")
        files.copy("file", f"{container.id}:/home/jovyan/")
        files.copy("file", f"{container.id}:/home/jovyan/made")  # replaces
        files.copy("./file", f"{container.id}:home/jovyan/to-sub/")  # a link inside is followed
        files.copy(f"{container.id}:/home/jovyan/made", "taken")
        files.copy(f"{container.id}:/home/jovyan/sub", ".")
        assert Path("taken").read_text() == "1"
        assert sorted(path.name for path in Path("sub").iterdir()) == ["file", "inner"]
        files.copy(f"{container.id}:/home/jovyan/to-sub", "link")
        assert os.readlink("link") == "sub"
        files.copy(f"{container.id}:/home/jovyan/to-sub", "followed", follow=True)
        assert Path("followed/inner").read_text() == "inner\n"

    def test_links_never_lead_out(self, files, container, tmp_path):
        outside = tmp_path / "outside"
        outside.mkdir()
        for path in ("out", "up/shadow", "up/hostname-of-host", "root/../etc/shadow"):
            with pytest.raises(ContainerError, match="No such file"):
                files.copy(f"{container.id}:/home/jovyan/{path}", str(tmp_path / "x"), follow=True)
        (tmp_path / "file").write_text("mine")
        files.copy(str(tmp_path / "file"), f"{container.id}:/home/jovyan/up/{tmp_path.name}")
        files.copy(f"{container.id}:/etc/{tmp_path.name}", str(tmp_path / "back"))
        assert (tmp_path / "back").read_text() == "mine"
        # A link where the host has a folder of that name: what it leads to is not written to.
        (tmp_path / "target").mkdir()
        (tmp_path / "target/sub").symlink_to(outside)
        with pytest.raises(ContainerError, match="sub"):
            files.copy(f"{container.id}:/home/jovyan/.", str(tmp_path / "target"))
        assert list(outside.iterdir()) == []

    def test_refused(self, files, container, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        Path("file").write_text("1")
        Path("folder").mkdir()
        home = f"{container.id}:/home/jovyan"
        for source, target, cause in (
            ("folder", f"{home}/made", "it is a file"),
            ("file", f"{home}/new/", "no such folder"),
            ("file", f"{home}/nowhere/x", "No such file"),
            ("file/", f"{home}/x", "Not a directory"),
            (f"{home}/nothing", ".", "No such file"),
            (f"{home}/sub", "file", "it is a file"),
            ("file", f"{container.id}:/usr/bin/x", "Read-only"),
        ):
            with pytest.raises(ContainerError, match=cause):
                files.copy(source, target)
        for source, target in (
            ("file", "folder"),
            (home, home),
            (f"{container.id}:/proc/1/environ", "x"),
            ("file", f"{container.id}:"),
        ):
            with pytest.raises(InputError):
                files.copy(source, target)

    def test_streams(self, files, container, monkeypatch, tmp_path):
        out = io.BytesIO()
        monkeypatch.setattr(sys, "stdout", SimpleNamespace(buffer=out, isatty=lambda: False))
        files.copy(f"{container.id}:/home/jovyan/sub", "-")
        out.seek(0)
        with tarfile.open(fileobj=out) as tar:
            assert [member.name for member in tar] == ["sub", "sub/inner"]
        given = io.BytesIO()
        with tarfile.open(fileobj=given, mode="w:gz") as tar:
            for name, content in (("d/e/file", b"1"), ("to-sub/through", b"2"), ("made", b"3")):
                info = tarfile.TarInfo(name)
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
            info = tarfile.TarInfo("hard")
            info.type, info.linkname = tarfile.LNKTYPE, "d/e/file"
            tar.addfile(info)
        given.seek(0)
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=given))
        files.copy("-", f"{container.id}:/home/jovyan")
        files.copy(f"{container.id}:/home/jovyan", str(tmp_path / "home"))
        home = tmp_path / "home"
        assert [(home / name).read_text() for name in ("d/e/file", "sub/through", "made", "hard")] == [
            "1",
            "2",
            "3",
            "1",
        ]
        evil = io.BytesIO()
        with tarfile.open(fileobj=evil, mode="w") as tar:
            tar.addfile(tarfile.TarInfo("../../escape"))
        evil.seek(0)
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=evil))
        with pytest.raises(UntrustedContentError):
            files.copy("-", f"{container.id}:/home/jovyan")

    def test_at_rest_it_starts_with_what_was_copied(self, house, files, tmp_path):
        container = house.create(
            "sh", "-c", "cat /etc/remove-me /opt/new/x; ls -ld /opt; ls /opt/new; test ! -e /etc/hosts/x"
        )
        (tmp_path / "d").mkdir()
        (tmp_path / "d/x").write_text("copied\n")
        files.copy(str(tmp_path / "d"), f"{container.id}:/opt/new")
        files.copy(str(tmp_path / "d/x"), f"{container.id}:/etc/remove-me")
        container.start()
        assert container.wait(20) == 0
        text = container.logs()
        assert text.startswith("copied\ncopied\ndrwxr-xr-x")
        container.remove()

    def test_a_folder_in_place_of_one_that_was_removed_is_empty(self, house, files, tmp_path):
        container = house.start("rm -r /opt /etc/remove-me; mkdir /etc/remove-me; rmdir /etc/remove-me", user="root")
        container.wait(20)
        (tmp_path / "opt").mkdir()
        (tmp_path / "opt/x").touch()
        files.copy(str(tmp_path / "opt"), f"{container.id}:/opt")
        assert ("C", "/opt") in {(change.kind, change.path) for change in container.changes()}
        files.copy(f"{container.id}:/opt", str(tmp_path / "back"))
        assert [path.name for path in (tmp_path / "back").iterdir()] == ["x"]
        container.remove()


class TestExport:
    def test_flat_and_back(self, house, files, container, tmp_path):
        with (tmp_path / "root.tar").open("wb") as stream:
            told = []
            size = files.export(container.id, stream, progress=lambda *progress: told.append(progress))
            assert told[-1] == ("writing files", size, 0)
        assert (tmp_path / "root.tar").stat().st_size == size
        with tarfile.open(tmp_path / "root.tar") as tar:
            members = {member.name: member for member in tar}
        assert "etc/remove-me" not in members
        assert members["home/jovyan/sub/inner"].size == 6
        assert members["home/jovyan/out"].linkname == "/etc/shadow"
        assert {member.uid for member in members.values()} == {0}
        assert not any(name.startswith(("proc/", "dev/")) for name in members)
        made = files.import_root(
            str(tmp_path / "root.tar"), "flat:1", changes=["WORKDIR /home/jovyan", 'CMD ["cat", "made"]']
        )
        image = house.store.image("flat:1")
        assert len(image.layers) == 1
        again = io.BytesIO()
        files.export(container.id, again)
        assert again.getvalue() == (tmp_path / "root.tar").read_bytes()
        assert house.run("cat sub/inner; busybox true", image=made.image, cwd="/home/jovyan") == (0, "inner\n")

    def test_a_snapshot_is_not_held_up_by_its_reader(self, house, files):
        container = house.start(COUNT, cwd="/home/jovyan")
        house.eventually(lambda: len(container.changes()) > 2)
        log = house.paths.containers / container.id / "upper/home/jovyan/a"

        class Slow(io.RawIOBase):
            def write(self, data):
                before = log.read_text()
                house.eventually(lambda: log.read_text() not in (before, ""))
                return len(data)

        files.export(container.id, Slow())
        container.remove(force=True)

    def test_commands(self, house, tmp_path):
        container = house.create("true", name="for-commands")

        def run(*argv: str, **options) -> subprocess.CompletedProcess[str]:
            program = [sys.executable, "-m", "jupyter_containers", *argv]
            return subprocess.run(
                program, env=house.env, capture_output=True, text=True, check=False, cwd=tmp_path, **options
            )

        (tmp_path / "note").write_text("hello")
        assert run("cp", "note", "for-commands:/opt/").returncode == 0
        assert json.loads(run("diff", "--json", "for-commands").stdout)[-1] == {"kind": "A", "path": "/opt/note"}
        made = json.loads(run("commit", "--json", "for-commands", "by-command:1", "-m", "x").stdout)
        assert made["reference"] == "by-command:1"
        assert run("export", "for-commands", "-o", "out.tar").returncode == 0
        assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
        assert run("export", "for-commands", "-o", "no/out.tar").returncode == 2
        assert "sha256:" in run("import", "out.tar", "imported:1").stdout
        failed = run("import", "note", "imported:2")
        assert failed.returncode == 1
        assert "note" in failed.stderr
        assert "Traceback" not in failed.stderr
        container.remove()


@contextmanager
def served(folder: Path) -> Iterator[str]:
    import http.server
    import threading

    handler = type("Handler", (http.server.SimpleHTTPRequestHandler,), {"log_message": lambda *_: None})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), lambda *a: handler(*a, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def test_import_from_the_web(house, files, tmp_path, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "*")
    with tarfile.open(tmp_path / "root.tar.gz", "w:gz") as tar:
        info = tarfile.TarInfo("file")
        info.size = 3
        tar.addfile(info, io.BytesIO(b"abc"))
    (tmp_path / "evil.tar").write_bytes(b"no tar" * 200)
    with served(tmp_path) as address:
        made = files.import_root(f"{address}/root.tar.gz", "web:1", message="from the web", platform="linux/arm64")
        image = house.store.image(made.image)
        assert (image.config.architecture, image.config.history[0].comment) == ("arm64", "from the web")
        assert (image.layers[0].path / "file").read_bytes() == b"abc"
        before = sorted(house.store.folder("images").iterdir())
        with pytest.raises(UntrustedContentError):
            files.import_root(f"{address}/evil.tar", "web:2")
        assert sorted(house.store.folder("images").iterdir()) == before


def test_a_killed_import_leaves_nothing(house, tmp_path):
    with tarfile.open(tmp_path / "root.tar", "w") as tar:
        for number in range(300):
            info = tarfile.TarInfo(f"folder{number % 7}/file{number}")
            info.size = 100_000
            tar.addfile(info, io.BytesIO(os.urandom(100_000)))
    data = (tmp_path / "root.tar").read_bytes()
    collect(house.store)
    before = sorted(path.name for path in house.store.folder("l").iterdir())
    program = [sys.executable, "-m", "jupyter_containers", "import", "-", "killed:2"]
    for part in (0.0, 0.3, 0.9, 1.0):
        process = subprocess.Popen(
            program, env=house.env, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        process.stdin.write(data[: int(len(data) * part)])
        process.stdin.flush()
        if part:
            house.eventually(lambda: list(house.store.folder("tmp").iterdir()))
        process.kill()
        process.communicate()
        collect(house.store)
        assert verify(house.store) == ()
        assert list(house.store.folder("tmp").iterdir()) == []
        if "killed:2" not in house.store.references():
            assert sorted(path.name for path in house.store.folder("l").iterdir()) == before
