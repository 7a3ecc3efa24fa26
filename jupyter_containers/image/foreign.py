"""Foreign layers, and root archives, into the store: checked, unpacked, committed or not there at all."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

from ..errors import UntrustedContentError
from .archive import open_file
from .bounds import DEFAULT_BOUNDS, Bounds
from .capture import EPOCH
from .compression import Readable, compression_of, inflate, run_ahead
from .digest import short_name
from .durable import full_disk_told
from .model import Descriptor, Layer
from .recipe import Recipe
from .records import LayerRecord
from .store import Store
from .unpack import unpack

__all__ = ["CheckedBlob", "load_layer", "load_root", "load_root_stream", "plain_tar"]

_PIECE = 1 << 20


class CheckedBlob:
    """A blob as it is read, held to its descriptor: not a byte more is read than it says."""

    def __init__(self, stream: Readable, descriptor: Descriptor, *, what: str) -> None:
        self._stream, self._descriptor, self._what = stream, descriptor, what
        self._state, self._left = sha256(), descriptor.size

    def read(self, size: int, /) -> bytes:
        data = self._stream.read(min(size, self._left)) if self._left else b""
        self._left -= len(data)
        self._state.update(data)
        return data

    def finish(self) -> None:
        """Read the rest, and check: :class:`UntrustedContentError`."""
        while self.read(_PIECE):
            pass
        if self._left:
            raise UntrustedContentError(
                f"{self._what}: it has {self._descriptor.size - self._left} bytes, {self._descriptor.size} are promised"
            )
        found = f"sha256:{self._state.hexdigest()}"
        if found != self._descriptor.digest:
            raise UntrustedContentError(f"{self._what}: its digest is {found}, {self._descriptor.digest} is promised")


def load_layer(
    store: Store,
    stream: Readable,
    diff_id: str,
    *,
    what: str,
    created_by: str,
    descriptor: Descriptor | None = None,
    compression: str = "",
    bounds: Bounds = DEFAULT_BOUNDS,
) -> Layer:
    """The layer *diff_id*, unpacked from *stream* where the store has it not yet.

    *descriptor* of the blob, where there is one, gives size and digest. *compression* is what it has to be; empty:
    whatever its first bytes tell. Raises :class:`UntrustedContentError` and
    :class:`~jupyter_containers.errors.OutOfSpaceError`; nothing is left behind then.
    """
    present = store.find_layer(diff_id)
    if present is not None:
        return present
    blob = CheckedBlob(stream, descriptor, what=what) if descriptor is not None else None
    source = _Peeked(blob or stream)
    found = compression_of(source.head)
    if compression and found != compression:
        raise UntrustedContentError(f"{what}: it is {found}, and its media type says {compression}")
    with full_disk_told(store.root), store.staging() as staging:
        tar = _Pieces(run_ahead(inflate(source, found, what=what, bounds=bounds)))
        with tar, Recipe(staging.path / "recipe") as recipe:
            unpacked = unpack(tar, staging.fs, what=what, bounds=bounds, whiteouts=True, recipe=recipe)
        if blob is not None:
            blob.finish()
        if tar.digest != diff_id:
            raise UntrustedContentError(f"{what}: its diff_id is {tar.digest}, {diff_id} is promised")
        record = LayerRecord(
            id=short_name(diff_id), diff_id=diff_id, size=unpacked.size, tar_size=tar.size, entries=unpacked.entries,
            created_by=created_by, created_at=time.time(), facts=unpacked.facts, recipe=True,
            sources=(descriptor,) if descriptor is not None else (),
        )  # fmt: skip
        return store.publish_layer(staging.fs, record, recipe=recipe.path)


def load_root(
    store: Store, path: Path, *, created_by: str = "", epoch: int = EPOCH, bounds: Bounds = DEFAULT_BOUNDS
) -> Layer:
    """A root file system's tar (plain, gzip, bzip2, xz or zstd) as a layer of our own making.

    Owners are forgotten and times end at *epoch*. Raises as :func:`load_layer`.
    """
    with open_file(path) as source:
        created_by = created_by or f"root archive {path.name}"
        return load_root_stream(store, source, what=str(path), created_by=created_by, epoch=epoch, bounds=bounds)


def load_root_stream(
    store: Store, stream: Readable, *, what: str, created_by: str, epoch: int = EPOCH, bounds: Bounds = DEFAULT_BOUNDS
) -> Layer:
    """As :func:`load_root`, of a stream; *what* names it in errors."""
    with full_disk_told(store.root), store.staging() as staging:
        with plain_tar(stream, what=what, bounds=bounds) as tar:
            unpacked = unpack(tar, staging.fs, what=what, bounds=bounds, whiteouts=False)
        return store.commit_layer(
            staging.fs, created_by=created_by, epoch=epoch, true_modes=unpacked.facts.modes, private=epoch > EPOCH
        )  # fmt: skip


@contextmanager
def plain_tar(stream: Readable, *, what: str, bounds: Bounds) -> Iterator[Readable]:
    """*stream* without the compression that its first bytes tell of, inflated ahead in a thread of its own."""
    peeked = _Peeked(stream)
    with _Pieces(run_ahead(inflate(peeked, compression_of(peeked.head), what=what, bounds=bounds))) as tar:
        yield tar


class _Peeked:
    """A stream whose first bytes were looked at."""

    def __init__(self, stream: Readable) -> None:
        self._stream = stream
        self.head = b""
        while len(self.head) < 6 and (more := stream.read(6 - len(self.head))):
            self.head += more
        self._waiting = self.head

    def read(self, size: int, /) -> bytes:
        if self._waiting:
            data, self._waiting = self._waiting[:size], self._waiting[size:]
            return data
        return self._stream.read(size)


class _Pieces:
    """Pieces of a stream as a stream, counted and hashed."""

    def __init__(self, pieces: Generator[bytes, None, None]) -> None:
        self._pieces, self._waiting = pieces, b""
        self._state, self.size = sha256(), 0

    def read(self, size: int, /) -> bytes:
        if not self._waiting:
            self._waiting = next(self._pieces, b"")
            self._state.update(self._waiting)
            self.size += len(self._waiting)
        data, self._waiting = self._waiting[:size], self._waiting[size:]
        return data

    @property
    def digest(self) -> str:
        return f"sha256:{self._state.hexdigest()}"

    def __enter__(self) -> _Pieces:
        return self

    def __exit__(self, *exception: object) -> None:
        self._pieces.close()
