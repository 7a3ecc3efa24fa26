"""Lets a container go on that was stopped for a look at its files, whatever has become of the one who looked.

Started before anything is stopped. Its standard input says what there is to undo, a line each: ``pid start`` of a
process that gets SIGCONT, or ``text path`` of a file of a control group to write to. When its owner writes ``.``, or
closes the input, or has ended, all of it is undone, the last line first.

Run as ``python -I -S thaw.py OWNER``.
"""

from __future__ import annotations

import os
import select
import signal
import sys

__all__ = ["main"]


def main(owner: int) -> int:
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM, signal.SIGQUIT):
        signal.signal(number, signal.SIG_IGN)  # what ends its owner's session must not keep it from its work
    failed = False
    for line in reversed(_read_lines(owner)):
        word, _, rest = line.partition(" ")
        try:
            if word.isdigit() and rest.isdigit():
                _go_on(int(word), int(rest))
            else:
                with open(rest, "w") as file:
                    file.write(word)
        except FileNotFoundError:
            continue  # the container has been removed in the meantime
        except OSError as error:
            print(f"{line}: {error}", file=sys.stderr)
            failed = True
    return 1 if failed else 0


def _read_lines(owner: int) -> list[str]:
    poll = select.poll()
    poll.register(0, select.POLLIN | select.POLLHUP)
    # End of file is not enough: a child that the owner has forked holds the pipe's other end as well.
    handle = None
    try:
        handle = os.pidfd_open(owner)
        if os.getppid() == owner:
            poll.register(handle, select.POLLIN)
    except ProcessLookupError:
        pass  # gone already: the pipe ends at once
    data = b""
    while not data.endswith(b"\n.\n"):
        ready = dict(poll.poll())
        if 0 not in ready:
            break
        more = os.read(0, 65536)
        if not more:
            break
        data += more
    return [line for line in data.decode("utf-8", "surrogateescape").splitlines() if " " in line]


def _go_on(pid: int, start: int) -> None:
    """SIGCONT to that very process (proc(5): field 22 of ``stat`` is when it started)."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            text = file.read()
        if int(text[text.rindex(b")") + 2 :].split()[19]) == start:
            signal.pidfd_send_signal(handle, signal.SIGCONT)
    except ProcessLookupError:
        return
    finally:
        os.close(handle)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
