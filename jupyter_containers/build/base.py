"""The base step: the root file system that everything else lies on."""

from __future__ import annotations

from pathlib import Path

from ..errors import HashMismatchError, NotFoundError
from ..image.foreign import load_root
from ..image.inside import read_bytes_in_root
from ..image.layout import load
from ..image.model import Image, Layer
from ..image.store import Store
from ..lock.bases import digest_file
from ..lock.fit import base_file
from ..lock.images import find_pinned
from ..lock.model import Base
from ..spec.model import LoadedSpec
from . import rootfs
from .bootstrap import bootstrap
from .context import Context
from .layers import make_parents
from .plan import BaseStep
from .report import Reporter, Waiting
from .tree import Tree

__all__ = ["find_image", "has_user", "make_base", "root_layers"]


def find_image(loaded: LoadedSpec, base: Base, store: Store, reporter: Reporter) -> Image | None:
    """The image that is started from, loaded or pulled where the store has it no more; None for a base that is no
    image, and for a Dockerfile's.

    :class:`HashMismatchError` where the file has another image than the lock, :class:`NotFoundError` for an
    environment whose image is gone.
    """
    if base.kind == "image":
        (pinned,) = base.images
        progress = reporter.progress("downloading", "bytes")
        return find_pinned(store, pinned, progress=progress, notify=reporter.say)
    if base.kind not in {"oci", "environment"}:
        return None
    try:
        return store.image(base.digest)
    except NotFoundError:
        if base.kind == "environment":
            raise
    path = base_file(loaded, base.source)
    image = load(store, path, progress=reporter.progress("unpacking"))
    if image.digest != base.digest:
        raise HashMismatchError(
            f"{path} holds the image {image.digest}, and the lock has {base.digest}",
            hint="run `jupyter containers lock` to take the image as it is now",
        )
    return image


def root_layers(step: BaseStep, context: Context) -> tuple[Layer, ...]:
    """The layers below the step's own: of an image, or of a root archive."""
    if context.state.base is not None:
        return context.state.base.layers
    if step.base.kind == "scratch":
        # An id of its own, beside the step's: the archive is unpacked once, and not at all when nothing changed.
        name = f"root-{step.base.digest.replace(':', '-')}"
        with context.store.lock_step(name, waiting=Waiting(context.reporter, context.cancel)):
            layer = context.store.step(name)
            if layer is None:
                context.reporter.phase("unpacking")
                layer = load_root(context.store, _checked_archive(step.base, context.loaded))
                context.store.record_step(name, layer)
        return (layer,)
    return ()


def has_user(context: Context) -> bool:
    """Whether the root has an account for kernels to run as."""
    try:
        accounts = read_bytes_in_root(context.state.paths, "etc/passwd")
    except NotFoundError:
        return False
    return any(row.split(b":")[2:3] == [str(rootfs.USER_ID).encode()] for row in accounts.splitlines())


def _checked_archive(base: Base, loaded: LoadedSpec) -> Path:
    path = base_file(loaded, base.source)
    digest = digest_file(path)
    if digest != base.digest:
        raise HashMismatchError(
            f"{path} has {digest}, and the lock {base.digest}",
            hint="run `jupyter containers lock` to take the archive as it is now",
        )
    return path


def make_base(step: BaseStep, context: Context) -> Layer:
    """The step's own layer: all of a Debian base; over other roots, the user that kernels run as."""
    if step.base.kind == "debian":
        return _bootstrap(step, context)
    return _adapt(context)


def _bootstrap(step: BaseStep, context: Context) -> Layer:
    context.reporter.phase("downloading")
    debs = context.downloads.wait_for_debs(step.id, context.cancel)
    with context.store.staging() as staging:
        epoch = bootstrap(
            debs, staging.fs, suite=step.base.suite, architecture=step.architecture,
            store=context.store.root, reporter=context.reporter, cancel=context.cancel,
        )  # fmt: skip
        context.reporter.phase("committing")
        return context.store.commit_layer(staging.fs, created_by=step.title, epoch=epoch)


def _adapt(context: Context) -> Layer:
    layers = context.state.paths
    with context.store.staging() as staging:
        with Tree(staging.fs) as tree:
            for path in rootfs.ACCOUNTS:
                try:
                    content = read_bytes_in_root(layers, path)
                except NotFoundError:
                    continue
                make_parents(tree, layers, path)
                tree.file(path, content, 0o640 if "shadow" in path else 0o644)
            make_parents(tree, layers, f"{rootfs.HOME}/x")
            rootfs.add_user(tree, day=0)
        context.reporter.phase("committing")
        return context.store.commit_layer(staging.fs, created_by=f"the user {rootfs.USER}")
