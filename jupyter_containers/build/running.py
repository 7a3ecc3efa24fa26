"""The run step: one shell line of the spec, as root of the sandbox, with network."""

from __future__ import annotations

from ..image.model import Layer
from ..sandbox import process
from ..sandbox.model import Overlay
from . import rootfs
from .context import Context
from .emulation import step_sandbox
from .plan import RunStep
from .report import check_cancelled
from .tree import Tree

__all__ = ["run_command"]


def run_command(step: RunStep, context: Context) -> Layer:
    """Run the line with ``sh -c``; what it leaves in the root, but for /run and /dev, is the layer."""
    context.reporter.phase("running")
    env = {**image_environment(context), **step.env}
    with context.store.staging() as staging:
        sandbox = step_sandbox(
            ("/bin/sh", "-c", step.command),
            root=Overlay(context.state.paths, staging.upper, staging.work),
            store=context.store.root, network=True, env=env, limits=context.bounds.limits,
        )  # fmt: skip
        status = process.run(
            sandbox, on_output=context.reporter.output, timeout=context.bounds.seconds, cancel=context.cancel
        )
        context.reporter.flush()
        check_cancelled(context.cancel)
        if status != 0:
            raise context.reporter.failure(step.command, status)
        context.reporter.phase("committing")
        with Tree(staging.upper) as tree:
            rootfs.remove_mount_points(tree)
        return context.store.commit_layer(staging.upper, created_by=f"RUN {step.command}")


def image_environment(context: Context) -> dict[str, str]:
    """What the image so far sets: a base image's own variables, and the virtual environment's."""
    env = dict(context.state.base.config.execution.environment) if context.state.base else {}
    return {**env, **context.state.environment}
