"""Where things of an injected kernel are, in the container and in the layer."""

from __future__ import annotations

from pathlib import Path

__all__ = ["INSIDE", "LIBRARY", "MOUNT", "PYTHON", "REQUIREMENTS", "START"]

MOUNT = "/run/jupyter-containers/kernel"
"""Of the layer in the container. /run is a file system of the container's own in every sandbox: nothing is written to
the image's layers to mount something there, nothing of it is seen by `diff` and `commit`, and no image has a file there
that would be hidden. The path is fixed, for byte code and the interpreter's libraries know it."""

START = "start.py"
"""The program that the image's Python is started with."""
LIBRARY = "lib"
"""The folder of the packages, at the end of the kernel's ``sys.path``."""
PYTHON = "python"
"""The prefix of our own interpreter, where the layer brings one."""

INSIDE = Path(__file__).parent / "inside"
REQUIREMENTS = Path(__file__).parent / "requirements.txt"
