"""Which Python an image has: found by running what its PATH leads to, once per image.

It is asked in a sandbox without network. What it says is the image's word, so it is read as such: a version that is no
version is none, and nothing of it becomes a path on the host.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import msgspec

from ...errors import ContainersError
from ...image.digest import hex_of
from ...image.durable import write_atomically
from ...image.inside import exists_in_root
from ...image.model import Image
from ...image.store import Store
from ...sandbox import process
from ...sandbox.model import Overlay
from ..emulation import ENVIRONMENT, step_sandbox

__all__ = ["NEWEST", "OLDEST", "ImagePython", "Probe", "known_probe", "probe_image"]

OLDEST, NEWEST = (3, 9), (3, 14)
"""What requirements.txt is locked for."""

_FORMAT = 2
_SECONDS = 60.0
_LONGEST_ANSWER = 16 << 10
_NAMES = ("python3", "python", *(f"python{OLDEST[0]}.{minor}" for minor in range(NEWEST[1], OLDEST[1] - 1, -1)))
"""Debian's python3.14 has no other name where it is not the default."""
_KERNEL = r"[0-9][0-9A-Za-z.+!-]{0,63}"

_QUESTION = r"""
import sys
def kernel():
    try:
        from importlib.util import find_spec
        if find_spec("ipykernel_launcher") is None or find_spec("ipykernel") is None:
            return ""
        from importlib.metadata import version
        return version("ipykernel")
    except Exception:
        return ""
def libc():
    import os
    try:
        return os.confstr("CS_GNU_LIBC_VERSION")
    except Exception:
        return ""
def config(name):
    try:
        import sysconfig
        return str(sysconfig.get_config_var(name) or "")
    except Exception:
        return ""
import json
answer = {"version": list(sys.version_info[:3]), "libc": libc() or "", "kernel": kernel()}
answer["implementation"] = sys.version_info >= (3, 3) and sys.implementation.name or ""
answer["host"], answer["threads"] = config("HOST_GNU_TYPE"), config("Py_GIL_DISABLED")
json.dump(answer, sys.stdout)
"""
"""Also Python 2 can be asked: then the answer tells which it is."""


class ImagePython(msgspec.Struct, frozen=True, kw_only=True):
    """An interpreter in an image that a kernel can run on."""

    path: str
    """Absolute, in the image, as its PATH leads to it: a virtual environment's is a link, and stays one."""
    version: str
    """``3.12``"""
    libc: Literal["glibc", "musl"]
    libc_version: str
    """``2.36``; empty for musl, which does not tell."""
    kernel: str = ""
    """The version of the ipykernel that it has; empty: none."""


class Probe(msgspec.Struct, frozen=True, kw_only=True):
    """What was found in an image."""

    format: int = _FORMAT
    python: ImagePython | None = None
    reason: str = ""
    """Why there is none: ``it has no Python``, ``its Python is 3.6``."""


class _Answer(msgspec.Struct, frozen=True):
    version: tuple[int, int, int]
    implementation: str
    libc: str
    host: str
    threads: str
    kernel: str


def probe_image(image: Image, store: Store) -> Probe:
    """What *image* has; asked once, then remembered in the store."""
    found = known_probe(image, store)
    if found is None:
        found = _probe(image, store)
        write_atomically(_memory(image, store), msgspec.json.encode(found))
    return found


def known_probe(image: Image, store: Store) -> Probe | None:
    """What :func:`probe_image` has found before; None where it has not been asked."""
    try:
        known = msgspec.json.decode(_memory(image, store).read_bytes(), type=Probe)
    except (OSError, msgspec.DecodeError):
        return None  # by another version of this program, perhaps
    return known if known.format == _FORMAT else None


def _memory(image: Image, store: Store) -> Path:
    return store.cache_dir("kernel") / f"{hex_of(image.digest)}.json"


def _probe(image: Image, store: Store) -> Probe:
    reasons: list[str] = []
    for path in _candidates(image):
        answer = _ask(image, store, path)
        result = judge(path, answer)
        if isinstance(result, ImagePython):
            return Probe(python=result)
        reasons.append(result)
    return Probe(reason=reasons[0] if reasons else "it has no Python on its PATH")


def judge(path: str, answer: bytes | None) -> ImagePython | str:
    """What an interpreter's *answer* means: it will do, or why it will not. Pure."""
    try:
        found = msgspec.json.decode(answer or b"", type=_Answer)
    except msgspec.DecodeError:
        return f"its {path} does not run"
    major, minor, _ = found.version
    version = f"{major}.{minor}"
    if found.implementation != "cpython":
        return f"its {path} is {found.implementation[:40] or 'Python'} {version}, and kernels are for CPython"
    if not OLDEST <= (major, minor) <= NEWEST:
        span = f"{OLDEST[0]}.{OLDEST[1]} to {NEWEST[0]}.{NEWEST[1]}"
        return f"its {path} is Python {version}, and kernels are for {span}"
    if found.threads == "1":
        return f"its {path} is a free-threaded Python {version}, which the kernel's packages are not made for"
    glibc = re.fullmatch(r"glibc (\d+\.\d+)[\d.]*", found.libc)
    if glibc is None and "musl" not in found.host:
        return f"its {path} does not tell its C library"
    kernel = found.kernel if re.fullmatch(_KERNEL, found.kernel) else ""
    return ImagePython(
        path=path, version=version, libc="glibc" if glibc else "musl", libc_version=glibc[1] if glibc else "",
        kernel=kernel,
    )  # fmt: skip


def _candidates(image: Image) -> Iterator[str]:
    """Interpreters in the order in which the image's own programs find them."""
    environment = image.config.execution.environment
    folders = [item.rstrip("/") for item in environment.get("PATH", ENVIRONMENT["PATH"]).split(":")]
    for name in _NAMES:
        for folder in dict.fromkeys(folders):
            if folder.startswith("/") and exists_in_root(image.layer_paths, f"{folder}/{name}"):
                yield f"{folder}/{name}"


def _ask(image: Image, store: Store, path: str) -> bytes | None:
    """What the interpreter *path* answers; None where it can't."""
    answer = bytearray()

    def keep(data: bytes) -> None:
        if len(answer) <= _LONGEST_ANSWER:
            answer.extend(data)

    with store.staging() as staging:
        sandbox = step_sandbox(
            (path, "-c", _QUESTION), root=Overlay(image.layer_paths, staging.upper, staging.work), store=store.root,
            env=image.config.execution.environment,
        )  # fmt: skip
        try:
            status = process.run(sandbox, on_output=keep, timeout=_SECONDS)
        except ContainersError:
            return None  # of another architecture, with a library missing, or asleep
    lines = bytes(answer[:_LONGEST_ANSWER]).splitlines()
    return lines[-1] if status == 0 and lines else None
