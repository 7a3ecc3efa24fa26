"""Byte code for prepared wheels, compiled by the image's own interpreter in the sandbox.

The interpreter reads the sources through a read-only mount and writes byte code to a folder apart, from which the
host takes plain files at the places where Python looks for them (PEP 3147) and nothing else. The byte code is of the
kind "unchecked hash" (PEP 552): no look at the source's time or content at import, and the same bytes each time.

Folders named ``tests`` are left without: in numpy, pandas, scipy and scikit-learn they are more than half of all
modules, and no notebook imports them. Where one is imported after all, Python compiles it then.
"""

from __future__ import annotations

import os
import re
import stat
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path

from ..errors import UntrustedContentError
from ..lock.model import Interpreter
from ..sandbox.model import Bind, Overlay
from .emulation import step_sandbox, usable_cores
from .execution import execute
from .report import Reporter
from .tree import Tree

__all__ = ["compile_trees", "compiling"]

_SOURCE, _OUTPUT = "/run/jc/source", "/run/jc/output"
_PLACE = re.compile(r"__pycache__/[^/]+\.[a-z]+-[0-9a-z]+\.pyc")

COMPILER = r"""
import os, sys, importlib.util, py_compile, select

source, output, prefix, cores = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
CHUNK = 200  # files for one process; fixed, since what a process compiled before can change a byte of what comes next
# (marshal marks objects that others refer to): so a file always has the same predecessors, on any number of cores

def chunks(wheel):
    files = []
    for folder, names, leaves in os.walk(os.path.join(source, wheel, "lib")):
        names[:] = sorted(name for name in names if name not in {"__pycache__", "tests"})
        for name in sorted(leaves):
            path = os.path.join(folder, name)
            if name.endswith(".py") and os.path.isfile(path) and not os.path.islink(path):
                files.append((wheel, os.path.relpath(path, os.path.join(source, wheel))))
    for start in range(0, len(files), CHUNK):
        yield files[start:start + CHUNK]

def compile_chunk(files):
    for wheel, name in files:
        path = os.path.join(prefix, name)
        cached = importlib.util.cache_from_source(path, optimization="")
        target = os.path.join(output, wheel, os.path.relpath(cached, prefix))
        os.makedirs(os.path.dirname(target), exist_ok=True)
        try:
            py_compile.compile(os.path.join(source, wheel, name), cfile=target, dfile=path, doraise=True,
                               invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
        except Exception as error:  # templates, Python 2, syntax of later versions: Python runs them without byte code
            print("skipped", wheel[:12], name, type(error).__name__, flush=True)

# Names of wheels come on standard input, a line each, as they are ready.
work, running, done, total, failed, text, more = [], 0, 0, 0, 0, b"", True
while more or work or running:
    if more and select.select([0], [], [], 0 if work else 0.02 if running else None)[0]:
        data = os.read(0, 65536)
        more = bool(data)
        *names, text = (text + data).split(b"\n")
        for name in names:
            work += chunks(name.decode())
        total = done + running + len(work)
    while work and running < cores:
        files = work.pop(0)
        if os.fork() == 0:
            code = 1
            try:
                compile_chunk(files); code = 0
            finally:
                os._exit(code)
        running += 1
    if running:
        pid, status = os.waitpid(-1, 0 if running == cores or not more else os.WNOHANG)
        if pid:
            failed |= status; running -= 1; done += 1
            print("compiled", done, total, flush=True)
sys.exit(1 if failed else 0)
"""


def compile_trees(
    source: Path,
    *,
    staging: Path,
    interpreter: Interpreter,
    layers: Sequence[Path],
    store: Path,
    reporter: Reporter,
    cancel: threading.Event | None,
    env: Mapping[str, str] | None = None,
) -> None:
    """Add byte code to every tree in the folder *source*; the rest is as of :func:`compiling`."""
    with compiling(
        source, staging=staging, interpreter=interpreter, layers=layers, store=store, reporter=reporter,
        cancel=cancel, env=env,
    ) as add:  # fmt: skip
        for name in sorted(os.listdir(source)):
            add(name)


@contextmanager
def compiling(
    source: Path,
    *,
    staging: Path,
    interpreter: Interpreter,
    layers: Sequence[Path],
    store: Path,
    reporter: Reporter,
    cancel: threading.Event | None,
    env: Mapping[str, str] | None = None,
) -> Iterator[Callable[[str], None]]:
    """Yield what is to be called with the name of each tree in the folder *source* that is complete: byte code is added
    to it, beside what the caller does, by the end of the block. Files that don't compile are left without.

    *layers*, lowest first, is the image so far: *interpreter* is in it, and *env* is what it needs to run.
    """
    output = staging / "bytecode"
    output.mkdir()
    sandbox = step_sandbox(
        (interpreter.path, "-I", "-S", "-c", COMPILER, _SOURCE, _OUTPUT, interpreter.environment, str(usable_cores())),
        root=Overlay(tuple(layers)),
        store=store,
        env=env,
        binds=(Bind(source, _SOURCE), Bind(output, _OUTPUT, writable=True)),
    )
    command = f"{interpreter.path} (compiling byte code)"
    read, write = os.pipe()
    stop = threading.Event()

    def run() -> None:
        try:
            execute(sandbox, command=command, reporter=reporter, cancel=stop, on_output=_listener(reporter), stdin=read)
        finally:
            os.close(read)

    def add(name: str) -> None:
        try:
            os.write(write, name.encode() + b"\n")
        except BrokenPipeError:
            job.result()  # it has failed
            raise

    with ThreadPoolExecutor(1, thread_name_prefix="compile") as pool:
        job = pool.submit(run)
        try:
            yield add
        except BaseException:
            stop.set()
            raise
        finally:
            os.close(write)
        while not wait([job], timeout=0.1).done:
            if cancel is not None and cancel.is_set():
                stop.set()
        job.result()
    for tree in sorted(output.iterdir()):
        place = source / tree.name
        if place.is_dir() and not tree.is_symlink():
            _take(tree, place)


def _listener(reporter: Reporter) -> Callable[[bytes], None]:
    progress = reporter.progress("compiling")

    def listen(chunk: bytes) -> None:
        for line in chunk.decode("utf-8", "replace").splitlines():
            match line.split():
                case ["compiled", done, total] if done.isdigit() and total.isdigit():
                    progress("byte code", int(done), int(total))
                case ["skipped", *_]:
                    pass
                case _:
                    reporter.output(line.encode() + b"\n")

    return listen


def _take(output: Path, tree: Path) -> None:
    """Move byte code files from *output* to the same places in *tree*, beside a source that is there."""
    with Tree(tree) as target:
        for folder, _, names in os.walk(output):
            for name in names:
                file = Path(folder) / name
                relative = str(file.relative_to(output))
                status = file.lstat()
                if not stat.S_ISREG(status.st_mode) or not _PLACE.fullmatch("/".join(relative.split("/")[-2:])):
                    raise UntrustedContentError(f"the image's interpreter wrote {relative}, which is no byte code file")
                target.move_in(file, relative)
