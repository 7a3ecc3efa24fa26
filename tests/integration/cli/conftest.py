"""The command line as a person types it, in a home of its own with one small environment that runs."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from jupyter_containers.build.ensure import Built
from jupyter_containers.image.check import verify
from jupyter_containers.image.locks import try_lock
from jupyter_containers.image.saving import save
from jupyter_containers.image.store import Store
from jupyter_containers.image.tree import remove_tree
from jupyter_containers.paths import Paths

COMMAND = [sys.executable, "-m", "jupyter_containers"]
INTERPRETERS = ("Traceback (most recent call last)", "Exception ignored", "Exception in thread")


class Desk:
    """A user's home, with folders to work in and the environment ``steady``."""

    def __init__(self, folder: Path, archive: Path) -> None:
        self.folder = folder
        self.archive = archive
        self.paths = Paths(folder / "home", folder / "run").made()
        self.environment = {
            **os.environ,
            "JUPYTER_CONTAINERS_HOME": str(self.paths.home),
            "JUPYTER_CONTAINERS_RUNTIME_DIR": str(self.paths.runtime),
            "JUPYTER_DATA_DIR": str(folder / "jupyter"),
        }

    @property
    def store(self) -> Store:
        return Store(self.paths.store)

    def write(self, name: str, text: str, **files: str) -> Path:
        """A folder *name* with a spec; what follows ``BASE`` in the text is the archive of the small environment."""
        made = self.folder / "work" / name
        made.mkdir(parents=True, exist_ok=True)
        (made / "jupyter-container.toml").write_text(text.replace("BASE", f"oci-archive:{self.archive}"))
        for file, content in files.items():
            (made / file).write_text(content)
        return made

    def call(self, *argv: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*COMMAND, *map(str, argv)], capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=500,
            env={**self.environment, **environment}, cwd=self.folder,
        )  # fmt: skip

    def refused(self, *argv: str | Path, says: Sequence[str], status: int | None = None, **environment: str) -> str:
        """Run a command that is to fail: with one message that has all of *says* in it and a next step, without a
        traceback, and with nothing lost or left. The message."""
        before = self.holdings()
        done = self.call(*argv, **environment)
        told = done.stderr
        assert done.returncode not in (0, 120) and done.returncode < 125, told
        assert status is None or done.returncode == status, (done.returncode, told)
        assert not any(text in told + done.stdout for text in INTERPRETERS), told
        assert len(re.findall(r"^error: ", told, re.MULTILINE)) == 1, told
        missing = [text for text in says if text not in told]
        assert not missing, f"the message lacks {missing}:\n{told}"
        message = told[told.index("error: ") :]
        assert "\nhint: " in message or re.search(r"^  \S+:\d*.*\. [A-Z`]", message, re.MULTILINE), (
            f"no next step:\n{message}"
        )
        assert self.holdings() == before
        self.check_clean()
        return message

    def holdings(self) -> tuple[object, ...]:
        """What the user has: images, names, environments, containers; not what a later build can go on from."""
        store = self.store
        environments = sorted(path.name for path in self.paths.environments.glob("*.json"))
        # Who removes one takes it out of sight first; what it was is gone a moment later, by a process of its own.
        passing = (".gone-", "reaper.log")
        containers = sorted(path.name for path in self.paths.containers.iterdir() if not path.name.startswith(passing))
        return store.references(), {image.digest for image in store.images()}, environments, containers

    def check_clean(self) -> None:
        """No staging that nobody works in, no lock of a step, no lease, no build that says it is running."""
        left = [path for path in self.store.folder("tmp").iterdir() if _is_left(path)]
        assert left == []
        assert list(self.store.folder("locks").iterdir()) == []
        assert list(self.store.folder("leases").iterdir()) == []
        records = [path.read_text() for path in self.paths.builds.glob("*/build.json")]
        assert not any(re.search(r'"state": "running"', text) for text in records)

    def check_whole(self) -> None:
        """All that is in the store has the hash that it should have, and the environment runs."""
        assert verify(self.store) == ()
        done = self.call("run", "--rm", "steady", "python", "-c", "import six; print(six.__name__)")
        assert (done.returncode, done.stdout) == (0, "six\n"), done.stderr


def _is_left(path: Path) -> bool:
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        return try_lock(handle)
    finally:
        os.close(handle)


@pytest.fixture(scope="session")
def archive(shared_home: Paths, small_environment: Built) -> Iterator[Path]:
    """The small environment's image as a file. Not below /tmp, which may be an overlay that none can lie on."""
    folder = Path(tempfile.mkdtemp(prefix="cli-", dir=shared_home.home))
    save(Store(shared_home.store), small_environment.image, folder / "small.tar", compression="none")
    yield folder / "small.tar"
    remove_tree(folder)


@pytest.fixture(scope="session")
def desk(archive: Path) -> Iterator[Desk]:
    runtime = Path(tempfile.mkdtemp(prefix="jc-", dir="/tmp"))  # sockets: short
    made = Desk(archive.parent / "desk", archive)
    made.paths = Paths(made.paths.home, runtime)
    made.environment["JUPYTER_CONTAINERS_RUNTIME_DIR"] = str(runtime)
    done = made.call("build", made.write("steady", 'name = "steady"\nbase = "BASE"\n'))
    assert done.returncode == 0, done.stderr
    yield made
    made.check_whole()  # after all that the tests have done to it
    shutil.rmtree(runtime, ignore_errors=True)
