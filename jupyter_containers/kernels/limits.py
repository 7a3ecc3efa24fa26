"""How much a kernel gets: decided from what the spec says, what was chosen at its start, and what is allowed.

A notebook carries the limits that were chosen for it in its metadata, ``jupyter_containers.limits``. A notebook may be
a stranger's, and a kernel can write its own: so what stands there can only take away. More than the spec has, its user
may agree to in a request that is authenticated (``POST notebooks/limits``); more than the administrator allows, nobody.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import msgspec

from ..errors import InputError, Problem, SpecError
from ..spec.durations import parse_duration
from ..spec.model import EnvironmentSpec, Resources
from ..spec.reading import NOTEBOOK_LIMIT, Folder
from ..spec.sizes import parse_size
from .naming import Followed
from .options import KernelOptions

__all__ = [
    "Ceiling",
    "Chosen",
    "Policy",
    "StartLimits",
    "check_chosen",
    "current_policy",
    "decide",
    "read_chosen",
    "wanted_limits",
]

METADATA = "jupyter_containers"
"""The key of a notebook's metadata that is this program's."""

Network = Literal["none", "full"]
_NUMBERS = ("memory", "cpus", "pids", "gpus", "files", "time")


class Chosen(msgspec.Struct, frozen=True, kw_only=True):
    """Limits that somebody has chosen for one notebook; None: the spec's."""

    memory: int | str | None = None
    """Bytes, or with a unit: ``2G``."""
    cpus: float | None = None
    pids: int | None = None
    gpus: int | None = None
    network: Network | None = None
    files: int | None = None
    time: int | str | None = None
    """Seconds, or with a unit: ``2h``."""

    @property
    def numbers(self) -> dict[str, float | int]:
        """Those that are given, memory in bytes and time in seconds."""
        memory = parse_size(self.memory) if isinstance(self.memory, str) else self.memory
        time = parse_duration(self.time) if isinstance(self.time, str) else self.time
        given = {
            "memory": memory, "cpus": self.cpus, "pids": self.pids, "gpus": self.gpus, "files": self.files,
            "time": time,
        }  # fmt: skip
        return {name: value for name, value in given.items() if value is not None}


class Ceiling(msgspec.Struct, frozen=True, kw_only=True):
    """What the administrator allows each kernel; None: as much as it likes."""

    memory: int | None = None
    """Bytes."""
    cpus: float | None = None
    pids: int | None = None
    gpus: int | None = None
    network: Network = "full"
    files: int | None = None
    time: int | None = None
    """Seconds."""

    @property
    def numbers(self) -> dict[str, float]:
        """Of the limits that can be changed while a kernel runs."""
        given = {"memory": self.memory, "cpus": self.cpus, "pids": self.pids}
        return {name: float(value) for name, value in given.items() if value is not None}


class StartLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What a kernel is started with."""

    resources: Resources
    network: Network
    maximum: dict[str, float] = {}
    """The administrator's, which holds for changes while the kernel runs as well."""


class Policy:
    """The rules of this process: the administrator's, and what users have agreed to here."""

    def __init__(self) -> None:
        self.ceiling = Ceiling()
        self.outlive = 0
        """Seconds that kernels go on when this process has ended; 0: not at all."""
        self._agreed: Followed[Chosen] = Followed()

    def agree(self, notebook: Path, chosen: Chosen | None) -> None:
        """Let the next kernels of *notebook* (absolute) have what was *chosen*, until this process ends; None: no
        more. It goes with the notebook where that is renamed (:mod:`.naming`)."""
        self._agreed.put(notebook, chosen)

    def agreed(self, notebook: Path) -> Chosen | None:
        return self._agreed.get(notebook)

    def move(self, before: Path, after: Path) -> None:
        """A notebook, or a folder of some, is called *after* from now on."""
        self._agreed.move(before, after)

    def forget(self, notebook: Path) -> None:
        """A notebook, or a folder of some, is no more: what comes there next is another one."""
        self._agreed.forget(notebook)


