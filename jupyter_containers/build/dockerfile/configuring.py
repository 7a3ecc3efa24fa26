"""Instructions that change the configuration, and WORKDIR's folder."""

from __future__ import annotations

import msgspec

from ...errors import BuildError
from ...image.model import History, Layer
from ..report import Reporter
from ..tree import Tree
from .copying import problem
from .metadata import apply
from .model import Arg, Cmd, Instruction, Maintainer, Workdir
from .scope import check_size, declare_all
from .work import Step, step_id, take_layer
from .writing import Writer

__all__ = ["configure"]


def configure(step: Step, instruction: Instruction) -> None:
    """Carry out *instruction* on the stage's configuration. Raises :class:`.flags.Refused` for wrong values."""
    state, dockerfile = step.state, step.build.dockerfile
    if isinstance(instruction, Arg):
        state.scope = declare_all(state.scope, instruction, state.execution.environment, dockerfile)
    elif isinstance(instruction, Maintainer):
        state.author = step.expand(instruction.author)
    else:
        state.execution = apply(instruction, state.execution, step.expand, has_cmd=state.has_cmd)
        check_size(state.execution.environment, dockerfile, instruction)
        state.has_cmd = state.has_cmd or isinstance(instruction, Cmd)
    if isinstance(instruction, Workdir):
        below = step.below
        if below.item(below.place(state.execution.working_dir)) is None:
            _make_folder(step, state.execution.working_dir)
            return
    # There is nothing to make, so nothing to cache: the id tells of the configuration that comes out.
    config = msgspec.json.encode(state.execution, order="deterministic").decode()
    reporter = step.reporter(step_id(state.layers, config=config, args=state.scope.counted, author=state.author))
    reporter.started("committing")
    reporter.finished()
    if not isinstance(instruction, Arg):
        state.history.append(History(created_by=instruction.text, empty_layer=True))


def _make_folder(step: Step, path: str) -> None:
    def make(reporter: Reporter) -> Layer:
        with step.build.store.staging() as staging:
            with Tree(staging.fs) as tree:
                Writer(tree, step.below).folder(path)
            return step.build.store.commit_layer(staging.fs, created_by=step.instruction.text)

    try:
        take_layer(step, {"folder": path}, make, phase="committing")
    except BuildError as error:
        if type(error) is not BuildError:
            raise  # cancelled
        raise problem(step, error.message) from error
