"""Prepared wheels: each wheel installed once per interpreter, as a tree that environments link to.

``<store>/cache/wheels/<interpreter key>/<sha256 of the wheel>/`` is what the wheel puts below the virtual
environment's folder: ``lib/python3.13/site-packages/…``, ``bin/…`` with byte code. uv installs it, on the host and
for another Python than the one it runs under: installing a wheel runs nothing of it (the PyPA's binary distribution
format). Byte code comes from the image's own interpreter, in the sandbox. The interpreter is part of the key, so a
hostile base can spoil its own environments only.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import os
import posixpath
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from ..errors import BuildError, HostError, UntrustedContentError
from ..image.durable import fsync_folder, sync_file_system
from ..image.tree import remove_tree
from ..lock.model import Interpreter
from ..lock.pip import uv_path
from .bytecode import compiling
from .emulation import usable_cores
from .report import Reporter, check_cancelled
from .wheelcheck import check_wheel

__all__ = ["Wheel", "finish", "platform_of", "prepare", "prepared_path"]

_PLATFORMS = {"amd64": "x86_64-manylinux_2_40", "arm64": "aarch64-manylinux_2_40"}
"""For uv's check of the file name's tags; which glibc the image has was looked at when the lock was made."""

_LONGEST_SCRIPT = 4 << 20
_PACKAGES = "lib/python3/site-packages"
"""Where paths in a RECORD start."""


@dataclass(frozen=True, slots=True)
class Wheel:
    """A wheel whose bytes have the hash that the lock wants."""

    name: str
    version: str
    filename: str
    sha256: str
    file: Path
    """Where nobody but us can write: in the download cache, under whatever name."""


@dataclass(frozen=True, slots=True)
class Target:
    """What wheels are prepared for."""

    interpreter: Interpreter
    architecture: str
    layers: tuple[Path, ...]
    """The image so far, lowest first: the interpreter is in it."""
    store: Path


def prepared_path(cache: Path, sha256: str) -> Path:
    """Where a prepared wheel is, once it is."""
    return cache / sha256


def prepare(
    wheels: Sequence[Wheel],
    *,
    cache: Path,
    staging: Path,
    target: Target,
    reporter: Reporter,
    cancel: threading.Event | None = None,
) -> list[Path]:
    """The prepared trees of *wheels*, in their order; those that are missing in *cache* are made in *staging*.

    *cache* and *staging* are of one file system. Raises :class:`BuildError` with uv's words where a wheel does not
    fit the interpreter, or is damaged.
    """
    cache.mkdir(parents=True, exist_ok=True)
    missing = [wheel for wheel in wheels if not prepared_path(cache, wheel.sha256).is_dir()]
    if missing:
        source = staging / "wheels"
        source.mkdir()
        reporter.phase("installing")
        platform_of(target.architecture)
        uv_path()  # found here once: sysconfig, which it asks, is not ready for several threads at its first call
        with compiling(
            source, staging=staging, interpreter=target.interpreter, layers=target.layers, store=target.store,
            reporter=reporter, cancel=cancel,
        ) as add:  # fmt: skip
            _install_all(missing, source, staging, target, reporter, add=add, cancel=cancel)
            reporter.phase("compiling")
            # Most of the writing is done while the processors compile.
            sync_file_system(cache)
        # Once for all: a prepared wheel is trusted for as long as it is there.
        sync_file_system(cache)
        for wheel in missing:
            try:
                (source / wheel.sha256).rename(prepared_path(cache, wheel.sha256))
            except OSError:
                if not prepared_path(cache, wheel.sha256).is_dir():  # else another build was quicker
                    raise
        fsync_folder(cache)
    return [prepared_path(cache, wheel.sha256) for wheel in wheels]


def _install_all(
    wheels: Sequence[Wheel], source: Path, staging: Path, target: Target, reporter: Reporter, *,
    add: Callable[[str], None], cancel: threading.Event | None,
) -> None:  # fmt: skip
    """Install each into a folder of its own in *source*; *add* is called with the folder's name when it is complete."""
    progress = reporter.progress("installing")
    # The large ones first: what takes long to compile is not to be what is left at the end.
    order = sorted(wheels, key=lambda wheel: -wheel.file.stat().st_size)
    with ThreadPoolExecutor(usable_cores() + 1, thread_name_prefix="wheel") as pool:
        jobs = {
            pool.submit(_install, wheel, source / wheel.sha256, staging, target, reporter): wheel for wheel in order
        }
        try:
            for done, job in enumerate(as_completed(jobs), start=1):
                job.result()
                add(jobs[job].sha256)
                progress("wheels", done, len(jobs))
                check_cancelled(cancel)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def platform_of(architecture: str) -> str:
    """What uv calls Debian's *architecture*; :class:`HostError` where it has no name for it."""
    if architecture not in _PLATFORMS:
        raise HostError(
            f"Python packages for {architecture} can't be installed",
            hint=f"use a machine, or a base image, of {', '.join(_PLATFORMS)}",
        )
    return _PLATFORMS[architecture]


