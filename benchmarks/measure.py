"""Paired timing. Machines are noisy and drift: both sides are run in turns, and the ratio is taken pair by pair."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

__all__ = ["Row", "compare", "once", "table", "timed"]


@dataclass(frozen=True)
class Row:
    """One line of the table: what was done, by whom, against whom."""

    question: str
    ours: str
    """Median, with its unit."""
    peer: str
    """Median, with its unit and the peer's name; empty where there is none to compare with."""
    ratio: float | None
    """ours / peer, median over the pairs; under 1 is better than the peer (over 1 where the question says so)."""
    aim: str = ""
    note: str = ""


def timed(work: Callable[[], object]) -> float:
    """Seconds of one call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def compare(
    question: str,
    ours: Callable[[], float],
    peer: Callable[[], float],
    *,
    peer_name: str,
    runs: int = 5,
    warmup: int = 1,
    within: float | None = None,
    aim: str = "",
    note: str = "",
) -> Row:
    """Call both in turns; each returns its own seconds (so that set-up and clean-up stay out of the figure).

    *within*: no further pair is begun after so many seconds.
    """
    begin = time.perf_counter()
    for _ in range(warmup):
        ours()
        peer()
    pairs = []
    for run in range(runs):
        # The order changes from pair to pair: whoever goes second finds warmer caches.
        if run % 2:
            theirs = peer()
            pairs.append((ours(), theirs))
        else:
            mine = ours()
            pairs.append((mine, peer()))
        if within is not None and time.perf_counter() - begin > within:
            break
    return Row(
        question,
        seconds(statistics.median(mine for mine, _ in pairs)),
        f"{seconds(statistics.median(theirs for _, theirs in pairs))} {peer_name}",
        statistics.median(mine / theirs for mine, theirs in pairs),
        aim,
        f"{len(pairs)} pair{'s' if len(pairs) > 1 else ''}{'; ' + note if note else ''}",
    )


def once(question: str, work: Callable[[], float], *, runs: int = 5, aim: str = "", note: str = "") -> Row:
    """A figure with no peer: the median of *runs* calls, each of which returns its seconds."""
    work()
    return Row(question, seconds(statistics.median(work() for _ in range(runs))), "", None, aim, note)


def seconds(value: float) -> str:
    """``3.2 ms``, ``1.25 s``."""
    return f"{value * 1000:.1f} ms" if value < 1 else f"{value:.2f} s"


def table(rows: Sequence[Row]) -> str:
    """GitHub-flavoured Markdown."""
    lines = ["| question | ours | peer | ratio | aim | |", "| --- | --- | --- | --- | --- | --- |"]
    for row in rows:
        ratio = "" if row.ratio is None else f"**{row.ratio:.2f}**"
        lines.append(f"| {row.question} | {row.ours} | {row.peer} | {ratio} | {row.aim} | {row.note} |")
    return "\n".join(lines)
