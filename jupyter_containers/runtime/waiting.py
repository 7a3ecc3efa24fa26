"""Wait for the end of a container that another process keeps."""

from __future__ import annotations

import fcntl
import os
import select
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from ..errors import ContainerError, NotFoundError
from .folder import Folder, Kept

__all__ = ["wait_for_end"]

_STEP = 0.01


def wait_for_end(folder: Folder, timeout: float | None) -> Kept:
    """What its keeper wrote at the end.

    :class:`TimeoutError` after *timeout* seconds; :class:`ContainerError` where its keeper was killed, or where it was
    never started; :class:`NotFoundError` where it was removed before anyone could read.
    """
    deadline = None if timeout is None else time.monotonic() + timeout
    with _watching(folder):
        while True:
            kept = folder.kept()
            if kept.status == "exited":
                return kept
            if kept.status == "created":
                raise ContainerError(f"container {folder.config().name} was never started")
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                raise TimeoutError(f"container {folder.config().name} runs still after {timeout} s")
            if folder.is_running(kept):
                _sleep_until_gone(kept, left)
            elif folder.is_abandoned(kept):
                raise ContainerError(
                    f"container {folder.config().name} ended without a witness: whoever kept it was killed",
                    exit_code=137,
                    hint="`jupyter containers rm` removes what is left of it",
                )
            else:
                time.sleep(_STEP)  # ended; its keeper is writing it down


def _sleep_until_gone(kept: Kept, left: float | None) -> None:
    assert kept.process is not None
    try:
        handle = os.pidfd_open(kept.process.pid)
    except OSError:
        time.sleep(_STEP if left is None else min(_STEP, left))  # gone, or of another pid namespace
        return
    try:
        if kept.process.is_alive():
            poll = select.poll()  # not select(2): a server has descriptors past 1023
            poll.register(handle, select.POLLIN)
            poll.poll(None if left is None else left * 1000)
    finally:
        os.close(handle)


@contextmanager
def _watching(folder: Folder) -> Iterator[None]:
    """Hold ``watch`` shared: a container that is removed at its end leaves us the time to read how it was."""
    try:
        handle = os.open(folder.path / "watch", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except FileNotFoundError:
        raise NotFoundError(f"no container {folder.id!r}", hint="`jupyter containers ps -a` lists them") from None
    try:
        with suppress(BlockingIOError):
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        yield
    finally:
        os.close(handle)
