"""What the code of a folder needs: imports of its notebooks and modules, and its ``!pip install`` lines.

The code is parsed, never run. IPython's own syntax (magics, ``!``, ``?``) is taken out first; a cell that is no
Python even then is searched line by line.
"""

from __future__ import annotations

import ast
import re
import sys
import tomllib
import warnings
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path

import msgspec

from ..errors import SpecError
from .reading import Folder
from .requirement import Wrong, check_requirement, distribution_name, normalise_name
from .script import read_cells

__all__ = [
    "Found",
    "distribution",
    "find_needs",
    "imported",
    "installed",
    "known_distributions",
    "nearest_distribution",
]

_MOST_FILES = 500
_PYTHON_CELLS = frozenset({"time", "timeit", "capture", "prun", "debug", "python", "python3", "memit"})
"""Cell magics whose cells are Python of the kernel."""
_LINE_IMPORT = re.compile(r"\s*(?:from\s+(?P<one>[A-Za-z_][\w.]*)\s+import\b|import\s+(?P<several>[\w., ]+))")
_DRAWS = re.compile(r"^\s*%(?:matplotlib|pylab)\b", re.MULTILINE)
"""Magics that need matplotlib; what comes with ipykernel is no more than the place where its figures go."""
_INSTALL = re.compile(
    r"\s*[!%]+\s*(?:\{sys\.executable\}\s+-m\s+|(?:sudo\s+)?(?:python3?\s+-m\s+)?|uv\s+)"
    r"(?P<tool>pip3?|apt|apt-get)\s+(?:-\S+\s+)*install\s+(?P<rest>.*)"
)


class Found(msgspec.Struct, frozen=True):
    """What something is needed for."""

    name: str
    """A requirement, or a Debian package."""
    why: str
    """``import cv2`` or ``!pip install``."""
    file: str


class Needs(msgspec.Struct, frozen=True):
    pip: tuple[Found, ...]
    apt: tuple[Found, ...]
    files: tuple[str, ...]
    """The files that were looked at."""
    skipped: tuple[str, ...]
    """The files that could not be read, with the reason."""


def find_needs(folder: Folder, names: Sequence[str] = ()) -> Needs:
    """What the notebooks and .py files *names* of *folder*, or all directly in it, need: each package once, by name."""
    names = names or [name for name in folder.names() if name.endswith((".ipynb", ".py")) and not name.startswith(".")]
    local = _local_modules(folder)
    pip: dict[str, Found] = {}
    apt: dict[str, Found] = {}
    skipped: list[str] = []
    for name in names[:_MOST_FILES]:
        try:
            sources = _sources(folder, name)
        except SpecError as error:
            skipped += [str(problem) for problem in error.problems]
            continue
        for source in sources:
            for tool, package in installed(source):
                found = Found(package, f"!{tool} install", name)
                (pip if tool == "pip" else apt).setdefault(distribution_name(package) or package, found)
            for module in imported(source):
                top = module.partition(".")[0]
                if top in sys.stdlib_module_names or top in local:
                    continue
                package = distribution(module)
                pip.setdefault(distribution_name(package) or package, Found(package, f"import {module}", name))
    return Needs(
        tuple(pip[key] for key in sorted(pip)), tuple(apt[key] for key in sorted(apt)), tuple(names), tuple(skipped)
    )


def distribution(module: str) -> str:
    """The distribution that *module* (dotted) comes from: by the table, else of the same name as its first part."""
    parts = module.split(".")
    for end in range(len(parts), 0, -1):
        known = _table().get(".".join(parts[:end]))
        if known is not None:
            return known
    return parts[0].replace("_", "-")


def known_distributions() -> tuple[str, ...]:
    """The distributions that the table names."""
    return tuple(dict.fromkeys(_table().values()))


def nearest_distribution(name: str) -> str | None:
    """A distribution that somebody who wrote *name* may have meant: that of a module of this name, else the well-known
    one that is spelt most alike."""
    from difflib import get_close_matches  # late: for mistakes only

    from .conda import counterparts

    known = {normalise_name(module): package for module, package in _table().items()}
    for package in (*known_distributions(), *counterparts().pypi.values()):
        known.setdefault(normalise_name(package), package)
    near = get_close_matches(normalise_name(name), known, 1, 0.75)
    return known[near[0]] if near else None


