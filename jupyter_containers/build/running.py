"""The run step: one shell line of the spec, as root of the sandbox, with network."""

from __future__ import annotations

from ..image.model import Layer
from ..sandbox.model import Overlay
from . import rootfs
from .context import Context
from .emulation import step_sandbox
from .execution import execute
from .plan import RunStep
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
        execute(sandbox, command=step.command, reporter=context.reporter, cancel=context.cancel, bounds=context.bounds)
        context.reporter.phase("committing")
        with Tree(staging.upper) as tree:
            rootfs.remove_mount_points(tree)
        return context.store.commit_layer(staging.upper, created_by=step.created_by)


def image_environment(context: Context) -> dict[str, str]:
    """What the image so far sets: a base image's own variables, and the virtual environment's."""
    env = dict(context.state.base.config.execution.environment) if context.state.base else {}
    return {**env, **context.state.environment}
