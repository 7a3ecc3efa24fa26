"""The text of a first jupyter-container.toml: from a folder, a notebook, another tool's file, or an image."""

from __future__ import annotations

from pathlib import Path

import msgspec

from ..errors import SpecError
from .assembly import Assembly
from .dump import dump_spec, quote
from .files import NATIVE
from .foreign import read_file, read_foreign
from .imports import Found, Needs, find_needs
from .model import EnvironmentSpec, LoadedSpec
from .names import make_name
from .reading import Folder
from .requirement import distribution_name

__all__ = ["Draft", "draft_from", "draft_from_image", "draft_spec"]

_INTRODUCTION = """\
# The environment of the notebooks in this folder.
# Build it:    jupyter containers build .
# Every key:   docs/spec-reference.md, or an editor that knows `jupyter containers schema`
"""
_NETWORK = 'network = "none"  # "full" lets the notebooks reach the network; builds always do\n'
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


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """A first spec, for a person to look at."""

    text: str
    folder: str
    """Absolute: where the file would be written, and where its relative paths start."""
    found: tuple[str, ...] = ()
    """What is needed, each with the place that says so."""
    notes: tuple[str, ...] = ()
    """What was left out or could not be read, and why."""


def draft_spec(folder: Path) -> str:
    """The text of a first spec for *folder*; a jupyter-container.toml that is there is not looked at.

    What other tools' files ask for is taken over, and the imports of notebooks and .py files that these do not cover
    are added, each with the place that it was found in. :class:`SpecError` where another tool's file is not valid.
    """
    return draft_from(folder).text


def draft_from(path: Path, *, name: str = "") -> Draft:
    """A first spec from the folder *path*, or from a file: a notebook's or a module's imports alone, a Dockerfile, or
    what another tool's file asks for. *name*: the environment's, else it is made from the file's or the folder's.

    :class:`SpecError` where another tool's file is not valid, or of no format that is read.
    """
    if path.is_dir():
        place = Folder(path)
        return _draft(place, _read_foreign(place), find_needs(place), name=name)
    place = Folder(path.parent)
    if path.suffix in {".ipynb", ".py"}:
        return _draft(place, None, find_needs(place, (path.name,)), name=name or make_name(path.stem))
    if _is_dockerfile(path.name):
        return _draft_from_dockerfile(place, path.name, name)
    assembly = Assembly(place)
    read_file(assembly, path.name)
    loaded = assembly.finish(path.name, name=name or place.path.name)
    return _draft(place, loaded, Needs((), (), (), ()), name=name)


def draft_from_image(reference: str, folder: Path, *, name: str = "") -> Draft:
    """A first spec for *folder*, of the image *reference* of the store or of a registry."""
    place = Folder(folder)
    base = f"image:{reference}"
    head = [_INTRODUCTION, f"name = {quote(name or make_name(_last_part(reference)))}\n"]
    head += [f"base = {quote(base)}  # as it is; what is listed below is added to it\n", _NETWORK]
    text = "".join(head) + _packages(None, Needs((), (), (), ())) + _REST
    return Draft(text=text, folder=str(place.path), found=(f"{base}: the image",))


def _draft(place: Folder, loaded: LoadedSpec | None, needs: Needs, *, name: str) -> Draft:
    text = _head(place, loaded, name) + _packages(loaded, needs)
    if loaded is not None:
        text += _other_tables(loaded.spec)
    found = [f"{item.name}: {_why(item)}" for item in (*needs.pip, *needs.apt)]
    notes = [f"not looked at: {' '.join(skipped.split())}" for skipped in needs.skipped]
    if loaded is not None:
        taken = loaded.spec.packages
        files = ", ".join(dict.fromkeys(used.file.name for used in loaded.used))
        found = [f"{item}: {files}" for item in (*taken.pip, *taken.apt)] + found
        notes += [f"{item.file.name}: {item.reason}" for item in loaded.ignored if not item.reason.startswith(NATIVE)]
        if loaded.pylock is not None:
            notes.append(f"the exact versions of {loaded.pylock.name} are not taken over; new ones are found")
    return Draft(text=text + _REST, folder=str(place.path), found=tuple(found), notes=tuple(notes))


def _draft_from_dockerfile(place: Folder, name: str, environment: str) -> Draft:
    place.read_text(name)  # tells of a file that can't be read, or that leads out of the folder
    text = "".join([
        _INTRODUCTION, f"name = {quote(environment or make_name(place.path.name))}\n", _NETWORK,
        "\n# The image that the Dockerfile makes; what `packages` lists is added to it.\n[build]\n",
        f"dockerfile = {quote(name)}\n",
    ])  # fmt: skip
    return Draft(text=text, folder=str(place.path), found=(f"{name}: the Dockerfile",))


def _is_dockerfile(name: str) -> bool:
    return name in {"Dockerfile", "Containerfile"} or name.endswith((".Dockerfile", ".dockerfile"))


def _last_part(reference: str) -> str:
    """``r-base`` of ``docker.io/library/r-base:4.4@sha256:…``."""
    return reference.partition("@")[0].rpartition("/")[2].partition(":")[0]


def _read_foreign(folder: Folder) -> LoadedSpec | None:
    assembly = Assembly(folder)
    try:
        winner = read_foreign(assembly)
    except SpecError as error:
        if error.message.startswith("no spec in"):
            return None
        raise
    return assembly.finish(winner, name=folder.path.name)


def _head(folder: Folder, loaded: LoadedSpec | None, name: str) -> str:
    spec = loaded.spec if loaded is not None else EnvironmentSpec(name=make_name(folder.path.name))
    lines = [_INTRODUCTION]
    if loaded is not None:
        names = dict.fromkeys(str(used.file.relative_to(folder.path)) for used in loaded.used)
        lines += [f"# Taken over from {', '.join(names)}, which {NATIVE} now stands before.\n"]
        if loaded.pylock is not None:
            lines += ["# The exact versions there are not; `jupyter containers lock` finds new ones.\n"]
    lines += [
        f"name = {quote(name or spec.name)}\n",
        f'base = {quote(spec.base)}  # Debian\'s release: "debian:bookworm" is an older one\n',
        f"python = {quote(spec.python)}\n"
        if spec.python
        else '# python = "3.13"  # without it: the Python of the base\n',
        _NETWORK,
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
