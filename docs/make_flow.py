"""Draws docs/flow.svg, the picture of the README: ``python docs/make_flow.py``."""

from __future__ import annotations

from pathlib import Path

BOXES = [
    ("spec", "jupyter-container.toml", "or requirements.txt,", "pyproject.toml …"),
    ("lock", "versions and hashes", "of every Debian and", "Python package"),
    ("image", "layers, shared", "each step cached", "by a chained id"),
    ("container", "own namespaces", "thin writable layer", "no root, no daemon"),
    ("kernel", "one per notebook", "Unix sockets,", "no open port"),
]
ARROWS = ["resolve", "build", "start", "connect"]
WIDTH, HEIGHT, GAP, TOP = 176, 104, 68, 16


def draw() -> str:
    total = len(BOXES) * WIDTH + (len(BOXES) - 1) * GAP + 32
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {total} {HEIGHT + TOP + 24}" font-family="sans-serif">',
        "<style>text{fill:#1f2328}.t{font-size:17px;font-weight:600}.s{font-size:12px;fill:#59636e}.a{font-size:12px}"
        ".b{fill:#f6f8fa;stroke:#d1d9e0}.l{stroke:#f37726;stroke-width:2}.h{fill:#f37726}"
        "@media (prefers-color-scheme:dark){text{fill:#f0f6fc}.s{fill:#9198a1}.b{fill:#151b23;stroke:#3d444d}}</style>",
    ]
    for index, (title, *lines) in enumerate(BOXES):
        x = 16 + index * (WIDTH + GAP)
        middle = x + WIDTH / 2
        parts.append(f'<rect class="b" x="{x}" y="{TOP}" width="{WIDTH}" height="{HEIGHT}" rx="8"/>')
        parts.append(f'<text class="t" x="{middle}" y="{TOP + 28}" text-anchor="middle">{title}</text>')
        for row, line in enumerate(lines):
            y = TOP + 50 + row * 18
            parts.append(f'<text class="s" x="{middle}" y="{y}" text-anchor="middle">{line}</text>')
        if index < len(ARROWS):
            start, end, y = x + WIDTH + 6, x + WIDTH + GAP - 6, TOP + HEIGHT / 2
            parts.append(f'<line class="l" x1="{start}" y1="{y}" x2="{end - 6}" y2="{y}"/>')
            parts.append(f'<path class="h" d="M{end} {y}l-9 -5v10z"/>')
            middle = (start + end) / 2
            parts.append(f'<text class="a" x="{middle}" y="{y - 10}" text-anchor="middle">{ARROWS[index]}</text>')
    return "\n".join([*parts, "</svg>", ""])


if __name__ == "__main__":
    Path(__file__).with_name("flow.svg").write_text(draw())
