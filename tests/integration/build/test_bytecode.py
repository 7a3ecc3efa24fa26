"""Byte code that is compiled while trees are still being made."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import pytest

from jupyter_containers.build.bytecode import compile_trees, compiling
from jupyter_containers.build.ensure import Built
from jupyter_containers.build.report import Reporter
from jupyter_containers.errors import BuildError, CancelledError
from jupyter_containers.image.store import Store
from jupyter_containers.lock.model import Interpreter
from jupyter_containers.paths import Paths

pytestmark = [pytest.mark.network, pytest.mark.slow]

SOURCE = "def name(of, these={!r}):\n    return [other for other in of if other in these]\n"


class Bench:
    def __init__(self, staging: Path, layers: tuple[Path, ...], store: Path) -> None:
        python = next(layers[0].glob("usr/bin/python3.[0-9]*")).name
        self.version = python.removeprefix("python")
        self.staging = staging
        self.options: dict[str, Any] = {
            "interpreter": Interpreter(version=self.version, path=f"/usr/bin/{python}", environment="/opt/venv"),
            "layers": layers, "store": store, "reporter": Reporter(lambda event: None),
        }  # fmt: skip

    def tree(self, source: Path, name: str, files: int) -> str:
        folder = source / name / "lib" / f"python{self.version}" / "site-packages" / name
        folder.mkdir(parents=True)
        for number in range(files):
            (folder / f"module{number}.py").write_text(SOURCE.format(name * number))
        return name

    def folder(self, name: str) -> Path:
        (self.staging / name / "source").mkdir(parents=True)
        return self.staging / name


def compiled(source: Path) -> dict[str, bytes]:
    return {str(path.relative_to(source)): path.read_bytes() for path in sorted(source.rglob("*.pyc"))}


@pytest.fixture
def bench(small_environment: Built, shared_home: Paths) -> Any:
    store = Store(shared_home.store)
    with store.staging() as staging:
        yield Bench(staging.path, small_environment.image.layer_paths, store.root)


def test_the_same_bytes_whenever_the_trees_come(bench: Bench) -> None:
    names = {"one": 230, "two": 3, "three": 40}
    at_once, late = bench.folder("at-once"), bench.folder("late")
    for name, files in names.items():
        bench.tree(at_once / "source", name, files)
    compile_trees(at_once / "source", staging=at_once, cancel=None, **bench.options)
    with compiling(late / "source", staging=late, cancel=None, **bench.options) as add:
        for name, files in reversed(names.items()):
            add(bench.tree(late / "source", name, files))
            time.sleep(0.3)
    found = compiled(late / "source")
    assert len(found) == sum(names.values())
    assert found == compiled(at_once / "source")


def test_an_interpreter_that_does_not_run_is_told(bench: Bench) -> None:
    folder = bench.folder("broken")
    bench.options["interpreter"] = Interpreter(version="3.0", path="/bin/false", environment="/opt/venv")
    with (
        pytest.raises(BuildError, match=r"/bin/false \(compiling byte code\)` failed"),
        compiling(folder / "source", staging=folder, cancel=None, **bench.options) as add,
    ):
        for number in range(1000):
            add(bench.tree(folder / "source", f"name{number}", 1))


def test_it_ends_with_the_block_that_fails(bench: Bench) -> None:
    folder = bench.folder("failing")
    with (
        pytest.raises(ZeroDivisionError),
        compiling(folder / "source", staging=folder, cancel=None, **bench.options) as add,
    ):
        add(bench.tree(folder / "source", "some", 2000))
        1 / 0  # noqa: B018
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("compile")]
    assert not compiled(folder / "source")


def test_it_is_cancelled(bench: Bench) -> None:
    folder, cancel = bench.folder("cancelled"), threading.Event()
    with (
        pytest.raises(CancelledError),
        compiling(folder / "source", staging=folder, cancel=cancel, **bench.options) as add,
    ):
        add(bench.tree(folder / "source", "some", 3000))
        cancel.set()
    assert not compiled(folder / "source")
