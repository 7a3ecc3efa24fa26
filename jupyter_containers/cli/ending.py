"""How the program ends: what it said gets out, or is given up without a word about it; then the exit status."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable
from typing import NoReturn

__all__ = ["EXIT_ERROR", "EXIT_INTERRUPTED", "EXIT_USAGE", "Interrupted", "end_with"]

EXIT_ERROR = 1
EXIT_USAGE = 2


class Interrupted(int):
    """The status of a command that the user stopped. (That of a container which SIGINT ended is 130, too.)"""


EXIT_INTERRUPTED = Interrupted(130)
_EXIT_NO_READER = 128 + 13


def end_with(command: Callable[[], int]) -> NoReturn:
    """Run *command* and exit with the status that it returns."""
    status = _run(command)
    if isinstance(status, Interrupted):
        # The interpreter would wait for threads that wait for a mirror. The store is whole at any moment.
        os._exit(status)
    sys.exit(status)


def _run(command: Callable[[], int]) -> int:
    try:
        try:
            status = command()
        except SystemExit as end:  # argparse, which has told why
            status = end.code if isinstance(end.code, int) else EXIT_USAGE
        sys.stdout.flush()
        sys.stderr.flush()
        return status
    except BrokenPipeError:
        # The reader (`| head`) has gone. Tools end by SIGPIPE then; Python ignores it, and would complain at its end.
        _discard_output()
        return _EXIT_NO_READER
    except OSError as error:
        if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
            raise  # a defect: what may go wrong with files is told where it happens
        _discard_output()
        what = f" {error.filename}" if error.filename else ""
        where = "on its disk (`jupyter containers prune`)" if what else "where standard output goes to"
        print(f"error: cannot write{what}: {error.strerror}\nhint: make room {where}", file=sys.stderr)
        return EXIT_ERROR


def _discard_output() -> None:
    """What waits to be written, and can't be, is not tried again."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