def _install(wheel: Wheel, tree: Path, staging: Path, target: Target, reporter: Reporter) -> None:
    check_wheel(wheel.file, wheel.filename, disk=staging)
    # uv knows a wheel by its file name; alone in a folder, there is nothing to choose.
    folder = staging / "links" / wheel.sha256
    folder.mkdir(parents=True)
    try:
        os.link(wheel.file, folder / wheel.filename)
    except OSError:  # the cache is on another file system
        shutil.copyfile(wheel.file, folder / wheel.filename)
    command = [
        str(uv_path()), "pip", "install", "--quiet", "--no-config", "--no-index", "--find-links", str(folder),
        "--no-deps", "--no-build", "--prefix", str(tree), "--python", sys.executable,
        "--python-version", target.interpreter.version, "--python-platform", platform_of(target.architecture),
        "--cache-dir", str(staging / "uv"), "--link-mode", "hardlink", "--offline",
        f"{wheel.name}=={wheel.version}",
    ]  # fmt: skip
    # No variable of the host's may change what is installed (UV_TARGET, UV_PREFIX …).
    environment = {"PATH": os.defpath, "HOME": str(staging), "LC_ALL": "C.UTF-8"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode != 0:
        remove_tree(tree)
        raise BuildError(
            f"cannot install {wheel.filename}: {done.stderr.strip()}",
            step=reporter.title, output=done.stderr, log=reporter.log,
            hint="run `jupyter containers lock --upgrade` to choose the packages anew",
        )  # fmt: skip
    finish(tree, target.interpreter)


def finish(tree: Path, interpreter: Interpreter) -> None:
    """Make what uv installed under this host's interpreter fit the image's: folder, scripts, RECORD.

    :class:`UntrustedContentError` for a link in it, which would lead to the host's files.
    """
    _check_links(tree)
    (tree / ".lock").unlink(missing_ok=True)
    library = tree / "lib"
    installed, wanted = library / f"python{sys.version_info[0]}.{sys.version_info[1]}", f"python{interpreter.version}"
    if installed.is_dir() and installed.name != wanted:
        if os.path.lexists(library / wanted):
            raise UntrustedContentError(f"the wheel has files of its own in lib/{wanted}, besides its packages")
        installed.rename(library / wanted)
    if (tree / "lib64").is_symlink():
        (tree / "lib64").unlink()
    changed: dict[str, bytes | None] = {}
    scripts = tree / "bin"
    for script in sorted(scripts.iterdir()) if scripts.is_dir() else []:
        if script.is_symlink() or not script.is_file() or script.stat().st_size > _LONGEST_SCRIPT:
            continue
        content = script.read_bytes()
        fixed = fix_script(content, sys.executable, f"{interpreter.environment}/bin/python")
        if fixed != content:
            _replace(script, fixed, 0o755)
            changed[f"../../../bin/{script.name}"] = fixed
    packages = library / wanted / "site-packages"
    for info in sorted(packages.glob("*.dist-info")) if packages.is_dir() else []:
        # uv's note on the file it installed from: a time, different each time.
        for name in ("uv_cache.json", "direct_url.json"):
            if (info / name).exists():
                (info / name).unlink()
                changed[f"{info.name}/{name}"] = None
        record = info / "RECORD"
        if record.is_symlink() or not record.is_file():
            raise UntrustedContentError(f"{info.name} has no RECORD")
        _replace(record, fix_record(record.read_bytes(), changed), 0o644)


def _check_links(tree: Path) -> None:
    for folder, folders, files in os.walk(tree):
        for name in (*folders, *files):
            if (link := Path(folder, name)).is_symlink() and link != tree / "lib64":
                raise UntrustedContentError(f"the wheel has a link, {link.relative_to(tree)}, to {link.readlink()}")


def fix_script(content: bytes, host: str, python: str) -> bytes:
    """A console script whose first lines start the interpreter *host*, so that they start *python*."""
    path = os.fsencode(host)
    head, newline, rest = content.partition(b"\n")
    if head.startswith(b"#!") and head[2:].strip().split(b" ")[0] == path:
        return b"#!" + os.fsencode(python) + newline + rest
    if head == b"#!/bin/sh" and rest.startswith(b"'''exec' ") and path in rest.partition(b"\n")[0]:
        # How paths that are too long for the kernel, or have a blank in them, are written: two lines of shell,
        # then "' '''" on its own.
        _, _, program = rest.partition(b"\n' '''\n")
        return b"#!" + os.fsencode(python) + b"\n" + program
    return content


def fix_record(record: bytes, changed: dict[str, bytes | None]) -> bytes:
    """RECORD with the hashes and sizes of *changed* files, and without those that are None; sorted."""
    rows = []
    for row in csv.reader(io.StringIO(record.decode("utf-8"))):
        if not row:
            continue
        if row[0] in changed:
            content = changed[row[0]]
            if content is None:
                continue
            digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
            row = [row[0], f"sha256={digest}", str(len(content))]
        if posixpath.normpath(posixpath.join(_PACKAGES, row[0])).startswith(("/", "..")):
            continue  # outside of the environment: an uninstall there would remove it
        rows.append(row)
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(sorted(rows))
    return text.getvalue().encode("utf-8")


def _replace(file: Path, content: bytes, mode: int) -> None:
    """Write a new file: the old one may be a hard link to a cache."""
    file.unlink()
    handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "wb") as stream:
        stream.write(content)
        os.fchmod(handle, mode)
