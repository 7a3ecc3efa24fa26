"""Packages that do not say what they need: their own build is asked, in a sandbox, and what it says is locked."""

from __future__ import annotations

import hashlib
import io
import shutil
import subprocess
import tarfile
import textwrap
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from jupyter_containers.build import asking
from jupyter_containers.build.ensure import ensure_built
from jupyter_containers.build.locking import make_lock
from jupyter_containers.errors import BuildError, ResolutionError
from jupyter_containers.lock.file import read_lock
from jupyter_containers.lock.settings import Settings
from jupyter_containers.paths import Paths
from jupyter_containers.spec.load import load_spec

Project = Callable[..., Path]
Run = Callable[..., str]
pytestmark = [pytest.mark.network, pytest.mark.slow, pytest.mark.usefixtures("small_environment")]

KERNEL = '[kernel]\nargv = ["/bin/sh", "{connection_file}"]\n'
SETUPTOOLS = '[build-system]\nrequires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"\n'
DYNAMIC = f"""{SETUPTOOLS}
[project]
name = "thing"
dynamic = ["version", "dependencies"]
[tool.setuptools.dynamic]
version = {{ attr = "thing.__version__" }}
dependencies = {{ file = "needs.txt" }}
"""
SETUP = """
import os, socket
from setuptools import setup
assert os.getuid() == 0 and not os.path.exists({host!r}), "on the host"
try:
    socket.create_connection(("127.0.0.1", {port}), 1)
except OSError:
    setup(name="thing", version="1.5", py_modules=["thing"], install_requires=["six"])
"""


def package(folder: Path, **files: str) -> Path:
    folder.mkdir(parents=True)
    for name, text in {"needs.txt": "six\n", "thing.py": '__version__ = "1.5"\n', **files}.items():
        (folder / name).write_text(text)
    return folder


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder, and the address at which its files are served."""
    folder = tmp_path / "served"
    folder.mkdir()

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield folder, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def check(shared_home: Paths, run: Run) -> Callable[[Path], None]:
    """Build what is in a folder, and see that ``thing`` is there with what it needs."""

    def build(folder: Path) -> None:
        built = ensure_built(folder, paths=shared_home)
        code = "import six, thing; print(thing.__version__)"
        assert run(built.image, shared_home, "/opt/venv/bin/python", "-c", code) == "1.5\n"
        assert {"six", "thing"} <= {
            item["name"] for item in read_lock(built.loaded.lock_file).python.pylock["packages"]
        }

    return build


@pytest.mark.parametrize("kind", ["dynamic", "setup.py"])
def test_a_folder(kind, project: Project, check, served) -> None:
    folder = project(f"asked-{kind[:5]}", f'[packages]\npip = ["./thing"]\n{KERNEL}')
    if kind == "dynamic":
        package(folder / "thing", **{"pyproject.toml": DYNAMIC})
    else:  # its code sees neither the host's files nor its services
        port = int(served[1].rpartition(":")[2])
        package(folder / "thing", **{"setup.py": SETUP.format(host=str(folder), port=port)})
    check(folder)


def test_a_source_archive_of_the_index(project: Project, check, served) -> None:
    place, address = served
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as archive:
        for name, text in {
            "pyproject.toml": DYNAMIC, "needs.txt": "six\n", "thing.py": '__version__ = "1.5"\n',
            "PKG-INFO": "Metadata-Version: 2.2\nName: thing\nVersion: 1.5\nDynamic: Requires-Dist\n",
        }.items():  # fmt: skip
            member = tarfile.TarInfo(f"thing-1.5/{name}")
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode()))
    digest = hashlib.sha256(content.getvalue()).hexdigest()
    (place / "thing-1.5.tar.gz").write_bytes(content.getvalue())
    (place / "simple/thing").mkdir(parents=True)
    link = f'<a href="/thing-1.5.tar.gz#sha256={digest}">thing-1.5.tar.gz</a>'
    (place / "simple/thing/index.html").write_text(f"<!DOCTYPE html><html><body>{link}</body></html>")
    folder = project("asked-sdist", f'[packages]\npip = ["thing"]\nextra-index-urls = ["{address}/simple"]\n{KERNEL}')
    check(folder)


@pytest.mark.parametrize("place", ["main", "v1", ""])
def test_a_repository(place, project: Project, check, served, tmp_path: Path) -> None:
    if shutil.which("git") is None:
        pytest.skip("needs git")
    source = package(tmp_path / "repository/sub", **{"pyproject.toml": DYNAMIC}).parent
    git = ["git", "-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "init.defaultBranch=main"]
    hook = source / "hooks/post-checkout"
    hook.parent.mkdir()
    hook.write_text("#!/bin/sh\nexit 9\n")  # a file of the repository, and nothing that git runs
    hook.chmod(0o755)
    words = (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "one"], ["tag", "v1"])
    for arguments in words:
        subprocess.run([*git, *arguments], cwd=source, check=True)
    bare = served[0] / "thing.git"
    subprocess.run([*git, "clone", "-q", "--bare", str(source), str(bare)], check=True)
    subprocess.run([*git, "update-server-info"], cwd=bare, check=True)
    revision = f"@{place}" if place else ""
    line = f"thing @ git+{served[1]}/thing.git{revision}#subdirectory=sub"
    folder = project(f"asked-git-{place or 'head'}", f'[packages]\npip = ["{line}"]\n{KERNEL}')
    check(folder)


def test_an_answer_is_kept_and_another_content_is_asked_again(
    project: Project, shared_home: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = project("asked-kept", f'[packages]\npip = ["./thing"]\n{KERNEL}')
    mark = f"# {folder}\n"  # asked by no run before
    package(folder / "thing", **{"pyproject.toml": DYNAMIC + mark})
    asked = []
    run_aside = asking.run_aside

    def run(argv, context, command, **options):
        asked.append(command)
        run_aside(argv, context, command, **options)

    monkeypatch.setattr(asking, "run_aside", run)

    def lock() -> None:
        make_lock(
            load_spec(folder), paths=shared_home, settings=Settings.current(), previous=None,
            progress=lambda what, done, total: None, warn=lambda text: None,
        )  # fmt: skip

    lock()
    lock()
    assert asked == ["ask ./thing what it needs"]
    (folder / "thing/needs.txt").write_text("six\nidna\n")
    lock()
    assert len(asked) == 2


def test_a_build_that_fails_is_told(project: Project, shared_home: Paths) -> None:
    folder = project("asked-fails", f'[packages]\npip = ["./thing"]\n{KERNEL}')
    package(folder / "thing", **{"setup.py": textwrap.dedent("raise SystemExit('no such compiler')")})
    with pytest.raises(BuildError, match="no such compiler") as caught:
        ensure_built(folder, paths=shared_home)
    assert "ask ./thing what it needs" in caught.value.message
    assert caught.value.hint


def test_a_build_that_starts_by_itself_asks_nobody(project: Project, shared_home: Paths) -> None:
    folder = project("asked-automatic", f'[packages]\npip = ["./thing"]\n{KERNEL}')
    package(folder / "thing", **{"pyproject.toml": DYNAMIC})
    with pytest.raises(ResolutionError, match="has dynamic dependencies") as caught:
        make_lock(
            load_spec(folder), paths=shared_home, settings=Settings.current(), previous=None, ask=False,
            progress=lambda what, done, total: None, warn=lambda text: None,
        )  # fmt: skip
    assert "jupyter containers build" in caught.value.hint
