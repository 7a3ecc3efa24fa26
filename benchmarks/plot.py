"""Plots of how a cost grows: small multiples in one SVG."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["FOLDER", "Curve", "draw"]

FOLDER = Path(__file__).parent.parent / "docs" / "images" / "benchmarks"


@dataclass(frozen=True)
class Curve:
    """One plot: *values* against *counts*."""

    title: str
    of: str
    """What is counted, the horizontal axis."""
    unit: str
    counts: Sequence[float]
    values: Sequence[float]


def draw(name: str, curves: Sequence[Curve]) -> Path:
    """Write ``docs/images/benchmarks/NAME.svg`` with the curves side by side, three in a row."""
    import matplotlib as mpl

    mpl.use("svg")
    # The same figures give the same file, and text stays text.
    mpl.rcParams.update({"svg.hashsalt": name, "svg.fonttype": "none", "font.size": 9})
    from matplotlib import pyplot

    columns = min(3, len(curves))
    lines = -(-len(curves) // columns)
    figure, grid = pyplot.subplots(lines, columns, figsize=(3.6 * columns, 2.6 * lines), squeeze=False)
    for place in grid.flat[len(curves) :]:
        place.set_axis_off()
    for place, curve in zip(grid.flat, curves, strict=False):
        place.plot(curve.counts, curve.values, marker="o", markersize=4, color="#1976d2")
        place.set_title(curve.title)
        place.set_xlabel(curve.of)
        place.set_ylabel(curve.unit)
        place.set_xlim(left=0)
        place.set_ylim(bottom=0)
        place.grid(alpha=0.3)
    figure.tight_layout()
    FOLDER.mkdir(parents=True, exist_ok=True)
    file = FOLDER / f"{name}.svg"
    figure.savefig(file, metadata={"Date": None}, facecolor="white")
    pyplot.close(figure)
    return file
