"""Real kernels in real containers, in an environment that is built once."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from jupyter_client.blocking import BlockingKernelClient
from jupyter_client.manager import KernelManager
from startkinds import KINDS

from jupyter_containers.build.ensure import ensure_built
from jupyter_containers.kernels import kernelspec, pool
from jupyter_containers.paths import Paths

SPEC = """\
name = "kernels"
display-name = "Kernels"

[packages]
pip = ["ipykernel", "ipywidgets", "matplotlib", "numpy", "pip"]
"""


@pytest.fixture(scope="session")
def user(shared_home: Paths, tmp_path_factory) -> Iterator[Paths]:
    """The user's folders, and no kernelspecs but ours."""
    data = tmp_path_factory.mktemp("jupyter")
    with pytest.MonkeyPatch.context() as patch:
        for name in [key for key in os.environ if key.startswith(("JPY_", "JUPYTER_"))]:
            patch.delenv(name)
        patch.setenv("JUPYTER_CONTAINERS_HOME", str(shared_home.home))
        patch.setenv("JUPYTER_CONTAINERS_RUNTIME_DIR", str(shared_home.runtime))
        for name in ("DATA", "CONFIG", "RUNTIME"):
            patch.setenv(f"JUPYTER_{name}_DIR", str(data / name.lower()))
        yield shared_home


@pytest.fixture(scope="session")
def environment(user: Paths) -> str:
    folder = user.home / "specs" / "kernels"
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "jupyter-container.toml"
    if not file.exists() or file.read_text() != SPEC:
        file.write_text(SPEC)
    ensure_built(folder, paths=user)
    kernelspec.install("kernels", paths=user)
    return "kernels"


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """A notebook folder, and where the tests are."""
    made = tmp_path / "notebooks"
    made.mkdir()
    monkeypatch.chdir(made)
    return made


class Session:
    """A kernel and its client."""

    def __init__(self, manager: KernelManager) -> None:
        self.manager = manager
        self.client: BlockingKernelClient = manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=60)

    @property
    def container(self):
        return self.manager.provisioner.container

    def run(self, code: str, *, answer: str = "") -> str:
        """What *code* prints or evaluates to; AssertionError where it fails. *answer* is given to ``input()``."""
        texts: list[str] = []

        def keep(message) -> None:
            content = message["content"]
            if message["msg_type"] == "stream":
                texts.append(content["text"])
            elif message["msg_type"] == "execute_result":
                texts.append(content["data"]["text/plain"])

        reply = self.client.execute_interactive(
            code, timeout=120, output_hook=keep, allow_stdin=True, stdin_hook=lambda message: self.client.input(answer)
        )
        assert reply["content"]["status"] == "ok", (reply["content"], "".join(texts))
        return "".join(texts).strip()

    def messages(self, code: str) -> list[dict]:
        """What *code* sends on the iopub channel."""
        found: list[dict] = []
        self.client.execute_interactive(code, timeout=120, output_hook=found.append)
        return found

    def close(self) -> None:
        self.client.stop_channels()
        if self.manager.has_kernel:
            self.manager.shutdown_kernel(now=True)


@pytest.fixture(params=KINDS)
def start_kind(request, monkeypatch) -> str:
    # A kernel for a start to come that no test waits for would take its processor.
    monkeypatch.setattr(pool, "QUIET", 3600.0)
    monkeypatch.setattr(pool, "QUIET_FORK", 3600.0)
    return request.param


@pytest.fixture
def start(start_kind, environment, folder) -> Iterator[Callable[..., Session]]:
    """Start a kernel of the environment with these options, as its kernelspec would have them.

    All that is asked of a kernel is asked of all kinds: started afresh, forked from a process that is ready, and
    started before it was asked for.
    """
    made: list[Session] = []

    def make(**options) -> Session:
        kernelspec.install(environment, **KINDS[start_kind], **options)
        manager = KernelManager(kernel_name=f"jc-{environment}")
        manager.start_kernel(cwd=str(folder))
        made.append(Session(manager))
        was = made[-1].container.state().start
        if was.startswith("fresh: "):
            own = {"keep": "its writable layer outlives it", True: "it begins with what its notebook has saved"}
            assert start_kind == "pool" and was.endswith(own[options.get("restart") or options["restore"]])
        else:
            assert was.partition(":")[0] == ("" if start_kind == "fresh" else start_kind)
        return made[-1]

    yield make
    for session in made:
        session.close()
    kernelspec.install(environment)


@pytest.fixture
def open_session(folder) -> Iterator[Callable[[str], Session]]:
    """A kernel and its client by the kernelspec's name, closed at the end."""
    made: list[Session] = []

    def make(name: str) -> Session:
        manager = KernelManager(kernel_name=name)
        manager.start_kernel(cwd=str(folder))
        made.append(Session(manager))
        return made[-1]

    yield make
    for session in made:
        session.close()


@pytest.fixture
def session(start) -> Session:
    return start()


@pytest.fixture
def is_alive() -> Callable[[int], bool]:
    """Whether a process runs; one that has ended and is not yet reaped by the host's init does not."""

    def ask(pid: int) -> bool:
        try:
            return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
        except (FileNotFoundError, ProcessLookupError):
            return False

    return ask


@pytest.fixture
def launched(environment) -> Iterator[list[KernelManager]]:
    """Managers that a test puts here have no kernel at its end, and the environment's kernelspec is as it was."""
    made: list[KernelManager] = []
    yield made
    for manager in made:
        if manager.has_kernel:
            manager.shutdown_kernel(now=True)
    kernelspec.install(environment)
