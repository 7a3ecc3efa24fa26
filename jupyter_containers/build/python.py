"""The python step: a virtual environment with exactly the packages of the lock."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from ..image.inside import exists_in_root
from ..image.model import Layer
from ..image.store import Store
from ..image.whiteout import set_opaque
from ..lock.pip import Artifact
from .context import Context
from .layers import make_parents, resolve
from .plan import PythonStep, Step
from .report import Reporter, check_cancelled
from .sources import build_wheel, find_built
from .tree import Tree
from .venv import link_trees, make_environment
from .wheels import Target, Wheel, prepare, prepared_path

__all__ = ["caches", "find_trees", "install_environment", "missing_artifacts"]


def missing_artifacts(step: PythonStep, store: Store) -> tuple[Artifact, ...]:
    """The files that must be downloaded for the step: what is prepared, or built, already needs none."""
    prepared, built = caches(step, store)
    return tuple(
        item
        for item in step.artifacts
        if (item.kind == "wheel" and not prepared_path(prepared, item.sha256).is_dir())
        or (item.kind == "sdist" and find_built(item, step, built) is None)
    )


def install_environment(step: PythonStep, context: Context) -> Layer:
    """Prepare the wheels that are new, link all of the step, and take the result in as a layer."""
    prepared, built = caches(step, context.store)
    context.reporter.phase("downloading")
    files = context.downloads.wait_for_artifacts(step.id, context.cancel)
    wheels = [_wheel(item, step, context, files.get(item), built) for item in step.artifacts]
    wheels.sort(key=lambda wheel: (wheel.name, wheel.version))
    with context.store.staging() as staging:
        target = Target(step.interpreter, step.architecture, context.state.paths, context.store.root)
        trees = prepare(
            wheels,
            cache=prepared,
            staging=staging.path,
            target=target,
            reporter=context.reporter,
            cancel=context.cancel,
        )
        check_cancelled(context.cancel)
        _link(step, wheels, trees, staging.fs, context)
        context.reporter.phase("committing")
        return context.store.commit_layer(staging.fs, created_by=step.title, plain_modes=True)


def find_trees(steps: Iterable[Step], names: Collection[str], store: Store) -> tuple[list[Path], set[str]]:
    """Folders with what the packages *names* put below the virtual environment, and the names of which there is none
    any more. *steps* are those of a build that is done; the store's caches are in use meanwhile."""
    trees: list[Path] = []
    missing = set(names)
    for step in steps:
        if not isinstance(step, PythonStep):
            continue
        prepared, built = caches(step, store)
        for item in step.artifacts:
            if item.name not in missing:
                continue
            wheel = None if item.kind == "wheel" else find_built(item, step, built)
            tree = prepared_path(prepared, wheel.sha256 if wheel is not None else item.sha256 or "none")
            if tree.is_dir():
                trees.append(tree)
                missing.discard(item.name)
    return trees, missing


def caches(step: PythonStep, store: Store) -> tuple[Path, Path]:
    """The folders of prepared wheels and of wheels built from source, for the step's interpreter."""
    return store.cache_dir("wheels") / step.interpreter_key, store.cache_dir("built") / step.interpreter_key


def _wheel(item: Artifact, step: PythonStep, context: Context, file: Path | None, built: Path) -> Wheel:
    if item.kind == "wheel":
        # Without a file it is prepared already, and the file is not looked at.
        return Wheel(item.name, item.version or "", item.filename, item.sha256, file or Path("/nonexistent"))
    return find_built(item, step, built) or build_wheel(item, step, context, file=file, cache=built)


def _link(step: PythonStep, wheels: Sequence[Wheel], trees: Sequence[Path], root: Path, context: Context) -> None:
    place = resolve(context.state.paths, step.interpreter.environment)
    with Tree(root) as tree:
        make_parents(tree, context.state.paths, place)
        tree.folder(place.strip("/"))
    folder = root / place.strip("/")
    if not step.added and exists_in_root(context.state.paths, place):
        # Of the environment that is the base: all of its packages are in this lock as well, at the versions that hold.
        set_opaque(os.fsencode(folder))
    reporter: Reporter = context.reporter
    reporter.phase("installing")
    names = [wheel.name for wheel in wheels]
    link_trees(trees, names, folder, warn=reporter.say, progress=reporter.progress("installing"))
    if not step.added:
        make_environment(folder, step.interpreter)
