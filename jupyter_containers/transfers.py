"""Images on their way, as jobs: what :class:`.Environments` hands on to for those who don't wait."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from shutil import disk_usage
from typing import TYPE_CHECKING, Any

from .errors import InputError, OutOfSpaceError
from .spec.sizes import format_size

if TYPE_CHECKING:
    from .files import Files
    from .image.store import Store
    from .jobs import Control, Jobs
    from .shipping import Shipping
    from .storage import Storage
    from .views import JobView

__all__ = ["Transfers", "Upload"]

_LEFT_FREE = 1 << 30
"""Bytes of the disk that an upload leaves alone."""


class Upload:
    """A file that is on its way from a client, in a folder of its own; :meth:`close` removes it."""

    def __init__(self, stack: ExitStack, path: Path, most: int) -> None:
        self.path, self.most = path, most
        self.size = 0
        self._stack = stack
        self._stream = stack.enter_context(path.open("xb"))

    def write(self, data: bytes) -> None:
        """:class:`OutOfSpaceError` past the bound."""
        self.size += len(data)
        if self.size > self.most:
            raise OutOfSpaceError(
                f"the file has more than the {format_size(self.most)} that there is room for",
                hint="`jupyter containers prune` frees what no environment uses",
            )
        self._stream.write(data)

    def finish(self) -> None:
        self._stream.flush()

    def close(self) -> None:
        self._stack.close()


class Transfers:
    """Pulling, pushing, loading and saving for clients of a server."""

    def __init__(self, store: Store, shipping: Shipping, storage: Storage, files: Files, jobs: Jobs) -> None:
        self._store, self._shipping, self._storage, self._files, self._jobs = store, shipping, storage, files, jobs

    def start_pull(self, reference: str) -> JobView:
        """Take an image from a registry. Result: ``digest``, ``reference``."""
        from .image.registry_settings import remote_reference

        whole = str(remote_reference(reference))  # its errors are the caller's

        def work(control: Control) -> dict[str, Any]:
            pulled = self._shipping.pull(reference, progress=control.progress, notify=control.say)
            return {"digest": pulled.image.digest, "reference": pulled.reference}

        return self._jobs.start("pull", f"Pull {whole}", work, alone=f"pull {whole}")

    def start_push(self, name: str, target: str) -> JobView:
        """Send the image of environment or image *name* to *target*.

        Result: ``digest`` of the manifest, ``reference``.
        """
        from .image.registry_settings import remote_reference

        whole = str(remote_reference(target))
        image = self._storage.find(name)

        def work(control: Control) -> dict[str, Any]:
            pushed = self._shipping.push(image, target, progress=control.progress, notify=control.say)
            return {"digest": pushed.digest, "reference": pushed.reference}

        return self._jobs.start("push", f"Push {name} to {whole}", work, alone=f"push {whole}")

    def start_commit(self, container: str, name: str, *, message: str = "") -> JobView:
        """Make an image *name* of a container with what it has changed. Result: ``digest``, ``reference``."""
        whole = self._shipping.check_name(name)

        def work(control: Control) -> dict[str, Any]:
            made = self._files.commit(container, name, message=message, progress=control.progress)
            if made.left_out:
                control.say(f"left out: {', '.join(made.left_out)}")
            return {"digest": made.image, "reference": made.reference, "size": made.size}

        return self._jobs.start("commit", f"Commit {container} as {whole}", work, alone=f"commit {whole}")

    def upload(self, *, expected: int | None = None) -> Upload:
        """A place for a file that a client sends; *expected* bytes, where it says so."""
        free = disk_usage(self._store.root).free - _LEFT_FREE
        if free <= 0 or (expected is not None and expected > free):
            raise OutOfSpaceError(
                f"there is room for {format_size(max(free, 0))}, and the file has "
                f"{format_size(expected) if expected is not None else 'more'}",
                hint="`jupyter containers prune` frees what no environment uses",
            )
        with ExitStack() as stack:
            folder = stack.enter_context(self._store.staging()).path
            return Upload(stack.pop_all(), folder / "upload", free)

    def start_load(self, upload: Upload, *, title: str = "") -> JobView:
        """Take in the images of an archive that was sent; it is not trusted. Result: ``images``, each with ``digest``
        and ``references``. The upload is closed when that is done."""

        def work(control: Control) -> dict[str, Any]:
            try:
                loaded = self._shipping.load(upload.path, progress=control.progress)
            finally:
                upload.close()
            for item in loaded:
                if item.left_out:
                    control.say(f"names that can't be given: {', '.join(item.left_out)}")
            return {"images": [{"digest": item.digest, "references": list(item.references)} for item in loaded]}

        if upload.size == 0:
            raise InputError("the file is empty", hint="send an OCI archive, or one of `docker save`")
        upload.finish()
        return self._jobs.start("load", title or "Load images from a file", work)

    @contextmanager
    def archive(self, references: Sequence[str]) -> Iterator[Path]:
        """An OCI archive of the images of *references*, for as long as the context is open."""
        with self._store.staging() as staging:
            path = staging.path / "archive.tar"
            self._storage.save(references, path)
            yield path
