"""The copy step: files of the spec's folder become part of the image."""

from __future__ import annotations

import stat

from ..errors import BuildError
from ..image.model import Layer
from .context import Context
from .inputs import HashedReader, InputHash, changed, list_entries, source_path
from .layers import is_folder, make_parents, resolve
from .plan import CopyStep
from .tree import Tree

__all__ = ["copy_files"]


def copy_files(step: CopyStep, context: Context) -> Layer:
    """Copy a file, or what is in a folder, as ``COPY`` of other builders does.

    A target that is a folder takes a file in under its name. Links are copied as links, so
    nothing outside of the spec's folder gets in. Of modes only it stays whether a file may be executed; times do not
    (a checkout has today's).
    :class:`BuildError` where the source is not what the step's hash says: the folder was written to meanwhile.
    """
    try:
        source = source_path(context.loaded, step.copy.source)
    except (OSError, ValueError) as error:
        raise BuildError(
            f"cannot copy {step.copy.source}: {error}", step=step.title, log=context.reporter.log
        ) from error
    context.reporter.phase("copying")
    layers = context.state.paths
    target = resolve(layers, step.copy.target)
    if not source.is_dir() and is_folder(layers, target):
        target = f"{target.rstrip('/')}/{source.name}"
    place = target.strip("/")
    with context.store.staging() as staging:
        count, total = 0, InputHash()
        with Tree(staging.fs) as tree:
            if place:
                make_parents(tree, layers, place)
            for entry in list_entries(source, without=context.loaded.lock_file):
                path = "/".join(part for part in (place, entry.path) if part)
                if stat.S_ISREG(entry.mode):
                    with entry.open() as stream:
                        content = HashedReader(stream)
                        tree.file(path, content, stat.S_IMODE(entry.mode) & 0o777)
                    total.add(entry, content.hexdigest())
                else:
                    total.add(entry)
                    if not path:
                        continue
                    if stat.S_ISDIR(entry.mode):
                        tree.folder(path, stat.S_IMODE(entry.mode) & 0o777)
                    else:
                        tree.link(path, entry.target, mtime=0)
                count += 1
        if total.hexdigest() != step.sha256:
            raise changed(step.copy.source, context.reporter)
        context.reporter.say(f"copied {count} files and folders")
        context.reporter.phase("committing")
        return context.store.commit_layer(staging.fs, created_by=step.title)
