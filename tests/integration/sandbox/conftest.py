"""Sandboxes whose system is this host's /usr and the Python that runs the tests, in a root of one small layer."""

from __future__ import annotations

import json
import os
import sys
import sysconfig
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from jupyter_containers.sandbox.fork.owner import ForkServer
from jupyter_containers.sandbox.model import Bind, Sandbox
from jupyter_containers.sandbox.overlay import remove_tree
from jupyter_containers.sandbox.probe import host_sandbox
from jupyter_containers.sandbox.process import run

PYTHON = os.path.realpath(sys.executable)
PREFIX = Path(sysconfig.get_config_var("prefix"))
Make = Callable[..., Sandbox]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "store"
    (folder / "layer/tmp").mkdir(parents=True)
    (folder / "layer/home").mkdir()
    yield folder
    remove_tree(folder)


@pytest.fixture
def make(store: Path) -> Make:
    """A sandbox that runs a shell script; keywords as for Sandbox."""

    def make(
        script: str = "true", *, argv: tuple[str, ...] = (), binds: tuple[Bind, ...] = (), **options: Any
    ) -> Sandbox:
        remove_tree(store / "work")
        for name in os.listdir(store / "layer"):
            if (store / "layer" / name).is_symlink():
                (store / "layer" / name).unlink()
        if not PREFIX.is_relative_to("/usr") or PREFIX.is_relative_to("/usr/local"):
            binds = (*binds, Bind(PREFIX, str(PREFIX)))
        sandbox = host_sandbox(store, script, binds=binds, **options)
        return sandbox._replace(argv=argv) if argv else sandbox

    return make


@pytest.fixture
def output_of(make: Make) -> Callable[..., str]:
    """Run a script to its end and return what it wrote; it must end with 0."""

    def output_of(script: str, **options: Any) -> str:
        parts: list[bytes] = []
        code = run(make(script, **options), on_output=parts.append, timeout=60)
        text = b"".join(parts).decode()
        assert code == 0, text
        return text

    return output_of


FORKED = """
import sys

def prepare(words):
    pass

def become(argv):
    exec(compile(argv[-1], "code", "exec"), {"__name__": "__main__"})
"""


@pytest.fixture
def fork(make: Make, tmp_path: Path) -> Iterator[Callable[[Sandbox], tuple[int, str]]]:
    """Run a sandbox of Python code as a fork of a ready interpreter: its exit code and what it wrote."""
    (tmp_path / "module").mkdir()
    (tmp_path / "module/forked.py").write_text(FORKED)
    tmp_path.chmod(0o755)
    servers: dict[tuple[int, int], ForkServer] = {}
    with ExitStack() as stack:

        def server_for(sandbox: Sandbox) -> ForkServer:
            key = sandbox.uid, sandbox.gid
            if key not in servers:
                folder = tmp_path / f"server-{sandbox.uid}"
                (folder / "layer/tmp").mkdir(parents=True)
                (folder / "layer/home").mkdir()
                stack.callback(remove_tree, folder)
                base = host_sandbox(folder, "", uid=sandbox.uid, gid=sandbox.gid, binds=(
                    *(bind for bind in sandbox.binds if bind.target.startswith(str(PREFIX))),
                    Bind(tmp_path / "module", "/run/module"),
                ), env={"PATH": "/usr/bin:/bin", "PYTHONPATH": "/run/module"})  # fmt: skip
                out = os.open(tmp_path / f"server-{sandbox.uid}.log", os.O_WRONLY | os.O_CREAT)
                stack.callback(os.close, out)
                servers[key] = ForkServer.spawn(base, PYTHON, "forked", stdout=out, stderr=out)
                stack.callback(servers[key].close)
            return servers[key]

        def run_fork(sandbox: Sandbox) -> tuple[int, str]:
            server = server_for(sandbox)
            read, write = os.pipe()
            with open(read, "rb") as output:
                try:
                    process = server.fork(sandbox, stdout=write, stderr=write)
                finally:
                    os.close(write)
                text = output.read().decode()
                code = process.wait(60)
                process.close()
            return code, text

        yield run_fork


@pytest.fixture(params=["fresh", "fork"])
def python(request: pytest.FixtureRequest, make: Make) -> Callable[..., Any]:
    """Run Python code in a sandbox; what it assigns to ``result`` comes back.

    What holds for a command that bwrap starts holds for a fork of a ready interpreter.
    """

    def python(code: str, **options: Any) -> Any:
        program = f"{code}\nimport json; print(json.dumps(result))"
        sandbox = make(argv=(PYTHON, "-I", "-S", "-c", program), **options)
        if request.param == "fork" and sandbox.filter == "container" and sandbox.uid:
            status, text = request.getfixturevalue("fork")(sandbox)
        else:
            parts: list[bytes] = []
            status = run(sandbox, on_output=parts.append, timeout=60)
            text = b"".join(parts).decode()
        assert status == 0, text
        return json.loads(text.splitlines()[-1])

    return python
