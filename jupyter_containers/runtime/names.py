"""Names for containers that were given none: two plain words, ``quiet-otter``."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence

from ..errors import ReferenceError

__all__ = ["check_container_name", "make_name"]

_FIRST = """
able amber apt azure bold brave brief bright brisk calm candid clear clever cosy crisp daring deft eager
early easy even fair fast fine firm fond frank fresh gentle glad gold grand green happy hardy honest ivory
jolly keen kind lively loyal lucid lucky mellow merry mild neat nimble noble open pale patient plain polite
prime proud pure quick quiet rapid ready rosy round sharp silent silver simple sleek smart smooth snug solid
spry stable steady still sunny swift tidy tough true trusty vivid warm wise
"""
_SECOND = """
acorn alder anchor aspen badger basin beacon beaver birch bison boulder breeze brook canyon cedar cliff
clover comet coral cove crane creek cypress dahlia delta dune eagle elm ember falcon fern finch fjord fox
garnet glacier grove harbor hazel heron hill iris island jasper juniper kelp lagoon lake larch lark lemur
linden lotus lynx maple marsh marten meadow mesa mint moss oak oasis orchid osprey otter owl pebble pine
plover pond poplar prairie quail quartz rapids raven reef ridge river robin rowan sage seal sequoia shore
sparrow spruce stone summit swan thistle tide trout tulip valley violet walnut willow wren yarrow
"""

_NAME = r"[a-zA-Z0-9][a-zA-Z0-9_.-]{0,62}"


def make_name(taken: Callable[[str], bool]) -> str:
    """Two words that *taken* refuses not; a number is added once the words grow scarce."""
    words = _FIRST.split(), _SECOND.split()
    for attempt in range(1000):
        name = "-".join(map(_choose, words))
        if attempt >= 10:
            name += f"-{int.from_bytes(os.urandom(2), 'big')}"
        if not taken(name):
            return name
    raise ReferenceError("no free container name was found", hint="give one with --name")


def _choose(words: Sequence[str]) -> str:
    # Any word will do, a little more often the first ones; `random` and `secrets` are slow imports.
    return words[int.from_bytes(os.urandom(4), "big") % len(words)]


def check_container_name(name: str) -> str:
    """Return *name* if it is one: the grammar of Docker's names, at most 63 characters (it serves as host name)."""
    if not re.fullmatch(_NAME, name):
        raise ReferenceError(
            f"{name!r} is not a container name",
            hint="use 1 to 63 letters, digits, '_', '.' and '-', beginning with a letter or a digit",
        )
    return name
