"""The injected packages: requirements.txt, installed by uv for a Python that is not the host's.

Nothing is resolved: every version is locked, and a file whose hash is not in the lock is refused. uv asks the index of
the user's configuration, as it does for a spec, and keeps what it has downloaded in the store.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from pathlib import Path

from ...errors import BuildError, ContainersError, UnreachableError
from ...image.tree import remove_tree
from ...lock import filetext
from ...lock.artifacts import MACHINES, marker_environment
from ...lock.indexes import find_indexes
from ...lock.model import Interpreter
from ...lock.settings import Settings
from ...lock.uv import explanation, failure, own_options, run_uv
from ...spec.model import Packages
from ..wheels import fix_record
from .places import REQUIREMENTS
from .probe import ImagePython

__all__ = ["install_packages", "platform_of"]

_GLIBC = (40, 39, 38, 37, 36, 35, 34, 33, 32, 31, 28, 17)
"""Minor versions of glibc 2 that uv knows a platform of (uv pip install --help, --python-platform)."""

_NOT_PACKAGES = ("bin", "etc", "share", ".lock")
"""Beside the packages: scripts for the interpreter of this host, and files for a `sys.prefix` that this is not."""
_REMOVED = ("bin/", "etc/", "share/", "../")


def platform_of(python: ImagePython, architecture: str) -> str:
    """uv's name of the platform that wheels are chosen for; *architecture* is Debian's name."""
    machine = MACHINES.get(architecture, architecture)
    if python.libc == "musl":
        return f"{machine}-unknown-linux-musl"
    have = int(python.libc_version.split(".")[1])
    return f"{machine}-manylinux_2_{next((minor for minor in _GLIBC if minor <= have), _GLIBC[-1])}"


def install_packages(
    tree: Path,
    python: ImagePython,
    *,
    architecture: str,
    work: Path,
    cache: Path,
    settings: Settings,
    with_pip: bool,
) -> None:
    """Install into the new folder *tree*; *work* is an empty folder for this, *cache* uv's own.

    *with_pip*: for an interpreter of ours, which has no other. :class:`UnreachableError` where the index does not
    answer, :class:`BuildError` with uv's words for the rest.
    """
    # A project of its own ends uv's search for configuration files in the folders above.
    (work / "pyproject.toml").write_text(filetext.dump({"tool": {"uv": {**own_options(), "workspace": {}}}}), "utf-8")
    arguments = [
        "pip", "install", "--quiet", "--target", str(tree), "--requirement", str(REQUIREMENTS), "--require-hashes",
        "--no-deps", "--only-binary", ":all:", "--link-mode", "hardlink", "--python-version", python.version,
        "--python-platform", platform_of(python, architecture), *find_indexes(Packages()).arguments(),
        *(["--offline"] if settings.offline else []),
    ]  # fmt: skip
    done = run_uv(arguments, work, cache_dir=cache)
    if done.returncode != 0:
        error: ContainersError = failure(done.stderr)
        if isinstance(error, UnreachableError):
            raise error
        raise BuildError(
            f"ipykernel for Python {python.version} on {platform_of(python, architecture)} can't be installed: "
            f"{explanation(done.stderr)}",
            step="kernel", output=done.stderr,
            hint="an index of your own must have the packages of requirements.txt, as PyPI has them",
        )  # fmt: skip
    for name in _NOT_PACKAGES:
        remove_tree(tree / name)
    for record in tree.glob("*.dist-info/RECORD"):
        _forget_removed(record)
    if not with_pip:
        for path in [tree / "pip", *tree.glob("pip-*.dist-info")]:
            remove_tree(path)
    interpreter = Interpreter(version=python.version, path=python.path, glibc=python.libc_version)
    environment = marker_environment(interpreter, architecture)
    rows = [f"{module}\t{name}\t{versions}\n" for module, name, versions in _names(tree, environment)]
    (tree / "names.txt").write_text("".join(rows), "utf-8")


def _forget_removed(record: Path) -> None:
    """Take the rows of removed files out: those of scripts have hashes of this host's interpreter's path in them."""
    rows = record.read_bytes()
    gone = [row[0] for row in csv.reader(io.StringIO(rows.decode("utf-8"))) if row and row[0].startswith(_REMOVED)]
    if gone:
        record.unlink()  # it may be a hard link to uv's cache
        record.write_bytes(fix_record(rows, dict.fromkeys(gone)))


def _names(tree: Path, environment: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    """(import name, distribution, versions that the other packages accept), sorted: what start.py compares with."""
    from importlib.metadata import Distribution

    from packaging.requirements import Requirement
    from packaging.specifiers import SpecifierSet
    from packaging.utils import canonicalize_name

    modules: dict[str, str] = {}
    accepted: dict[str, SpecifierSet] = {}
    for info in sorted(tree.glob("*.dist-info")):
        distribution = Distribution.at(info)
        name = canonicalize_name(distribution.metadata["Name"])
        for file in distribution.files or ():
            top = file.parts[0].partition(".")[0]
            # Not the folder of a wheel's own shared libraries, `pyzmq.libs`.
            if top.isidentifier() and top not in _NOT_PACKAGES and (len(file.parts) == 1 or "." not in file.parts[0]):
                modules[top] = name
        for text in distribution.requires or ():
            needed = Requirement(text)
            if needed.marker is None or needed.marker.evaluate({**environment, "extra": ""}):
                key = canonicalize_name(needed.name)
                accepted[key] = accepted.get(key, SpecifierSet()) & needed.specifier
    for module in sorted(modules):
        yield module, modules[module], str(accepted.get(modules[module], ""))
