"""Sandboxes whose system is this host's /usr and the Python that runs the tests, in a root of one small layer."""

from __future__ import annotations

import json
import os
import sys
import sysconfig
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from jupyter_containers.sandbox.model import Bind, Sandbox
from jupyter_containers.sandbox.overlay import remove_tree
from jupyter_containers.sandbox.probe import host_sandbox
from jupyter_containers.sandbox.process import run

PYTHON = os.path.realpath(sys.executable)
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
        prefix = Path(sysconfig.get_config_var("prefix"))
        if not prefix.is_relative_to("/usr") or prefix.is_relative_to("/usr/local"):
            binds = (*binds, Bind(prefix, str(prefix)))
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


@pytest.fixture
def python(make: Make) -> Callable[..., Any]:
    """Run Python code in a sandbox; what it assigns to ``result`` comes back."""

    def python(code: str, **options: Any) -> Any:
        parts: list[bytes] = []
        program = f"{code}\nimport json; print(json.dumps(result))"
        sandbox = make(argv=(PYTHON, "-I", "-S", "-c", program), **options)
        status = run(sandbox, on_output=parts.append, timeout=60)
        text = b"".join(parts).decode()
        assert status == 0, text
        return json.loads(text.splitlines()[-1])

    return python
