"""repo2docker's own files (its documentation, "Configuration Files"): apt.txt, runtime.txt, postBuild, start.

What they become: apt.txt the Debian packages, runtime.txt the Python version, postBuild a copy and a run step,
start the command that the kernel is started with.
"""

from __future__ import annotations

import re

from ..errors import SpecError
from .assembly import Assembly
from .model import HOME
from .requirements import logical_lines
from .walk import Place

__all__ = ["copy_named", "read_apt", "read_post_build", "read_runtime", "read_start"]

_WORD = r"[^\s\"'`;|&<>()$={}\[\]*?]+"
_INSTALLS_FOLDER = r"(?m)^[^#\n]*\bpip3?\s+install\b[^#\n;&|]*\s\.(?:\[[^\]]*\])?(?:\s|$)"


def read_apt(assembly: Assembly, name: str) -> None:
    """apt.txt: package names, a line each or several in one; ``#`` starts a comment."""
    text = _read(assembly, name, "Debian packages")
    for number, line in logical_lines(text or ""):
        for word in line.split():
            assembly.add(("packages", "apt"), word, Place(assembly.folder.shown(name), number))


def read_runtime(assembly: Assembly, name: str) -> None:
    """runtime.txt: ``python-3.11``."""
    text = _read(assembly, name, "the Python version")
    if text is None:
        return
    place = Place(assembly.folder.shown(name), 1)
    found = re.fullmatch(r"python-(\d+(?:\.\d+){0,2})", text.strip())
    if found:
        assembly.set(("python",), found[1], place)
    elif text.strip().startswith("r-"):
        remedy = "Remove it, and write r-base and the R packages (r-cran-…) into apt.txt"
        assembly.report(place, f"versions of R ({text.strip()[:40]!r}) are not offered", remedy)
    else:
        assembly.report(place, f"{text.strip()[:40]!r} is not a runtime", "Write `python-3.13`, for example")


def read_post_build(assembly: Assembly, name: str) -> None:
    """postBuild: run once the packages are installed, in the home folder, with the files that it names beside it."""
    text = _read(assembly, name, "a script that is run in the build, with the files of the folder that it names")
    if text is None:
        return
    place = Place(assembly.folder.shown(name))
    copy_named(assembly, name, text, place, itself=True)
    # The working directory and the mode as repo2docker has them.
    make_executable = "" if _is_executable(assembly, name) else f"chmod +x ./{name} && "
    assembly.add(("build", "run"), f"cd {HOME} && {make_executable}HOME={HOME} ./{name}", place)


def read_start(assembly: Assembly, name: str) -> None:
    """start: run before the kernel, which it starts with ``exec "$@"``."""
    text = _read(assembly, name, "a script that starts the kernel")
    if text is None:
        return
    place = Place(assembly.folder.shown(name))
    if '"$@"' not in text:
        assembly.report(place, "does not start what it is given", 'End it with: exec "$@"')
    copy_named(assembly, name, text, place, itself=True)
    if not _is_executable(assembly, name):
        assembly.add(("build", "run"), f"chmod +x {HOME}/{name}", place)
    kernel = [f"{HOME}/{name}", "python3", "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    assembly.set(("kernel", "argv"), kernel, place)


def _read(assembly: Assembly, name: str, part: str) -> str | None:
    try:
        text = assembly.folder.read_text(name)
    except SpecError as error:
        assembly.problems += error.problems
        return None
    assembly.use(name, part)
    return text


def _is_executable(assembly: Assembly, name: str) -> bool:
    return bool(assembly.folder.file(name).stat().st_mode & 0o100)


def copy_named(assembly: Assembly, name: str, text: str, place: Place, *, itself: bool = False) -> None:
    """Copy what the commands in *text*, which stand in the file *name*, name of the folder, and *itself* where it runs.

    repo2docker copies the whole repository; then each edit of a notebook would build anew. The whole folder is
    copied only where the script installs it (``pip install .``).
    """
    if re.search(_INSTALLS_FOLDER, text):
        assembly.use(name, "installs the folder: all of it becomes part of the image, and each edit builds anew")
        _copy(assembly, ".", place)
        return
    names = {name} if itself else set()
    for line in text.splitlines():
        if line.lstrip().startswith("#"):
            continue
        for word in re.findall(_WORD, line):
            path = word.removeprefix("./").rstrip("/")
            if path and not path.startswith(("/", ".", "-")) and ".." not in path.split("/"):
                names.update([path] if assembly.folder.has(path) else [])
    for path in sorted(names):
        _copy(assembly, path, place)


def _copy(assembly: Assembly, path: str, place: Place) -> None:
    present = assembly.document.get("build", {}).get("copy", [])
    if not any(item["source"] == path for item in present):
        assembly.add(("build", "copy"), {"source": path, "target": path}, place)