_policy = Policy()


def current_policy() -> Policy:
    """The one of this process."""
    return _policy


def wanted_limits(spec: EnvironmentSpec, options: KernelOptions) -> Resources:
    """The spec's limits, under those of the options."""
    asked = {
        "memory": options.memory_bytes, "cpus": options.cpus, "pids": options.pids, "files": options.files,
        "time": options.seconds,
    }  # fmt: skip
    return msgspec.structs.replace(spec.resources, **{key: value for key, value in asked.items() if value is not None})


def decide(
    spec: EnvironmentSpec,
    options: KernelOptions,
    *,
    chosen: Chosen | None = None,
    agreed: Chosen | None = None,
    ceiling: Ceiling = Ceiling(),  # noqa: B008  frozen
) -> StartLimits:
    """The limits of a start. *chosen*: what the notebook says, which only takes away. *agreed*: what its user has
    agreed to, which takes the spec's place."""
    base = wanted_limits(spec, options)
    network: Network = options.network or spec.network
    numbers: dict[str, Any] = {name: getattr(base, name) for name in _NUMBERS}
    if agreed is not None:
        numbers |= agreed.numbers
        network = agreed.network or network
    elif chosen is not None:
        numbers = {name: _least(numbers[name], chosen.numbers.get(name)) for name in _NUMBERS}
        if numbers["gpus"] and not base.gpus:
            numbers["gpus"] = base.gpus  # no limit of GPUs is none of them
        network = chosen.network if chosen.network == "none" else network
    for name in ("memory", "cpus", "pids", "files", "time"):
        numbers[name] = _least(numbers[name], getattr(ceiling, name))
    if numbers["gpus"]:
        numbers["gpus"] = _least(numbers["gpus"], ceiling.gpus)
    if ceiling.network == "none":
        network = "none"
    return StartLimits(resources=msgspec.structs.replace(base, **numbers), network=network, maximum=ceiling.numbers)


def _least(*values: float | int | None) -> float | int | None:
    given = [value for value in values if value is not None]
    return min(given) if given else None


def check_chosen(chosen: Chosen) -> Chosen:
    """*chosen*, once it is seen to be well formed; :class:`InputError` with every problem."""
    problems = []
    for name, parse in (("memory", parse_size), ("time", parse_duration)):
        value = getattr(chosen, name)
        if isinstance(value, str):
            try:
                parse(value)
            except ValueError as error:
                problems.append(Problem("", str(error), key=name))
        elif value is not None and value <= 0:
            problems.append(Problem("", "has to be more than 0", key=name))
    for name in ("cpus", "pids", "files"):
        value = getattr(chosen, name)
        if value is not None and value <= 0:
            problems.append(Problem("", "has to be more than 0", key=name))
    if chosen.gpus is not None and chosen.gpus < 0:
        problems.append(Problem("", "can't be less than 0", key="gpus"))
    if problems:
        raise InputError("limits that no kernel can have", problems=problems)
    return chosen


class _Ours(msgspec.Struct):
    limits: Chosen | None = None


class _Metadata(msgspec.Struct):
    jupyter_containers: _Ours | None = None


class _Notebook(msgspec.Struct):
    metadata: _Metadata = msgspec.field(default_factory=_Metadata)


def read_chosen(notebook: Path) -> Chosen | None:
    """What the file *notebook* says of limits; None where it says nothing, or can't be read. Blocks."""
    if notebook.suffix != ".ipynb":
        return None
    try:
        data = Folder(notebook.parent).read(notebook.name, limit=NOTEBOOK_LIMIT)
        ours = msgspec.json.decode(data, type=_Notebook).metadata.jupyter_containers
        return check_chosen(ours.limits) if ours is not None and ours.limits is not None else None
    except (SpecError, InputError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None  # a wish that nobody understands; it could only have taken away