def imported(source: str) -> list[str]:
    """The modules that *source* (a file's or a cell's) imports, dotted, in order, each once; relative ones left out."""
    plain = _without_ipython(source)
    drawn = ["matplotlib"] if _DRAWS.search(source) else []
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # SyntaxWarning of `\d` in the user's code
            tree = ast.parse(plain)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return _unique([*drawn, *_line_imports(plain)])
    return _unique([*drawn, *_modules(tree)])


def _line_imports(source: str) -> Iterator[str]:
    for line in source.splitlines():
        found = _LINE_IMPORT.match(line)
        if found and found["one"]:
            yield found["one"]
        elif found:
            names = (part.split()[0] for part in found["several"].split(",") if part.split())
            yield from (name for name in names if name[0].isalpha() or name[0] == "_")


def installed(source: str) -> Iterator[tuple[str, str]]:
    """``("pip", requirement)`` and ``("apt", package)`` of the install lines in *source*."""
    for line in source.splitlines():
        found = _INSTALL.match(line)
        if found is None:
            continue
        tool = "pip" if found["tool"].startswith("pip") else "apt"
        for word in _words(found["rest"]):
            try:
                yield tool, check_requirement(word) if tool == "pip" else word
            except Wrong:
                continue


def _words(text: str) -> Iterator[str]:
    """The packages of an install command: no options, and nothing after a shell's operator."""
    bare = re.split(r"\s#|&&|\|\||[|;]|\s\d?>", text)[0]
    skip = False
    for word in bare.split():
        if skip:
            skip = False
        elif word.startswith("-"):
            skip = word in {
                "-r",
                "-c",
                "-i",
                "-f",
                "-t",
                "--index-url",
                "--extra-index-url",
                "--find-links",
                "--target",
            }
        elif "$" not in word and "{" not in word:
            yield word.strip("\"'")


def _modules(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (item.name for item in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            # `from google.cloud import storage` names the module google.cloud.storage
            dotted = [f"{node.module}.{item.name}" for item in node.names]
            known = [name for name in dotted if name in _table()]
            yield from known or [node.module]


def _without_ipython(source: str) -> str:
    """*source* with IPython's syntax taken out, line numbers kept."""
    lines = source.split("\n")
    first = next((at for at, line in enumerate(lines) if line.strip()), None)
    if first is not None and lines[first].startswith("%%"):
        magic = lines[first][2:].split()
        if not magic or magic[0] not in _PYTHON_CELLS:
            return ""
        lines[first] = ""
    return "\n".join(_line_without_ipython(line) for line in lines)


def _line_without_ipython(line: str) -> str:
    bare = line.lstrip()
    indent = line[: len(line) - len(bare)]
    timed = re.match(r"%(?:time|timeit|memit|prun)\s+(?:-\w+\s*\d*\s+)*(.*)", bare)
    if timed:
        return indent + (timed[1] or "pass")
    # A `%` can also go on an expression of the line before; ast then fails and the lines are searched.
    if bare.startswith(("!", "%", "?")) or re.fullmatch(r"[\w.]+\?{1,2}", bare.rstrip()):
        return f"{indent}pass"
    assigned = re.match(r"([\w, ]+=\s*)[!%]", bare)
    return f"{indent}{assigned[1]}None" if assigned else line


def _sources(folder: Folder, name: str) -> list[str]:
    if name.endswith(".ipynb"):
        return [cell.text for cell in read_cells(folder, name)]
    return [folder.read_text(name)]


def _local_modules(folder: Folder) -> frozenset[str]:
    """Modules that lie in the folder: ``helpers.py``, ``mypkg/``, also below ``src/``."""
    found: set[str] = set()
    for below in (".", "src"):
        for name in folder.names(below):
            path = folder.file(below) / name
            if name.endswith(".py"):
                found.add(name.removesuffix(".py"))
            elif path.is_dir() and not path.is_symlink() and any(path.glob("*.py")):
                found.add(name)
    return frozenset(found)


@cache
def _table() -> dict[str, str]:
    text = Path(__file__).with_name("data").joinpath("imports.toml").read_text("utf-8")
    return msgspec.convert(tomllib.loads(text), dict[str, str])


def _unique(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))
