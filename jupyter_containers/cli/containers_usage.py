"""Commands that measure and compare: ``stats``, ``top``, ``diff``."""

from __future__ import annotations

import argparse
import sys
import time
from typing import TYPE_CHECKING

from .base import Command
from .container_options import above_zero
from .output import age, print_json, print_table, printable

if TYPE_CHECKING:
    from ..environments import Environments
    from ..runtime.base import Meter, Stats

__all__ = ["Diff", "StatsCommand", "Top"]

_STATS_HEAD = (
    "CONTAINER ID", "NAME", "CPU", "MEMORY / LIMIT", "PEAK", "PIDS", "READ / WRITTEN", "NETWORK", "UP", "ACTIVE",
)  # fmt: skip
_HELP = "a container's name, its id, or the beginning of its id"


class StatsCommand(Command):
    name = "stats"
    summary = "show what containers use"
    description = "Of running containers; on a terminal again and again until Ctrl-C, else once."

    def arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("name", nargs="*", help="containers; none: all that run")
        parser.add_argument("--no-stream", action="store_true", help="once, and not again and again")
        parser.add_argument("--interval", type=above_zero(float), default=1.0, metavar="S", help="seconds (default 1)")
        self.add_json(parser)

    def run(self, options: argparse.Namespace) -> int:
        from ..environments import Environments

        environments = Environments()
        once = options.no_stream or options.json or not sys.stdout.isatty()
        pause = max(options.interval, 0.1)
        with environments.meter() as meter:
            read_stats(environments, options.name, meter)
            while True:
                # CPU per cent is a difference: the first sample is only its beginning.
                time.sleep(min(pause, 0.5) if once else pause)
                samples = read_stats(environments, options.name, meter)
                if options.json:
                    print_json(samples)
                    return 0
                if not once:
                    print("\x1b[H\x1b[J", end="")
                print_table(_STATS_HEAD, _rows(samples))
                if once:
                    return 0


class Top(Command):
    name = "top"
    summary = "list the processes of a container"

    def arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("name", help=_HELP)
        self.add_json(parser)

    def run(self, options: argparse.Namespace) -> int:
        from ..environments import Environments
        from ..runtime.top import list_processes

        rows = list_processes(Environments().container(options.name).state())
        if options.json:
            print_json(rows)
            return 0
        print_table(
            ("PID", "HOST PID", "USER", "CPU TIME", "RSS", "STATE", "COMMAND"),
            [
                (
                    str(row.pid),
                    str(row.host_pid),
                    row.user,
                    f"{row.cpu_seconds:.2f}s",
                    size(row.rss),
                    row.state,
                    row.command,
                )
                for row in rows
            ],
        )
        return 0


class Diff(Command):
    name = "diff"
    summary = "list the files a container changed"
    description = "A: added, C: changed, D: deleted, against the container's image."

    def arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("name", help=_HELP)
        self.add_json(parser)

    def run(self, options: argparse.Namespace) -> int:
        from ..environments import Environments

        changes = Environments().container(options.name).changes()
        if options.json:
            print_json(changes)
            return 0
        for change in changes:
            print(f"{change.kind} {printable(change.path)}")
        return 0


def read_stats(environments: Environments, names: list[str], meter: Meter) -> list[Stats]:
    """One sample of each of *names*, which must run; without any, of all that do."""
    from ..errors import ContainerError

    if not names:
        return meter.read(environments.containers())
    states = [environments.container(name).state() for name in names]
    samples = meter.read(states)
    measured = {sample.id for sample in samples}
    for state in states:
        if state.id not in measured:
            raise ContainerError(
                f"container {state.name} is not running", hint="`jupyter containers ps` lists those that are"
            )
    return samples


def _rows(samples: list[Stats]) -> list[tuple[str, ...]]:
    """A line for each, and one for all together where there are several."""
    from ..runtime.usage import add_up

    rows = [_row(item) for item in samples]
    if len(samples) > 1:
        total = add_up(samples)
        rows.append(
            (
                "", f"all {total.containers}", f"{total.cpu_percent:.1f}%", size(total.memory), "", str(total.pids),
                f"{size(total.read_bytes)} / {size(total.write_bytes)}",
                f"{size(total.received_bytes)} / {size(total.sent_bytes)}", "", "",
            )
        )  # fmt: skip
    return rows


def _row(stats: Stats) -> tuple[str, ...]:
    limit = f" / {size(stats.memory_limit)}" if stats.memory_limit is not None else ""
    return (
        stats.id, stats.name, f"{stats.cpu_percent:.1f}%", f"{size(stats.memory)}{limit}",
        "-" if stats.memory_peak is None else size(stats.memory_peak), str(stats.pids),
        f"{size(stats.read_bytes)} / {size(stats.write_bytes)}",
        _network(stats),
        age(stats.uptime), "-" if stats.last_activity is None else f"{age(time.time() - stats.last_activity)} ago",
    )  # fmt: skip


def _network(stats: Stats) -> str:
    if stats.received_bytes is None or stats.sent_bytes is None:
        return "the host's"
    return f"{size(stats.received_bytes)} / {size(stats.sent_bytes)}"


def size(value: int) -> str:
    from ..spec.sizes import format_size

    return format_size(value)
