"""``init``: the text of a first jupyter-container.toml, made from what a folder has."""

from __future__ import annotations

from pathlib import Path

from ..errors import SpecError
from .assembly import Assembly
from .dump import dump_spec, quote
from .files import NATIVE
from .foreign import read_foreign
from .imports import Found, Needs, find_needs
from .model import EnvironmentSpec, LoadedSpec
from .names import make_name
from .reading import Folder
from .requirement import distribution_name

__all__ = ["draft_spec"]

_INTRODUCTION = """\
# The environment of the notebooks in this folder.
# Build it:    jupyter containers build .
# Every key:   docs/spec-reference.md, or an editor that knows `jupyter containers schema`
"""
_REST = """
# Done once the packages are in: files of this folder into the home folder, and shell commands.
# [build]
# copy = [{ source = "matplotlibrc", target = ".config/matplotlib/matplotlibrc" }]
# run = ["python3 -m nltk.downloader punkt"]

# Limits of a kernel. None are set here.
# [resources]
# memory = "4G"
# cpus = 2

# Folders beside this one that the notebooks may see; this one is seen as it is.
# [[mounts]]
# source = "~/datasets"
# target = "/data"
# mode = "ro"
"""


def draft_spec(folder: Path) -> str:
    """The text of a first spec for *folder*; a jupyter-container.toml that is there is not looked at.

    What other tools' files ask for is taken over, and the imports of notebooks and .py files that these do not cover
    are added, each with the place that it was found in. :class:`SpecError` where another tool's file is not valid.
    """
    place = Folder(folder)
    loaded = _read_foreign(place)
    needs = find_needs(place)
    text = _head(place, loaded)
    text += _packages(loaded, needs)
    if loaded is not None:
        text += _other_tables(loaded.spec)
    return text + _REST


def _read_foreign(folder: Folder) -> LoadedSpec | None:
    assembly = Assembly(folder)
    try:
        winner = read_foreign(assembly)
    except SpecError as error:
        if error.message.startswith("no spec in"):
            return None
        raise
    return assembly.finish(winner, name=folder.path.name)


def _head(folder: Folder, loaded: LoadedSpec | None) -> str:
    spec = loaded.spec if loaded is not None else EnvironmentSpec(name=make_name(folder.path.name))
    lines = [_INTRODUCTION]
    if loaded is not None:
        names = dict.fromkeys(str(used.file.relative_to(folder.path)) for used in loaded.used)
        lines += [f"# Taken over from {', '.join(names)}, which {NATIVE} now stands before.\n"]
        if loaded.pylock is not None:
            lines += ["# The exact versions there are not; `jupyter containers lock` finds new ones.\n"]
    lines += [
        f"name = {quote(spec.name)}\n",
        f'base = {quote(spec.base)}  # Debian\'s release: "debian:bookworm" is an older one\n',
        f"python = {quote(spec.python)}\n"
        if spec.python
        else '# python = "3.13"  # without it: the Python of the base\n',
        'network = "none"  # "full" lets the notebooks reach the network; builds always do\n',
    ]
    return "".join(lines)


def _packages(loaded: LoadedSpec | None, needs: Needs) -> str:
    packages = loaded.spec.packages if loaded is not None else None
    pip = [(item, "") for item in (packages.pip if packages else ())]
    apt = [(item, "") for item in (packages.apt if packages else ())]
    covered = {distribution_name(item) for item, _ in pip}
    pip += [(item.name, _why(item)) for item in needs.pip if distribution_name(item.name) not in covered]
    apt += [(item.name, _why(item)) for item in needs.apt if item.name not in {name for name, _ in apt}]
    text = "\n[packages]\n"
    if needs.files and not pip:
        text += "# The notebooks and modules here import nothing that has to be installed.\n"
    for skipped in needs.skipped:
        text += f"# Not looked at: {' '.join(skipped.split())}\n"
    text += "# Python packages, as in a requirements.txt. ipykernel is always there.\n"
    text += _list("pip", pip)
    text += "# Debian packages: programs and libraries.\n"
    text += _list("apt", apt)
    if packages:
        if packages.constraints:
            text += _list("constraints", [(item, "") for item in packages.constraints])
        if packages.index_url:
            text += f"index-url = {quote(packages.index_url)}\n"
        if packages.extra_index_urls:
            text += _list("extra-index-urls", [(item, "") for item in packages.extra_index_urls])
    return text


def _list(name: str, items: list[tuple[str, str]]) -> str:
    if not items:
        return f"{name} = []\n"
    width = max(len(quote(item)) for item, _ in items) + 1
    lines = [f"  {(quote(item) + ',').ljust(width)}{'  # ' + why if why else ''}".rstrip() for item, why in items]
    return "\n".join([f"{name} = [", *lines, "]\n"])


def _why(found: Found) -> str:
    # A file's name comes from a stranger and must not end the comment.
    return f"{found.why} ({''.join(c if c.isprintable() else '?' for c in found.file)})"


def _other_tables(spec: EnvironmentSpec) -> str:
    """Build and kernel settings that other tools' files ask for."""
    other = dump_spec(EnvironmentSpec(name=spec.name, build=spec.build, kernel=spec.kernel))
    tables = other.partition("\n")[2]
    return f"{tables}" if tables.strip() else ""
