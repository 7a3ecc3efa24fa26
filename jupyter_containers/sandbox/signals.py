"""Commands start with every signal at its default, whatever the caller ignores.

An ignored signal stays ignored through execve(2). A shell has SIGINT and SIGQUIT ignored for its background jobs,
nohup has SIGHUP, and Python has SIGPIPE and SIGXFSZ: a command would inherit it all, could not be interrupted, and
``yes | head`` in it would complain and not just end.
"""

from __future__ import annotations

# What the module signal is made of: that one makes enumerations of it, and takes 5 ms of a launcher's 20.
import _signal as signal  # type: ignore[import-not-found]

__all__ = ["are_ignored", "reset"]

_BY_SUBPROCESS = frozenset({signal.SIGPIPE, signal.SIGXFSZ})
"""What :class:`subprocess.Popen` resets itself (``restore_signals``)."""
_FIXED = frozenset({signal.SIGKILL, signal.SIGSTOP})


def are_ignored() -> bool:
    """Whether a child would inherit an ignored signal from this process."""
    return any(
        signal.getsignal(number) == signal.SIG_IGN for number in signal.valid_signals() - _FIXED - _BY_SUBPROCESS
    )


def reset() -> None:
    """Give every signal its default. In a process, and its main thread, that is about to become another program."""
    for number in signal.valid_signals() - _FIXED:
        signal.signal(number, signal.SIG_DFL)
