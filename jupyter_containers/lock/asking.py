"""Sources that do not say what they need: who may ask their build, and what is told where nobody may.

A package's metadata may be computed by its build (``dynamic``, PEP 621): knowing it means running the package's code.
That is done in a sandbox over the image that the package will be built in, which this room knows nothing of: a caller
that can do it gives an :data:`Ask`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

from ..errors import ResolutionError

if TYPE_CHECKING:
    from .sdists import SourceMetadata

__all__ = ["Ask", "Source", "UntoldError"]


class Source(NamedTuple):
    """What is to be asked."""

    kind: Literal["sdist", "directory", "vcs"]
    title: str
    place: str
    """The path of an archive or a folder; of a repository ``git+https://host/name.git@REVISION``."""
    filename: str = ""
    """Of an archive, whose place may be a cache: its ending tells how to read it."""


Ask: TypeAlias = "Callable[[Source], SourceMetadata]"


class UntoldError(ResolutionError):
    """A source does not say what it needs, and there is nobody to ask its build."""

    def __init__(self, cause: str) -> None:
        super().__init__(
            f"{cause}; knowing more means running its build, which happens in builds of yours only",
            hint="`jupyter containers build` asks it, in a sandbox; or take a version that has a wheel",
        )
