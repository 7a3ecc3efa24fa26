"""Files of containers, and what is made of them: what :class:`.Environments` hands on to."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import msgspec

from .errors import InputError
from .paths import Paths

if TYPE_CHECKING:
    from .image.compression import Readable
    from .image.model import ExecutionConfig, Image
    from .image.store import Store
    from .runtime.base import Container
    from .runtime.copying import Copied
    from .shipping import Shipping

__all__ = ["Committed", "Files", "split_place"]

_ANY_TIME = 1 << 33
"""Seconds: files keep their times, which the byte code of Python modules beside them refers to."""
_LONGEST_COMMENT = 4096

Progress = Callable[[str, int, int], None]


def _quiet(what: str, done: int, total: int) -> None:
    """Tells nobody."""


class Committed(msgspec.Struct, frozen=True, kw_only=True):
    """An image that was made of a container, or of a root file system."""

    image: str
    """Digest."""
    reference: str = ""
    """Its name; empty: it has none, and goes with the next `prune`."""
    layer: str = ""
    """diff_id of the new layer; empty: nothing had changed."""
    entries: int = 0
    size: int = 0
    """Bytes of the new layer's files."""
    left_out: tuple[str, ...] = ()
    """Sockets and devices."""


class Files:
    """Commit, copy, export and import.

    :param container: finds a container, as :meth:`.Environments.container`.
    """

    def __init__(
        self, paths: Paths, store: Store, shipping: Shipping, *, container: Callable[[str], Container]
    ) -> None:
        self.paths, self.store = paths, store
        self._shipping, self._container = shipping, container

    def commit(
        self, reference: str, name: str, *, message: str = "", author: str = "", changes: Sequence[str] = (),
        progress: Progress = _quiet,
    ) -> Committed:  # fmt: skip
        """Make an image called *name* of a container's image and what the container has changed.

        A running container, a kernel too, stands still while its files are copied. *changes* are Dockerfile
        instructions for the configuration; else it is that of the container's image. Raises
        :class:`~jupyter_containers.errors.ConflictError` for an environment's name.
        """
        from .build.dockerfile.changing import change_config
        from .runtime.committing import commit_container

        whole = self._shipping.check_name(name)
        _check_text(message, author)
        container = self._container(reference)
        with self.store.lease([container.config.image]):
            made = commit_container(
                self.store, container, execution=lambda config: change_config(config, changes), author=author,
                comment=message, progress=progress,
            )  # fmt: skip
            self._shipping.tag(made.image, whole)
        return Committed(
            image=made.image.digest, reference=whole, layer=made.layer.diff_id if made.layer else "",
            entries=made.snapshot.entries, size=made.snapshot.size, left_out=tuple(made.snapshot.dropped),
        )  # fmt: skip

    def export(self, reference: str, stream: BinaryIO, *, progress: Progress = _quiet) -> int:
        """Write all files of a container, its image's and its own, to *stream* as one tar; returns its size.

        What is mounted, and what :meth:`commit` leaves out, is not in it.
        """
        from .image.capture import Capture
        from .image.flatten import Tree, flatten
        from .image.layer import stream_tar

        container = self._container(reference)
        with self.store.lease([container.config.image]), self.store.staging() as staging:
            image = self.store.image(container.config.image)
            container.copy_changes(staging.upper, progress=progress)
            # As for a layer: what its owner may not read is made readable, and its true mode noted.
            capture = Capture(os.fsencode(staging.upper), _ANY_TIME, private=True)
            for _ in capture.items():
                pass
            trees = [Tree(layer.path, self.store.layer_record(layer.diff_id).facts) for layer in image.layers]
            size = 0
            with closing(stream_tar(flatten([*trees, Tree(staging.upper, capture.facts)]))) as pieces:
                for piece in pieces:
                    stream.write(piece)
                    size += len(piece)
                    progress("writing files", size, 0)
        return size

    def import_root(
        self,
        source: str,
        name: str = "",
        *,
        message: str = "",
        changes: Sequence[str] = (),
        platform: str = "",
        progress: Progress = _quiet,
    ) -> Committed:
        """Make an image of one layer of the root file system in a tar: a file, a web address, or ``-``, standard input.

        The tar is foreign content: errors are those of :func:`.image.foreign.load_root`. *platform* (``linux/arm64``)
        is what it is for; default: this machine.
        """
        from .build.dockerfile.changing import change_config
        from .build.dockerfile.platform import host_platform, parse_platform
        from .image.foreign import load_root_stream
        from .image.model import ExecutionConfig, History, ImageConfig

        whole = self._shipping.check_name(name) if name else ""
        _check_text(message, "")
        target = parse_platform(platform) if platform else host_platform()
        execution: ExecutionConfig = change_config(ExecutionConfig(), changes)
        with self.store.lease(), self._opened(source, progress) as (stream, what):
            created_by = f"import {what}"
            layer = load_root_stream(self.store, stream, what=what, created_by=created_by, epoch=_ANY_TIME)
            now = _now()
            config = ImageConfig(
                created=now, architecture=target.architecture, variant=target.variant, config=execution,
                history=(History(created=now, created_by=created_by, comment=message),),
            )  # fmt: skip
            image: Image = self.store.put_image(config, [layer])
            if whole:
                self._shipping.tag(image, whole)
        return Committed(
            image=image.digest, reference=whole, layer=layer.diff_id, entries=layer.entries, size=layer.size
        )

    def copy(self, source: str, target: str, *, follow: bool = False, progress: Progress = _quiet) -> Copied:
        """Copy files between the host and a container: one of the two is ``CONTAINER:PATH``, the other a path, or
        ``-`` for a tar on standard input or output. See :mod:`.runtime.copying` for the rules.

        *follow*: a link that *source* ends with is followed.
        """
        (from_container, path), (to_container, place) = split_place(source), split_place(target)
        if bool(from_container) == bool(to_container):
            both = "both are containers" if from_container else "neither names a container"
            raise InputError(
                f"{source} and {target}: {both}", hint="write one as CONTAINER:PATH, and a path with a : as ./a:b"
            )
        from .runtime import hostfiles

        if from_container:
            container = self._container(from_container)
            with container.open_root() as root:
                return hostfiles.copy_out(root, path, place, label=source, follow=follow, progress=progress)
        container = self._container(to_container)
        with container.open_root() as root:
            return hostfiles.copy_in(
                root, path, place, label=target, follow=follow, disk=self.paths.home, progress=progress
            )

    @contextmanager
    def _opened(self, source: str, progress: Progress) -> Iterator[tuple[Readable, str]]:
        if source == "-":
            yield sys.stdin.buffer, "standard input"
            return
        if source.lower().startswith(("http://", "https://")):
            from .image.bounds import DEFAULT_BOUNDS
            from .lock.download import download
            from .lock.settings import Settings
            from .lock.transport import shown

            with self.store.staging() as staging:
                file = staging.path / "download"
                download(source, file, Settings.current(), max_bytes=DEFAULT_BOUNDS.size, progress=progress)
                with file.open("rb") as stream:
                    yield stream, shown(source)
            return
        from .image.archive import open_file

        with open_file(Path(source)) as opened:
            yield opened, source


def split_place(text: str) -> tuple[str, str]:
    """The container and the path that *text* names; no container where it is a path of the host's.

    As docker has it: what begins with ``/`` or ``.`` is a path, else the first ``:`` parts the two.
    """
    if text.startswith(("/", ".")) or ":" not in text:
        return "", text
    container, _, path = text.partition(":")
    if not path:
        raise InputError(f"{text}: no path", hint="write CONTAINER:PATH")
    return container, path


def _check_text(*texts: str) -> None:
    for text in texts:
        if len(text) > _LONGEST_COMMENT:
            raise InputError(
                f"a text of {len(text)} characters is more than the {_LONGEST_COMMENT} that an image keeps"
            )


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
