"""Packages made by hand: a .deb with exactly the entries that a test is about."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

Entry = bytes | tuple[str, str] | None
"""A file's content, ``("link" | "hard", target)``, ``("pipe", "")``, or None for a folder."""


def make_tar(
    entries: Mapping[str, Entry], *, modes: Mapping[str, int] | None = None, mtime: int = 1_700_000_000
) -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for name, entry in entries.items():
            info = tarfile.TarInfo(name)
            info.mtime = mtime
            info.mode = (modes or {}).get(name, 0o755 if entry is None else 0o644)
            content = None
            match entry:
                case None:
                    info.type = tarfile.DIRTYPE
                case bytes():
                    info.size, content = len(entry), io.BytesIO(entry)
                case ("link", target):
                    info.type, info.linkname = tarfile.SYMTYPE, target
                case ("hard", target):
                    info.type, info.linkname = tarfile.LNKTYPE, target
                case (kind, _):
                    info.type = tarfile.FIFOTYPE if kind == "pipe" else tarfile.CHRTYPE
            archive.addfile(info, content)
    return data.getvalue()


def compress(data: bytes, extension: str) -> bytes:
    if extension == ".zst":
        import zstandard

        return zstandard.ZstdCompressor().compress(data)
    table: dict[str, Callable[[bytes], bytes]] = {
        "": bytes,
        ".gz": gzip.compress,
        ".xz": lzma.compress,
        ".bz2": bz2.compress,
    }
    return table[extension](data)


def make_ar(members: Mapping[str, bytes], *, date: int = 1_700_000_000) -> bytes:
    parts = [b"!<arch>\n"]
    for name, content in members.items():
        parts.append(f"{name:<16}{date:<12}{0:<6}{0:<6}{'100644':<8}{len(content):<10}`\n".encode())
        parts.append(content + b"\n" * (len(content) % 2))
    return b"".join(parts)


def make_deb(
    name: str,
    entries: Mapping[str, Entry],
    *,
    control: Mapping[str, str] | None = None,
    scripts: Mapping[str, str] | None = None,
    extension: str = ".xz",
    modes: Mapping[str, int] | None = None,
) -> bytes:
    fields = {"Package": name, "Version": "1.0-1", "Architecture": "amd64", "Maintainer": "x", "Description": "x"}
    text = "".join(f"{key}: {value}\n" for key, value in {**fields, **(control or {})}.items())
    files = {
        "./": None,
        "./control": text.encode(),
        **{f"./{key}": value.encode() for key, value in (scripts or {}).items()},
    }
    return make_ar(
        {
            "debian-binary": b"2.0\n",
            f"control.tar{extension}": compress(make_tar(files), extension),
            f"data.tar{extension}": compress(make_tar({"./": None, **entries}, modes=modes), extension),
        }
    )


@pytest.fixture
def deb(tmp_path: Path) -> Callable[..., Path]:
    """``deb(name, entries, …)`` writes a package and gives its path."""

    def write(name: str, entries: Mapping[str, Entry], **options: object) -> Path:
        path = tmp_path / f"{name}.deb"
        path.write_bytes(make_deb(name, entries, **options))  # type: ignore[arg-type]
        return path

    return write
