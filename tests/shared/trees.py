"""Small trees of files, written in one line."""

from __future__ import annotations

import os
from pathlib import Path


def tree(folder: Path, *names: str) -> Path:
    """*folder* with these files, each of which holds its own name; ``d/`` is a folder and ``-name`` a whiteout."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        path = folder / name
        if name.endswith("/"):
            path.mkdir(parents=True, exist_ok=True)
        elif name.startswith("-"):
            path = folder / name[1:]
            path.parent.mkdir(parents=True, exist_ok=True)
            os.mknod(path, 0o020000, 0)  # a whiteout
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(name)
    return folder
