"""root's shared store, read by another user: with a copy, and with an idmapped mount, without one."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import jupyter_containers
from jupyter_containers.environments import Environments
from jupyter_containers.image.check import verify
from jupyter_containers.image.gc import collect
from jupyter_containers.image.model import ExecutionConfig, ImageConfig
from jupyter_containers.image.publishing import open_shared
from jupyter_containers.paths import Paths

USER = 23456
"""An id that nobody has: it owns nothing on this machine."""

pytestmark = [pytest.mark.root, pytest.mark.skipif(os.geteuid() != 0, reason="root shares with another user")]


def _python() -> str:
    """An interpreter that the user may run."""
    for path in (sys.executable, f"/usr/bin/python{sys.version_info[0]}.{sys.version_info[1]}"):
        try:
            done = subprocess.run([path, "-c", ""], user=USER, group=USER, extra_groups=[], check=False)
        except OSError:
            continue
        if done.returncode == 0:
            return path
    pytest.skip("another user can't run this Python")


@pytest.fixture
def shared(busybox: Path) -> Iterator[Path]:
    """A shared store with the image ``busybox``."""
    top = Path(tempfile.mkdtemp(prefix="jc-shared-", dir="/var/tmp"))
    top.chmod(0o755)
    with Environments(Paths(top / "private", top / "run").made()) as environments:
        store = environments.store
        with store.staging() as staging:
            root = staging.upper
            for name in ("bin", "etc", "home/jovyan", "tmp", "opt", "dev", "proc", "run", "sys"):
                (root / name).mkdir(parents=True, exist_ok=True)
            shutil.copy(busybox, root / "bin/busybox")
            for name in ("sh", "cat", "ls", "stat", "touch", "rm", "mv", "sleep"):
                (root / "bin" / name).symlink_to("busybox")
            (root / "tmp").chmod(0o1777)
            (root / "etc/secret").write_text("closed\n")
            (root / "etc/secret").chmod(0o600)
            (root / "opt/file").write_text("from the image\n")
            layer = store.commit_layer(root, created_by="busybox")
        config = ImageConfig(architecture="amd64", config=ExecutionConfig(user="1000:1000"))
        store.tag("busybox", store.put_image(config, [layer]).digest)
        environments.storage.publish(["busybox"], top / "srv")
    yield top / "srv"
    for mount in (top / "srv" / "for").glob("*"):
        subprocess.run(["umount", "-l", str(mount)], check=False)
    shutil.rmtree(top)


@pytest.fixture
def as_user(shared: Path) -> Iterator[Callable[..., subprocess.CompletedProcess[str]]]:
    """Run a command as the user, with a home of their own above the shared store."""
    python = _python()
    home = Path(tempfile.mkdtemp(prefix="jc-user-", dir="/var/tmp"))
    os.chown(home, USER, USER)
    own = str(Path(jupyter_containers.__file__).parent.parent)
    packages = [own, *(path for path in sys.path if "-packages" in path)]
    env = {
        "HOME": str(home), "PATH": os.defpath, "LANG": "C.UTF-8", "PYTHONPATH": ":".join(packages),
        "PYTHONDONTWRITEBYTECODE": "1", "JUPYTER_CONTAINERS_HOME": str(home / "jc"),
        "JUPYTER_CONTAINERS_RUNTIME_DIR": str(home / "run"), "JUPYTER_CONTAINERS_SHARED_STORES": str(shared),
    }  # fmt: skip

    def run(*argv: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [python, "-m", "jupyter_containers", *argv], user=USER, group=USER, extra_groups=[], env=env, cwd=home,
            capture_output=True, text=True, check=False,
        )  # fmt: skip

    run.home = home  # type: ignore[attr-defined]
    yield run
    shutil.rmtree(home)


CHANGE = (
    "touch /home/jovyan/new && cat /opt/file && echo changed >> /opt/file && cat /opt/file && "
    "mv /opt/file /opt/moved && stat -c %u:%g:%a /etc/secret && rm /etc/secret && ls /etc"
)


def size_of(folder: Path) -> int:
    return sum(path.lstat().st_size for path in folder.rglob("*"))


@pytest.mark.parametrize("mounted", [False, True])
def test_a_user_runs_what_root_published(shared, as_user, mounted):
    home = as_user.home / "jc"
    if mounted:
        with Environments(Paths(shared.parent / "private", shared.parent / "run")) as environments:
            environments.storage.mount_for(str(USER), shared)
            environments.storage.mount_for(str(USER), shared)  # once more, after the machine was started
    before = sorted((str(path), path.lstat().st_mtime_ns) for path in (shared / "store").rglob("*"))
    listed = as_user("images")
    assert "busybox:latest" in listed.stdout, listed.stderr
    done = as_user("run", "--rm", "busybox", "sh", "-c", CHANGE)
    assert done.returncode == 0, done.stderr
    # A mount shows modes as they are in the shared store; a copy has those of the image.
    mode = "644" if mounted else "600"
    assert done.stdout.splitlines()[:4] == ["from the image", "from the image", "changed", f"1000:1000:{mode}"]
    assert size_of(home / "store" / "l") < 100_000 if mounted else size_of(home / "store" / "l") > 1_000_000
    assert as_user("verify").stdout == "everything is what it should be\n"
    assert sorted((str(path), path.lstat().st_mtime_ns) for path in (shared / "store").rglob("*")) == before
    kept = as_user("run", "--name", "kept", "busybox", "sh", "-c", "echo mine > /opt/own; rm /opt/file")
    assert kept.returncode == 0, kept.stderr
    committed = as_user("commit", "kept", "mine:1")
    assert committed.returncode == 0, committed.stderr
    assert as_user("run", "--rm", "mine:1", "sh", "-c", "cat /opt/own; ls /opt").stdout == "mine\nown\n"
    saved = as_user("save", "mine:1", "-o", str(as_user.home / "mine.tar"))
    assert saved.returncode == 0, saved.stderr
    refused = as_user("rmi", "busybox")
    assert refused.returncode == 1


@pytest.mark.parametrize("mounted", [False, True])
def test_what_a_container_uses_is_not_pruned(shared, as_user, mounted):
    administrator = open_shared(shared)
    if mounted:
        with Environments(Paths(shared.parent / "private", shared.parent / "run")) as environments:
            environments.storage.mount_for(str(USER), shared)
    started = as_user("run", "-d", "--name", "long", "busybox", "sleep", "100")
    assert started.returncode == 0, started.stderr
    administrator.remove_image("busybox")
    collected = collect(administrator).items
    # A copy needs it no more.
    assert (collected == ()) is mounted
    assert as_user("exec", "long", "cat", "/opt/file").stdout == "from the image\n"
    as_user("rm", "-f", "long")
    collect(administrator)
    assert list((shared / "store" / "l").iterdir()) == []
    assert verify(administrator) == ()


def test_only_root_mounts(as_user, shared):
    done = as_user("publish", "--to", str(shared), "--for", str(USER))
    assert done.returncode == 1
    assert "root" in done.stderr
    done = as_user("publish", "busybox", "--to", str(shared))
    assert done.returncode != 0
    assert "Traceback" not in done.stderr


def test_root_reads_a_shared_store_of_roots(shared, monkeypatch):
    monkeypatch.setenv("JUPYTER_CONTAINERS_SHARED_STORES", str(shared))
    with Environments(Paths(shared.parent / "second", shared.parent / "run").made()) as environments:
        container = environments.create("busybox", ["sh", "-c", CHANGE], user="1000:1000", die_with_parent=True)
        container.start()
        assert container.wait(30) == 0, container.logs()
        assert container.logs().startswith("from the image\nfrom the image\nchanged\n1000:1000:644\n")
        container.remove()
