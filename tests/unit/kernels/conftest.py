"""Kernels without containers: a runtime that runs a container's argv as a process of the host, so that what stands on
the runtime is tested with real kernels and real clients."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest

from jupyter_containers.build.state import fingerprint, remember
from jupyter_containers.errors import NotFoundError
from jupyter_containers.kernels import host, provisioner, source, standalone
from jupyter_containers.kernels.host import Host
from jupyter_containers.paths import Paths
from jupyter_containers.runtime.base import ContainerConfig, ContainerState, Stats
from jupyter_containers.runtime.fake import FakeContainer, FakeRuntime
from jupyter_containers.spec.catalog import Record, record
from jupyter_containers.spec.grants import grant_of
from jupyter_containers.spec.load import load_spec

IMAGE = "sha256:" + "1" * 64


class ProcessContainer(FakeContainer):
    """Its argv as a process; ``python3`` is the tests' own interpreter."""

    process: subprocess.Popen[bytes] | None = None
    log: Path
    end_cause = ""

    def start(self, *, stdin=None, stdout=None, stderr=None) -> None:
        argv = [sys.executable if word in {"python3", "/usr/bin/python3"} else word for word in self.config.argv]
        env = {"PATH": os.environ["PATH"], "HOME": str(self.log.parent), **self.config.env}
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                argv, cwd=self.config.cwd or None, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True,
            )  # fmt: skip
        self._state = msgspec.structs.replace(self._state, status="running", started_at=time.time(), exit_code=None)

    def poll(self) -> int | None:
        code = self.process.poll() if self.process else None
        return 128 - code if code is not None and code < 0 else code

    def state(self) -> ContainerState:
        code = self.poll()
        if code is None:
            return self._state
        cause = self.end_cause or (
            f"killed by {signal.Signals(code - 128).name}" if code > 128 else f"exit code {code}"
        )
        return msgspec.structs.replace(self._state, status="exited", exit_code=code, cause=cause)

    def signal(self, number: int) -> None:
        self.signals.append(number)
        os.killpg(self.process.pid, number)

    def stop(self, *, grace: float = 10.0) -> int:
        if self.poll() is None:
            self.signal(signal.SIGTERM)
        self.process.wait(grace)
        return self.poll()

    def kill(self) -> None:
        if self.process is not None and self.poll() is None:
            self.signal(signal.SIGKILL)
            self.process.wait()

    def remove(self, *, force: bool = False) -> None:
        self.kill()
        import shutil

        for folder in self.config.scratch:
            shutil.rmtree(folder, ignore_errors=True)
        self._runtime._forget(self)

    def logs(self, *, tail: int | None = None) -> str:
        lines = self.log.read_text().splitlines(keepends=True)
        return "".join(lines if tail is None else lines[-tail:])

    def stats(self) -> Stats:
        return Stats(
            id=self.id, name=self.config.name, cpu_seconds=0.1, cpu_percent=0.0, memory=1 << 20, memory_limit=None,
            memory_peak=3 << 20, pids=1, read_bytes=0, write_bytes=0,
        )  # fmt: skip


class ProcessRuntime(FakeRuntime):
    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder
        self.cause = ""

    def create(self, config: ContainerConfig) -> ProcessContainer:
        made = super().create(config)
        container = ProcessContainer(self, made.id, made.config)
        container.log = self.folder / f"{made.id}.log"
        container.log.touch()
        container.end_cause = self.cause
        self.containers[self.containers.index(made)] = container
        return container


class FakeStore:
    """Images with nothing in them."""

    def __init__(self) -> None:
        self.images = {IMAGE: {}}

    def image(self, reference: str) -> SimpleNamespace:
        if reference not in self.images:
            raise NotFoundError(f"no image {reference}")
        execution = SimpleNamespace(labels=self.images[reference], environment={}, entrypoint=None)
        return SimpleNamespace(digest=reference, config=SimpleNamespace(execution=execution))


@pytest.fixture
def jupyter_home(tmp_path, monkeypatch):
    """A user with nothing: own home, own Jupyter folders, own containers home."""
    home = tmp_path / "home"
    home.mkdir()
    for name in list(os.environ):
        if name.startswith(("JUPYTER_", "JPY_", "XDG_", "IPYTHON")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("JUPYTER_CONTAINERS_HOME", str(home / "jc"))
    monkeypatch.setenv("JUPYTER_CONTAINERS_RUNTIME_DIR", f"/tmp/jct-{os.getpid()}-{os.urandom(3).hex()}")
    monkeypatch.setenv("JUPYTER_CONFIG_DIR", str(home / "config"))
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(home / "data"))
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(home / "run"))
    yield home
    import shutil

    shutil.rmtree(os.environ["JUPYTER_CONTAINERS_RUNTIME_DIR"], ignore_errors=True)


@pytest.fixture
def paths(jupyter_home) -> Paths:
    return Paths.current()


@pytest.fixture
def processes(paths, tmp_path, monkeypatch) -> Host:
    """The host of this process: runs kernels as processes."""
    logs = tmp_path / "logs"
    logs.mkdir()
    made = Host(paths, FakeStore(), ProcessRuntime(logs))
    for module in (host, provisioner, source, standalone):
        monkeypatch.setattr(module, "current_host", lambda: made)
    yield made
    left = list(made.runtime.containers)
    for container in left:
        container.kill()


@pytest.fixture
def folder(tmp_path) -> Path:
    """A notebook folder with the spec of a built environment."""
    made = tmp_path / "work"
    made.mkdir()
    (made / "jupyter-container.toml").write_text('name = "small"\n')
    return made


def write_built(paths: Paths, folder: Path, text: str) -> Record:
    """Write the spec *text* into *folder* and tell the catalog that it is built as it stands."""
    (folder / "jupyter-container.toml").write_text(text)
    loaded = load_spec(folder)
    loaded.lock_file.write_text("")
    mark = fingerprint(loaded, b"", {}, paths)
    entry = Record(
        name="small", display_name="Small", spec_file=str(folder), image=IMAGE, spec_digest=mark, built_at=time.time(),
        granted=grant_of(loaded),
    )  # fmt: skip
    remember(paths, "small", mark, ())
    record(paths, entry)
    return entry


@pytest.fixture
def environment(paths, folder) -> Record:
    return write_built(paths, folder, 'name = "small"\n')


@pytest.fixture
def change_spec(paths, folder, environment):
    """Writes another spec, as built as the first."""
    return lambda text: write_built(paths, folder, text)
