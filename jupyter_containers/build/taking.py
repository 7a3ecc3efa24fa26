"""One step after the other: each taken from the store, from another builder, or made here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..errors import BuildError, ContainerError
from ..image.model import History, Layer
from .apt import install_packages
from .base import has_user, make_base, root_layers
from .context import Context, State
from .copying import copy_files
from .emulation import ENVIRONMENT, check_architecture
from .monitor import Phase
from .plan import AptStep, BaseStep, CopyStep, PythonStep, RunStep, Step
from .python import install_environment
from .report import Waiting, check_cancelled
from .running import run_command

__all__ = ["take"]

_FIRST_PHASE: Mapping[type[Step], Phase] = {
    BaseStep: "downloading", AptStep: "downloading", PythonStep: "downloading", CopyStep: "copying", RunStep: "running",
}  # fmt: skip


def take(step: Step, context: Context, *, no_cache: bool) -> None:
    """Add the step's layer to the state: from the store, from another builder, or made here."""
    reporter, store = context.reporter, context.store
    check_cancelled(context.cancel)
    if isinstance(step, BaseStep):
        below = root_layers(step, context)
        context.state.layers.extend(below)
        context.state.history.extend(_history_below(context.state, below))
        if below and has_user(context):
            reporter.cached()
            return
    layer = None if no_cache else store.step(step.id)
    if layer is not None:
        reporter.cached()
    else:
        reporter.started(_FIRST_PHASE[type(step)])
        waiting = Waiting(reporter, context.cancel)
        with store.lock_step(step.id, waiting=waiting):
            # Another may have finished it while we waited: then even --no-cache has a fresh one.
            layer = store.step(step.id) if waiting.told or not no_cache else None
            if layer is None:
                layer = _make(step, context)
                store.record_step(step.id, layer)
        reporter.finished()
    if layer.entries:
        context.state.layers.append(layer)
    # A step that left nothing (a test, say) is remembered, and is no layer for a kernel to mount.
    context.state.history.append(History(created_by=step.created_by, empty_layer=not layer.entries))
    if isinstance(step, PythonStep):
        environment = step.interpreter.environment
        base = context.state.base.config.execution.environment if context.state.base else {}
        # Of a base that is an environment, its bin folder is on the path already.
        folders = [item for item in base.get("PATH", ENVIRONMENT["PATH"]).split(":") if item != f"{environment}/bin"]
        context.state.environment = {"VIRTUAL_ENV": environment, "PATH": ":".join([f"{environment}/bin", *folders])}


def _make(step: Step, context: Context) -> Layer:
    if not isinstance(step, CopyStep):
        check_architecture(context.architecture)
    try:
        match step:
            case BaseStep():
                return make_base(step, context)
            case AptStep():
                return install_packages(step, context)
            case PythonStep():
                return install_environment(step, context)
            case CopyStep():
                return copy_files(step, context)
            case RunStep():
                return run_command(step, context)
    except ContainerError as error:
        # The sandbox gave up on it (time), not the command.
        raise BuildError(
            f"step {step.title!r}: {error.message}",
            step=step.title, output=error.output, log=context.reporter.log, hint=error.hint,
        ) from error  # fmt: skip
    raise TypeError(step)


def _history_below(state: State, layers: Sequence[Layer]) -> tuple[History, ...]:
    if state.base is not None and state.base.config.history is not None:
        return state.base.config.history
    return tuple(History(created_by=layer.created_by) for layer in layers)
