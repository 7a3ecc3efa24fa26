"""YAML as nodes with lines, for text from strangers: no aliases, no depth, no tags that make objects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..errors import Problem, SpecError

if TYPE_CHECKING:
    import yaml

__all__ = ["compose", "line_of"]

_DEEPEST = 20


def compose(text: str, file: str) -> yaml.Node | None:
    """The root node of the YAML document *text*; None: it is empty. :class:`SpecError` has the line.

    Nodes are not made into values: ``python=3.10`` stays text, and 3.10 does not become 3.1.
    """
    import yaml

    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        _check_events(yaml.parse(text, Loader=loader))
        return yaml.compose(text, Loader=loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        line = None if mark is None else mark.line + 1
        cause = error.problem or error.context or "not valid"
    except yaml.YAMLError as error:
        line, cause = None, str(error).splitlines()[0]
    except _RefusedError as error:
        line, cause = error.line, error.cause
    problem = Problem(file=file, line=line, cause=f"not valid YAML here: {cause}")
    raise SpecError("the spec is not valid", problems=[problem])


def line_of(node: yaml.Node) -> int:
    """1-based."""
    return int(node.start_mark.line) + 1


def _check_events(events: Any) -> None:
    """Refuse what grows when it is put together: nine lines of aliases can stand for gigabytes."""
    import yaml

    depth = 0
    for event in events:
        line = event.start_mark.line + 1
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise _RefusedError("anchors and aliases are not accepted; write the values out", line)
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > _DEEPEST:
            raise _RefusedError(f"nested more than {_DEEPEST} deep", line)


class _RefusedError(Exception):
    def __init__(self, cause: str, line: int) -> None:
        super().__init__(cause)
        self.cause = cause
        self.line = line
