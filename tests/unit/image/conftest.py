"""What the store's tests share: a store, and trees and tars made for them."""

from __future__ import annotations

import io
import os
import stat
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from jupyter_containers.image.layer import Item, stream_tar
from jupyter_containers.image.model import Layer
from jupyter_containers.image.store import Store
from jupyter_containers.image.tree import remove_tree


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    yield Store(tmp_path / "store")
    remove_tree(tmp_path / "store")  # layers may hold folders that pytest can't remove


@pytest.fixture
def commit(store: Store) -> Callable[..., Layer]:
    """Commit a layer of files: ``commit({"etc/motd": b"hello"})``."""

    def made(files: dict[str, bytes], **options: object) -> Layer:
        with store.staging() as staging:
            for name, data in files.items():
                path = staging.fs / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
            return store.commit_layer(staging.fs, created_by="test", **options)  # type: ignore[arg-type]

    return made


@pytest.fixture
def make_tar() -> Callable[..., bytes]:
    """A tar of ``(name, fields)``: fields are TarInfo's, and ``data``."""

    def made(*entries: tuple[str, dict[str, object]], format: int = tarfile.PAX_FORMAT) -> bytes:
        stream = io.BytesIO()
        with tarfile.open(fileobj=stream, mode="w", format=format) as archive:
            for name, given in entries:
                fields = dict(given)
                data = fields.pop("data", b"")
                assert isinstance(data, bytes)
                info = tarfile.TarInfo(name)
                info.size = len(data)
                for key, value in fields.items():
                    setattr(info, key, value)
                archive.addfile(info, io.BytesIO(data))
        return stream.getvalue()

    return made


@pytest.fixture
def read_all() -> Callable[..., bytes]:
    def joined(items: Iterator[Item]) -> bytes:
        return b"".join(bytes(piece) for piece in stream_tar(items))

    return joined


@pytest.fixture
def snapshot() -> Callable[[Path], dict[str, tuple[object, ...]]]:
    """A tree as a mapping: kind, mode, time, content or target, attributes."""

    def taken(tree: Path) -> dict[str, tuple[object, ...]]:
        found: dict[str, tuple[object, ...]] = {}
        for folder, folders, files in os.walk(os.fsencode(tree)):
            for name in [*folders, *files]:
                path = os.path.join(folder, name)
                status = os.lstat(path)
                content: object = status.st_rdev
                if os.path.islink(path):
                    content = os.readlink(path)
                elif os.path.isfile(path):
                    with open(path, "rb") as stream:
                        content = stream.read()
                xattrs = tuple(
                    (key, os.getxattr(path, key, follow_symlinks=False))
                    for key in sorted(os.listxattr(path, follow_symlinks=False))
                )
                relative = os.path.relpath(path, os.fsencode(tree))
                # A whiteout's time and mode mean nothing.
                kept = (0, 0) if stat.S_ISCHR(status.st_mode) else (status.st_mode, int(status.st_mtime))
                found[repr(relative)] = (stat.S_IFMT(status.st_mode), *kept, content, xattrs)
        return found

    return taken
