"""The base step: the root file system that everything else lies on."""

from __future__ import annotations

from pathlib import Path

from ..errors import BuildError, HashMismatchError
from ..image.model import Image, Layer
from ..lock.model import Base
from . import rootfs
from .bootstrap import bootstrap
from .context import Context
from .layers import read_text
from .plan import BaseStep
from .tree import Tree

__all__ = ["find_image", "make_base"]


def make_base(step: BaseStep, context: Context) -> Layer:
    """The step's own layer: all of a Debian base; of another image, what we add to it (the user)."""
    if step.base.kind == "debian":
        return _bootstrap(step, context)
    return _adapt(step, context)


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


def _adapt(step: BaseStep, context: Context) -> Layer:
    """A layer over a foreign image with the user that kernels run as; its own files are left alone."""
    with context.store.staging() as staging:
        layers = context.state.paths
        with Tree(staging.fs) as tree:
            for path in ("etc/passwd", "etc/group", "etc/shadow", "etc/gshadow"):
                content = read_text(layers, path)
                if content is not None:
                    tree.file(path, content.encode("utf-8", "surrogateescape"), 0o640 if "shadow" in path else 0o644)
            rootfs.add_user(tree, day=0)
        context.reporter.phase("committing")
        return context.store.commit_layer(staging.fs, created_by=f"user {rootfs.USER}")


def find_image(base: Base, folder: Path, context: Context) -> Image | None:
    """The image that is started from, loaded where it is not in the store yet; None for a Debian base.

    *folder* is where relative paths of the spec start. :class:`HashMismatchError` where it is not the one that the
    lock has.
    """
    match base.kind:
        case "debian":
            return None
        case "environment":
            return context.store.image(base.digest)
        case "oci":
            from ..image import layout  # late: only for foreign images

            path = folder / base.source.partition(":")[2]
            image = layout.load(context.store, path)
            if base.digest not in {image.digest, image.manifest_digest}:
                raise HashMismatchError(
                    f"{path} is the image {image.manifest_digest or image.digest}, and the lock has {base.digest}",
                    hint="run `jupyter containers lock --upgrade` to take the image as it is now",
                )
            return image
        case _:
            raise BuildError(f"{base.source}: bases of the kind {base.kind} can't be built", step=base.source)
