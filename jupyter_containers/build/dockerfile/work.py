"""What the stages of one build share, how far a stage has come, and how a step becomes a layer."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

from ...image.facts import Facts
from ...image.model import ExecutionConfig, History, Image, Layer
from ...image.store import Store
from ...paths import Paths
from ..bounds import Bounds
from ..monitor import Monitor, Phase, Progress
from ..report import Reporter, check_cancelled
from .metadata import Expand
from .model import Dockerfile, Instruction
from .platform import Platform
from .scope import Scope, expand_in
from .sources import ImageSource, LocalSource
from .version import FORMAT

if TYPE_CHECKING:
    from ...lock.model import PinnedImage
    from ...lock.settings import Settings

__all__ = ["Build", "Pull", "StageState", "Step", "image_source", "step_id", "take_layer"]

Pull: TypeAlias = Callable[[str, str, Progress], Image]
"""Fetches the image of a reference, for a platform (``linux/arm64``), from its registry into the store."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Build:
    """Given once, the same for all stages."""

    dockerfile: Dockerfile
    folder: Path
    """The build context."""
    context: LocalSource
    store: Store
    paths: Paths
    settings: Settings | None
    """For downloads; None: the user's."""
    secrets: Mapping[str, bytes]
    target: Platform
    pull: Pull | None
    monitor: Monitor
    note: Callable[[str], None]
    """Told, once each, what is not honoured as written."""
    cancel: threading.Event
    bounds: Bounds
    no_cache: bool
    fresh: bool = False
    log: str = ""
    pins: Sequence[PinnedImage] = ()
    """What names of images stand for, whatever they stand for now."""
    took: Callable[[PinnedImage], None] = lambda pinned: None
    """Told, from any thread, what the names of images stood for."""
    stages: dict[int, StageState] = field(default_factory=dict)
    """The finished ones."""


@dataclass(slots=True)
class StageState:
    """The image as far as a stage has brought it."""

    title: str
    architecture: str
    scope: Scope
    execution: ExecutionConfig
    variant: str = ""
    layers: list[Layer] = field(default_factory=list)
    """Lowest first."""
    history: list[History] = field(default_factory=list)
    author: str = ""
    has_cmd: bool = False

    @property
    def variables(self) -> dict[str, str]:
        """What ``$NAME`` means in an instruction: ENV over ARG."""
        return {**self.scope.args, **self.execution.environment}

    def expander(self, dockerfile: Dockerfile, instruction: Instruction) -> Expand:
        """Expansion with the variables as they are now: an instruction does not see its own changes."""
        variables = self.variables
        return lambda text: expand_in(text, variables, dockerfile, instruction)


@dataclass(frozen=True, slots=True)
class Step:
    """One instruction at work."""

    instruction: Instruction
    title: str
    """``[builder 2/5] RUN make``."""
    state: StageState
    build: Build

    def expand(self, text: str) -> str:
        return expand_in(text, self.state.variables, self.build.dockerfile, self.instruction)

    @property
    def place(self) -> str:
        """``Dockerfile:12``."""
        return f"{self.build.dockerfile.file}:{self.instruction.line}"

    @property
    def below(self) -> ImageSource:
        """The image so far."""
        return image_source(self.state.layers, self.build.store, name="the image")

    def reporter(self, identity: str) -> Reporter:
        return Reporter(self.build.monitor, title=self.title, step_id=identity, log=self.build.log)


def image_source(layers: Sequence[Layer], store: Store, *, name: str) -> ImageSource:
    modes = {layer.path: _true_modes(store.layer_record(layer.diff_id).facts) for layer in layers}
    return ImageSource([layer.path for layer in layers], name=name, modes=modes)


def _true_modes(facts: Facts) -> Mapping[str, int]:
    """Modes that are not the ones on disk, by every name of a file: facts have a mode under the first one."""
    links = {name: facts.modes[first] for name, first in facts.links.items() if first in facts.modes}
    return {**facts.modes, **links}


def step_id(layers: Sequence[Layer], **parts: Any) -> str:
    """64 hexadecimal digits that stand for a step's result: the content of the layers below, and what it does.

    Chained by content and not by the steps before: one that gives the same bytes anew does not cost those after it.
    """
    document = {"format": FORMAT, "below": [layer.diff_id for layer in layers], **parts}
    return hashlib.sha256(msgspec.json.encode(document, order="deterministic")).hexdigest()


def take_layer(step: Step, key: Mapping[str, Any], make: Callable[[Reporter], Layer], *, phase: Phase) -> None:
    """Add the step's layer to its stage: from the store, from another builder, or by *make*.

    *key* is all that decides about the result.
    """
    build, state = step.build, step.state
    identity = step_id(state.layers, instruction=step.instruction.keyword, **key)
    reporter = step.reporter(identity)
    check_cancelled(build.cancel)
    layer = None if build.no_cache else build.store.step(identity)
    if layer is not None:
        reporter.cached()
    else:
        reporter.started(phase)
        told = False

        def waiting(pid: int) -> None:
            nonlocal told
            check_cancelled(build.cancel)
            if not told:
                reporter.phase("waiting", f"process {pid or '?'} is building this step")
                told = True

        with build.store.lock_step(identity, waiting=waiting):
            # Another may have finished it while we waited: then even --no-cache has a fresh one.
            layer = build.store.step(identity) if told or not build.no_cache else None
            if layer is None:
                layer = make(reporter)
                build.store.record_step(identity, layer)
        reporter.finished()
    state.layers.append(layer)
    state.history.append(History(created_by=step.instruction.text))
