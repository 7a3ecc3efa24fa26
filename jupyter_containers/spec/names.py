"""The grammar of environment names, and names made from folders' and notebooks' names.

An environment's name is also an OCI repository name component (distribution-spec 1.1, "Pulling manifests"),
so it can be used in an image reference as it is.
"""

from __future__ import annotations

import re
import unicodedata

from ..errors import Problem, ReferenceError

__all__ = ["LONGEST", "NAME", "check_name", "is_name", "make_name"]

LONGEST = 64
"""Characters. It leaves room for a prefix and a tag in an image reference."""
NAME = r"[a-z0-9]+([._-][a-z0-9]+)*"
_NAME = re.compile(NAME)


def is_name(text: str) -> bool:
    """Whether *text* is a well formed environment name."""
    return len(text) <= LONGEST and _NAME.fullmatch(text) is not None


def check_name(name: str) -> str:
    """Return *name*; :class:`ReferenceError` proposes a well formed one."""
    if is_name(name):
        return name
    raise ReferenceError(
        "not an environment name",
        problems=[Problem(file="", cause=f"{name!r} is not an environment name", remedy=f"Write {make_name(name)!r}")],
        hint=f"lower-case letters and digits, single `.`, `_` or `-` between them, at most {LONGEST} characters",
    )


def make_name(text: str) -> str:
    """A well formed name that is near to *text*: ``"My Thesis (v2)"`` gives ``my-thesis-v2``."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    # Runs of separators would break the grammar; a single one of the user's choice is kept.
    parts = re.sub(r"[^a-z0-9._-]+", "-", plain)
    parts = re.sub(r"([._-])[._-]+", r"\1", parts)
    return parts[:LONGEST].strip("._-") or "environment"
