"""PEP 723 blocks (inline script metadata) in .py files and in a notebook's first code cell."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import msgspec

from ..errors import Problem, SpecError
from ..misfits import find_misfit
from .assembly import Assembly
from .project import TABLE
from .reading import NOTEBOOK_LIMIT, Folder, parse_toml
from .walk import Key, Place, nearest, show_key

__all__ = ["Block", "Cell", "find_block", "read_cells", "read_script"]

_START = r"# /// (?P<type>[a-zA-Z0-9-]+)"
_END = "# ///"


class Block(msgspec.Struct, frozen=True):
    """The text of a ``script`` block, with the comment signs taken off."""

    text: str
    line: int
    """Of its first line in the file or cell."""
    place: str
    """The file as the user knows it, with the cell."""


class Cell(msgspec.Struct):
    cell_type: str = ""
    source: str | list[str] = ""

    @property
    def text(self) -> str:
        return self.source if isinstance(self.source, str) else "".join(self.source)


class _Notebook(msgspec.Struct):
    cells: list[Cell] = []
    nbformat: int = 4


def read_cells(folder: Folder, name: str) -> list[Cell]:
    """The code cells of the notebook *name*; :class:`SpecError` where it is none (nbformat 4)."""
    data = folder.read(name, limit=NOTEBOOK_LIMIT)
    try:
        notebook = msgspec.json.decode(data, type=_Notebook)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        cause, key = find_misfit(error)
        problem = Problem(file=folder.shown(name), cause=f"is not a notebook: {f'{key} ' if key else 'it '}{cause}")
        raise SpecError("a notebook can't be read", problems=[problem]) from None
    if notebook.nbformat < 4:
        remedy = f"Convert it: jupyter nbconvert --to notebook --inplace {name}"
        problem = Problem(file=folder.shown(name), cause=f"has the old format {notebook.nbformat}", remedy=remedy)
        raise SpecError("a notebook can't be read", problems=[problem])
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def find_block(folder: Folder, name: str) -> Block | None:
    """The block of the notebook or script *name*; None: it has none."""
    if name.endswith(".ipynb"):
        cells = read_cells(folder, name)
        text, place = (cells[0].text if cells else ""), f"{folder.shown(name)} (first code cell)"
    else:
        text, place = folder.read_text(name), folder.shown(name)
    found = list(_blocks(text))
    if not found:
        return None
    line, content = found[0]
    if len(found) > 1:
        remedy = f"Keep the one in line {line - 1}, or this one"
        problem = Problem(file=place, line=found[1][0] - 1, cause="is a second `# /// script` block", remedy=remedy)
        raise SpecError("the spec is not valid", problems=[problem])
    return Block(content, line, place)


def _blocks(text: str) -> Iterator[tuple[int, str]]:
    """First line and content of each ``script`` block.

    What PEP 723's regular expression finds, in one pass: on a long run of starts without an end the expression
    takes quadratic time. A block reaches to the last end line in its run of comment lines.
    """
    lines = text.replace("\r\n", "\n").split("\n")
    at = 0
    while at < len(lines):
        start = re.fullmatch(_START, lines[at])
        at += 1
        if start is None:
            continue
        first = at
        while at < len(lines) and (lines[at] == "#" or lines[at].startswith("# ")):
            at += 1
        ends = [number for number in range(first + 1, at) if lines[number] == _END]
        if not ends:
            continue
        at = ends[-1] + 1
        if start["type"] == "script":
            yield first + 1, "".join(line[2:] + "\n" for line in lines[first : ends[-1]])


def read_script(assembly: Assembly, name: str, block: Block) -> None:
    """Add what *block* of the file *name* asks for: dependencies, requires-python, and the native table.

    The native table is ``[tool.jupyter-containers]``.
    """
    try:
        document = parse_toml(block.text, block.place)
    except SpecError as error:
        moved = [_moved(problem, block.line) for problem in error.problems]
        raise SpecError("the spec is not valid", problems=moved) from None
    from .positions import Positions

    positions = Positions(block.text)

    def place(key: Key) -> Place:
        line = positions.line(key)
        return Place(block.place, None if line is None else line + block.line - 1, show_key(key))

    tool: Any = document.get("tool", {})
    others = [f"[tool.{other}]" for other in tool if other != TABLE[1]] if isinstance(tool, dict) else []
    assembly.use(name, "the spec: its PEP 723 block" + (f"; {', '.join(others)} not read" if others else ""))
    native = tool.get(TABLE[1]) if isinstance(tool, dict) else None
    if isinstance(native, dict):
        assembly.start(native, block.place, block.text, table=TABLE, first_line=block.line)
    elif native is not None:
        assembly.report(place(TABLE), "has to be a table")
    for name in document:
        if name not in _KEYS:
            assembly.report(place((name,)), "unknown key", nearest(name, _KEYS))
    if "requires-python" in document:
        assembly.set(("python",), document["requires-python"], place(("requires-python",)))
    dependencies = document.get("dependencies", [])
    if not isinstance(dependencies, list):
        assembly.report(place(("dependencies",)), "has to be a list of requirements")
        return
    for at, item in enumerate(dependencies):
        assembly.add(("packages", "pip"), item, place(("dependencies", at)))


_KEYS = ("dependencies", "requires-python", "tool")


def _moved(problem: Problem, line: int) -> Problem:
    moved = None if problem.line is None else problem.line + line - 1
    return Problem(file=problem.file, line=moved, key=problem.key, cause=problem.cause, remedy=problem.remedy)
