"""Commands that end, hold and let go on: ``stop``, ``kill``, ``rm``, ``pause``, ``resume``; and ``update``."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from ..errors import ConflictError, ContainersError, InputError, NotFoundError
from .base import EXIT_ERROR, Command
from .container_options import above_zero, from_zero, parse_limit_size
from .output import print_error

if TYPE_CHECKING:
    from ..runtime.base import Container

__all__ = ["Kill", "Pause", "Resume", "Rm", "Stop", "Update", "parse_signal"]

_HELP = "names, ids, or beginnings of ids"


class Stop(Command):
    name = "stop"
    summary = "stop containers: SIGTERM, then SIGKILL"
    examples = "  jupyter containers stop -t 2 quiet-otter"

    def arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("name", nargs="+", help=_HELP)
        parser.add_argument(
            "-t", "--time", type=from_zero(float), default=10.0, metavar="S", help="seconds until SIGKILL (default 10)"
        )

    def run(self, options: argparse.Namespace) -> int:
        return for_each(options.name, lambda container: container.stop(grace=options.time))


class Kill(Command):
    name = "kill"
    summary = "send a signal to containers"
    examples = "  jupyter containers kill quiet-otter\n  jupyter containers kill -s INT quiet-otter"

    def arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("name", nargs="+", help=_HELP)
        parser.add_argument("-s", "--signal", default="KILL", help="name or number (default KILL: all processes)")

    def run(self, options: argparse.Namespace) -> int:
        number = parse_signal(options.signal)
        if number == signal.SIGKILL:
            return for_each(options.name, lambda container: container.kill())
        return for_each(options.name, lambda container: container.signal(number))


class Pause(Command):
    name = "pause"
    summary = "stop all processes of containers, until `resume`"
    description = (
        "They use no CPU then and keep what they hold in memory; cells that are run wait. An interrupt, `stop`, `kill` "
        "and a kernel's shutdown let them go on first."
    )

    def arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("name", nargs="+", help=_HELP)

    def run(self, options: argparse.Namespace) -> int:
        return for_each(options.name, lambda container: container.pause())


class Resume(Command):
    name = "resume"
    summary = "let paused containers go on"

    def arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("name", nargs="+", help=_HELP)

    def run(self, options: argparse.Namespace) -> int:
        return for_each(options.name, _resume)


def _resume(container: Container) -> None:
    if not container.resume():
        raise ConflictError(f"container {container.config.name} is not paused")


class Update(Command):
    name = "update"
    summary = "change limits of containers that run"
    description = (
        "By their control groups, until they end: a kernel that is restarted has the limits of its spec again. Memory "
        "that is in use is not taken away, and what the administrator of a server allows is not passed."
    )
    examples = "  jupyter containers update quiet-otter --memory 4G --cpus 2"

    def arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("name", nargs="+", help=_HELP)
        parser.add_argument("-m", "--memory", type=parse_limit_size, metavar="SIZE", help="such as 512M or 2G")
        parser.add_argument("--cpus", type=above_zero(float), metavar="N", help="such as 1.5")
        parser.add_argument("--pids", "--pids-limit", type=above_zero(int), metavar="N", help="processes and threads")

    def run(self, options: argparse.Namespace) -> int:
        names = ("memory", "cpus", "pids")
        limits = {name: getattr(options, name) for name in names if getattr(options, name) is not None}
        if not limits:
            raise InputError("nothing to change", hint="name a limit: --memory, --cpus or --pids")
        return for_each(options.name, lambda container: container.update(limits))


class Rm(Command):
    name = "rm"
    summary = "remove containers"
    description = "Remove containers that have ended, with their writable layers and logs."

    def arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("name", nargs="+", help=_HELP)
        parser.add_argument("-f", "--force", action="store_true", help="running ones too; no error for unknown ones")

    def run(self, options: argparse.Namespace) -> int:
        def remove(container: Container) -> None:
            container.remove(force=options.force)

        return for_each(options.name, remove, missing_ok=options.force)


def for_each(names: list[str], action: Callable[[Container], object], *, missing_ok: bool = False) -> int:
    """Do *action* to each and print its name; an error of one does not keep the others from theirs."""
    from ..environments import Environments

    environments = Environments()
    status = 0
    for name in names:
        try:
            action(environments.container(name))
            print(name, flush=True)
        except NotFoundError as error:
            if not missing_ok:
                print_error(error)
                status = EXIT_ERROR
        except ContainersError as error:
            sys.stdout.flush()
            print_error(error)
            status = EXIT_ERROR
    return status


def parse_signal(text: str) -> int:
    """``KILL``, ``SIGKILL``, ``sigkill`` and ``9`` are 9. :class:`InputError` for what is no signal."""
    if text.isdecimal() and 0 < int(text) < signal.NSIG:
        return int(text)
    name = text.upper()
    try:
        return signal.Signals[name if name.startswith("SIG") else f"SIG{name}"].value
    except KeyError:
        raise InputError(f"{text!r} is not a signal", hint="use a name such as INT or SIGTERM, or a number") from None
