"""What a host has too little of to start another container, in words (errno(3), getrlimit(2))."""

from __future__ import annotations

import errno
import resource
from collections.abc import Iterator
from contextlib import contextmanager

from ..errors import HostError

__all__ = ["scarcity_told"]


@contextmanager
def scarcity_told() -> Iterator[None]:
    """A HostError for the :class:`OSError` of a limit that is reached: which it is, and what to raise. Others pass."""
    try:
        yield
    except OSError as error:
        if error.errno == errno.EMFILE:
            soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
            raise HostError(
                f"no more containers: this process has as many files open as it may, {soft}",
                hint=f"raise `ulimit -n`, up to {hard} without more rights; of a service LimitNOFILE=. "
                "A kernel takes seven of its server, and ten more while a notebook is open",
            ) from error
        if error.errno == errno.ENFILE:
            raise HostError(
                "no more containers: this host has as many files open as it may", hint="raise `sysctl fs.file-max`"
            ) from error
        raise
