"""``exec``."""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING, NoReturn

from ..errors import InputError
from .base import Command
from .container_options import parse_environment, without_separator

if TYPE_CHECKING:
    from .terminal import Terminal

__all__ = ["Exec"]


class Exec(Command):
    name = "exec"
    summary = "run a command in a running container"
    examples = "  jupyter containers exec -it quiet-otter bash"

    def arguments(self, parser: argparse.ArgumentParser) -> None:
        add = parser.add_argument
        add("-i", "--interactive", action="store_true", help="connect standard input")
        add("-t", "--tty", action="store_true", help="give it a terminal")
        add("-e", "--env", action="append", default=[], metavar="K[=V]", help="set a variable, or pass the host's on")
        add("-w", "--workdir", default="", metavar="DIR", help="working directory in the container")
        add("name", help="a container's name, its id, or the beginning of its id")
        add("command", nargs=argparse.REMAINDER, metavar="COMMAND", help="and its arguments")

    def run(self, options: argparse.Namespace) -> int:
        from ..environments import Environments

        command = without_separator(options.command)
        if not command:
            raise InputError("no command to run was given", hint="write it after the container's name")
        env = parse_environment(options.env)
        container = Environments().container(options.name)
        if options.tty:
            env.setdefault("TERM", os.environ.get("TERM", "xterm"))
        argv = container.exec_argv(command, env=env, cwd=options.workdir, tty=options.tty)
        if options.tty:
            from .terminal import Terminal

            return run_in_terminal(Terminal(), argv)
        return become(argv, interactive=options.interactive)


def become(argv: list[str], *, interactive: bool) -> NoReturn:
    """Replace this process: signals, exit status and streams are then those of the command itself."""
    if not interactive:
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    sys.stdout.flush()
    os.execv(argv[0], argv)  # noqa: S606


def run_in_terminal(terminal: Terminal, argv: list[str]) -> int:
    """Run a host command with the pseudo-terminal as its controlling one."""
    import fcntl
    import termios

    pid = os.fork()
    if pid == 0:
        try:
            os.setsid()
            fcntl.ioctl(terminal.slave, termios.TIOCSCTTY, 0)
            for handle in (0, 1, 2):
                os.dup2(terminal.slave, handle)
            os.closerange(3, 256)
            os.execv(argv[0], argv)  # noqa: S606
        finally:
            os._exit(127)
    status: list[int] = []

    def ended() -> bool:
        if not status:
            found, value = os.waitpid(pid, os.WNOHANG)
            if found:
                status.append(value)
        return bool(status)

    try:
        with terminal.raw():
            terminal.copy(ended=ended)
    finally:
        terminal.close()
    code = os.waitstatus_to_exitcode(status[0] if status else os.waitpid(pid, 0)[1])
    return 128 - code if code < 0 else code
