"""An interpreter of our own for an image that has none: Debian's, made to run from a folder anywhere.

Its packages come from Debian's signed archive. They are unpacked, not installed: what is taken is the program, the
standard library, the shared libraries and the loader. A program names its loader by an absolute path, and the loader
looks for libraries where the image has its own, of another C library perhaps (busybox, Alpine) or of an older one. So
patchelf, which runs in the sandbox, writes both into the program: the loader that is brought along, and its folder of
libraries (``DT_RPATH``, which also holds for the libraries of extension modules; ld.so(8)). No variable is needed that
programs of the image, started from a cell, would stumble over.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from ...errors import ArchiveError, BuildError
from ...image.durable import write_atomically
from ...image.store import Store
from ...lock.apt import fetch_debs
from ...lock.artifacts import MACHINES
from ...lock.debian import add_packages
from ...lock.fetch import Fetcher
from ...lock.model import Base, DebianPackage
from ...sandbox.model import Overlay
from ...spec.model import EnvironmentSpec
from ...spec.model import Packages as SpecPackages
from ..emulation import step_sandbox
from ..execution import execute
from ..report import Reporter
from ..unpack import unpack
from .places import MOUNT, PYTHON
from .probe import ImagePython

__all__ = ["InterpreterLock", "find_lock", "own_python", "resolve_interpreter", "unpack_interpreter"]

SUITE, VERSION, GLIBC = "trixie", "3.13", "2.41"
PACKAGES = (f"python{VERSION}", "libstdc++6", "patchelf/bookworm")
"""Wheels may count on libstdc++ (PEP 600). patchelf is used here, and not taken along; trixie's, 0.18, makes segments
overlap in a program that is not position independent, which Debian's Python is not: it ends with SIGSEGV at once."""

_FOLDER = f"{MOUNT}/{PYTHON}"
_LIBRARIES = f"{_FOLDER}/lib"
"""Loader and libraries lie beside the standard library, `lib/python3.13`."""
_LEFT_OUT = frozenset({"EXTERNALLY-MANAGED", "__pycache__", "test", "ensurepip", "idlelib", "turtledemo"})


class InterpreterLock(msgspec.Struct, frozen=True, kw_only=True):
    """Which packages the interpreter is made of."""

    suite: str
    archive: str
    resolved_at: float
    packages: tuple[DebianPackage, ...]


def own_python(lock: InterpreterLock) -> ImagePython:
    """What the packages beside it are chosen for."""
    return ImagePython(path=f"{_FOLDER}/bin/python3", version=VERSION, libc="glibc", libc_version=GLIBC)


def find_lock(store: Store, architecture: str) -> InterpreterLock | None:
    """The lock that was made last; None where there is none."""
    try:
        lock = msgspec.json.decode(_lock_file(store, architecture).read_bytes(), type=InterpreterLock)
    except (OSError, msgspec.DecodeError):
        return None
    return lock if lock.suite == SUITE else None


def resolve_interpreter(store: Store, architecture: str, fetcher: Fetcher, reporter: Reporter) -> InterpreterLock:
    """The newest packages that the archive has, written down as the lock."""
    spec = EnvironmentSpec(name="kernel", packages=SpecPackages(apt=PACKAGES))
    archive, _, packages = add_packages(
        spec, SUITE, {}, architecture=architecture, fetcher=fetcher, previous=None, upgrade=False,
        progress=reporter.progress("resolving", "bytes"), warn=reporter.say,
    )  # fmt: skip
    lock = InterpreterLock(suite=SUITE, archive=archive, resolved_at=time.time(), packages=packages)
    write_atomically(_lock_file(store, architecture), msgspec.json.encode(lock))
    return lock


def unpack_interpreter(
    lock: InterpreterLock,
    tree: Path,
    *,
    root: Path,
    store: Store,
    architecture: str,
    fetcher: Fetcher,
    reporter: Reporter,
    cancel: threading.Event | None,
) -> None:
    """Make the interpreter in *tree*, whose place in a container is :data:`.places.MOUNT`.

    *root* is an empty folder of the store for Debian's tree; the interpreter runs in it as ``/usr/bin/python3.13``.
    """
    reporter.phase("downloading")
    debs = fetch_debs(
        lock.packages, base=Base(kind="debian", source=f"debian:{SUITE}", archive=lock.archive), fetcher=fetcher,
        progress=reporter.progress("downloading", "bytes"),
    )  # fmt: skip
    reporter.phase("unpacking")
    unpack(debs, root, architecture=architecture, progress=reporter.progress("unpacking", "bytes"), cancel=cancel)
    target = tree / PYTHON
    (target / "bin").mkdir(parents=True)
    _link_tree(root / f"usr/lib/python{VERSION}", target / f"lib/python{VERSION}")
    loader = _take_libraries(root, target / "lib", MACHINES.get(architecture, architecture))
    reporter.phase("configuring")
    program = f"usr/bin/python{VERSION}"
    command = (
        "/usr/bin/patchelf", "--set-interpreter", f"{_LIBRARIES}/{loader}", "--force-rpath", "--set-rpath", _LIBRARIES,
        "--output", "/patched", f"/{program}",
    )  # fmt: skip
    sandbox = step_sandbox(command, root=Overlay((), root), store=store.root)
    execute(sandbox, command="patchelf", reporter=reporter, cancel=cancel)
    patched = root / "patched"
    if patched.is_symlink() or not patched.is_file():
        raise BuildError("patchelf wrote no program", step=reporter.title, output=reporter.tail, log=reporter.log)
    patched.rename(target / "bin" / f"python{VERSION}")
    (target / "bin" / f"python{VERSION}").chmod(0o755)
    for name in ("python3", "python"):
        (target / "bin" / name).symlink_to(f"python{VERSION}")


def _take_libraries(root: Path, target: Path, machine: str) -> str:
    """Link the shared libraries and the loader into *target*; the loader's name."""
    folder = root / "usr/lib" / f"{machine}-linux-gnu"
    for entry in sorted(folder.iterdir()):
        if ".so" not in entry.name or entry.is_dir():
            continue
        if not entry.is_symlink():
            os.link(entry, target / entry.name)
        elif "/" not in os.readlink(entry):  # noqa: PTH115  of one library's several names
            (target / entry.name).symlink_to(os.readlink(entry))  # noqa: PTH115
    # Where the program looks for it: /lib64 on x86-64, /lib elsewhere, links to the folder above since glibc 2.37.
    loader = next(iter(sorted(name for name in os.listdir(target) if name.startswith("ld-linux"))), "")
    if not loader:
        raise ArchiveError(f"libc6 of debian:{SUITE} has no loader in {folder.name}", hint="report this as a bug")
    return loader


def _link_tree(source: Path, target: Path) -> None:
    """Hard links to the files of *source*, which stays as it is."""
    for folder, names, files in os.walk(source):
        names[:] = sorted(name for name in names if name not in _LEFT_OUT)
        place = target / Path(folder).relative_to(source)
        place.mkdir(parents=True)
        for name in _taken(files):
            if not (Path(folder) / name).is_symlink():
                os.link(Path(folder) / name, place / name)


def _taken(files: list[str]) -> Iterator[str]:
    return (name for name in sorted(files) if name not in _LEFT_OUT)


def _lock_file(store: Store, architecture: str) -> Path:
    return store.cache_dir("kernel") / f"interpreter-{architecture}.json"
