"""Starts ipykernel in a container whose image does not have it, under the image's own Python (3.9 or later).

The packages lie in the folder ``lib`` beside this file. It goes to the *end* of ``sys.path``: what the image has comes
first, a cell's imports find what they found before, and no variable of the environment tells a subprocess of it. Where
the image has one of the packages in a version that ipykernel can't work with, :mod:`apart` keeps the two apart.

Nothing but the standard library is imported here, and little of it: this is a part of each kernel's start.
"""

from __future__ import annotations

import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120  pathlib takes 5 ms
LIBRARY = os.path.join(HERE, "lib")  # noqa: PTH118


def main() -> None:
    # Python puts the folder of a program first in its path; what `-m ipykernel_launcher` has there it takes out itself.
    if sys.path[:1] == [HERE]:
        del sys.path[0]
    known = read_names(os.path.join(LIBRARY, "names.txt"))  # noqa: PTH118
    present = find_present(known, sys.path)
    if present:
        sys.path.insert(0, HERE)
        import apart  # type: ignore[import-not-found, unused-ignore]  # beside this file

        del sys.path[0]
        reasons = apart.find_conflicts(present, known, LIBRARY)
        if reasons:
            for reason in reasons:
                print(f"kernel: {reason}", file=sys.stderr)
            print("kernel: ipykernel runs on its own copies; cells import the image's", file=sys.stderr)
            apart.launch(frozenset(present), LIBRARY)
            return
    sys.path.append(LIBRARY)
    from ipykernel import kernelapp  # type: ignore[import-not-found, unused-ignore]

    kernelapp.launch_new_instance()


def read_names(file: str) -> dict[str, tuple[str, str]]:
    """What is in the library: import name → (distribution, versions that the others work with)."""
    with open(file, encoding="utf-8") as stream:
        rows = [line.rstrip("\n").split("\t") for line in stream]
    return {module: (distribution, versions) for module, distribution, versions in rows}


def find_present(names: dict[str, tuple[str, str]], folders: list[str]) -> dict[str, str]:
    """Which of *names* the image has as well, and in which folder. A list of a folder costs less than a search for each
    of the names in it."""
    found: dict[str, str] = {}
    for folder in folders:
        try:
            entries = os.listdir(folder or ".")
        except OSError:
            continue  # python313.zip and the like
        for entry in entries:
            name = entry.partition(".")[0]
            if name in names:
                found.setdefault(name, folder)
    return found


if __name__ == "__main__":
    main()
