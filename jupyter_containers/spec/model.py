"""The spec as frozen values. Reading and checking is :mod:`.load`'s, other formats are :mod:`.detect`'s.

Field names in files are kebab-case (``display-name``); sizes are text with a unit in a file and bytes here.

Each ``check`` in an annotation names a rule of :mod:`.checks`; the rule is applied where a file is read, and the
JSON Schema takes its pattern from the same annotation. Values made in code are not checked.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from .durations import DURATION
from .names import LONGEST, NAME
from .sizes import SIZE

__all__ = [
    "DOCKERFILE",
    "HOME",
    "Build",
    "Copy",
    "EnvironmentSpec",
    "Ignored",
    "Kernel",
    "LoadedSpec",
    "Mount",
    "Packages",
    "Resources",
    "Used",
]

DOCKERFILE = "dockerfile:"
"""Begins the origin of a spec that is built on a Dockerfile, and the name of the input that this is."""
HOME = "/home/jovyan"
"""The kernel user's home in every image; ``build.copy`` targets of a file start here."""


def _rule(check: str, **schema: Any) -> msgspec.Meta:
    return msgspec.Meta(extra={"check": check}, extra_json_schema=schema)


Line = Annotated[str, _rule("line", minLength=1)]
Name = Annotated[str, _rule("name", pattern=f"^{NAME}$", maxLength=LONGEST)]
Size = Annotated[int, _rule("size", pattern=f"^{SIZE}$", examples=["512M", "2G", "1.5 GiB"])]
Duration = Annotated[int, _rule("duration", pattern=f"^{DURATION}$", examples=["30m", "2h"])]
EnvName = Annotated[str, _rule("env-name", pattern="^[A-Za-z_][A-Za-z0-9_]*$")]
EnvValue = Annotated[str, _rule("env-value")]
Apt = Annotated[str, _rule("apt", pattern="^[a-z0-9][a-z0-9+.-]+([=/].+)?$", examples=["graphviz"])]
Requirement = Annotated[str, _rule("requirement", examples=["pandas>=2,<3", "./mypkg", "-r requirements.txt"])]
Constraint = Annotated[str, _rule("constraint", examples=["numpy<2"])]
Group = Annotated[str, _rule("group", pattern="^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$")]
Url = Annotated[str, _rule("url", pattern="^https?://", format="uri")]
Module = Annotated[str, _rule("module", pattern=r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*$")]


_BASES = r"debian:|image:|oci-archive:|oci:|env:|scratch\+"


class _Value(msgspec.Struct, frozen=True, kw_only=True, rename="kebab", forbid_unknown_fields=True):
    pass


class Packages(_Value, frozen=True, kw_only=True):
    """What gets installed."""

    apt: tuple[Apt, ...] = ()
    """Debian packages: ``name``, ``name=version`` or ``name/suite``."""
    pip: tuple[Requirement, ...] = ()
    """PEP 508 requirements (extras, markers, urls), local paths (``./pkg``), each with optional `` --hash=…``."""
    constraints: tuple[Constraint, ...] = ()
    """PEP 508 requirements that bound versions and install nothing (pip's ``-c``)."""
    groups: tuple[Group, ...] = ()
    """Dependency groups (PEP 735) of the pyproject.toml beside the spec; their packages are added to ``pip``."""
    extras: tuple[Group, ...] = ()
    """Optional dependencies (PEP 621) of the pyproject.toml beside the spec; their packages are added to ``pip``."""
    index_url: Url | None = None
    """A simple repository (PEP 503/691); None: the host's pip/uv configuration, else PyPI."""
    extra_index_urls: tuple[Url, ...] = ()
    """More repositories, asked after the first."""


class Copy(_Value, frozen=True, kw_only=True):
    """A file or folder that becomes part of the image."""

    source: Annotated[str, _rule("copy-source", minLength=1)]
    """Relative to the spec's folder, never outside of it."""
    target: Annotated[str, _rule("copy-target", minLength=1, pattern=r"^[^/]")]
    """Absolute path in the image; in a file relative to the kernel user's home, ``/home/jovyan``."""


class Build(_Value, frozen=True, kw_only=True):
    """What the image is made from, where that is a Dockerfile, and what is done to it once the packages are in."""

    dockerfile: Annotated[str, _rule("dockerfile", minLength=1, examples=["Dockerfile"])] = ""
    """A Dockerfile, relative to the spec's folder and inside of it: what it builds takes the place of ``base``."""
    context: Annotated[str, _rule("context", minLength=1)] = "."
    """The Dockerfile's build context: a folder, relative to the spec's folder and inside of it."""
    target: Annotated[str, _rule("text")] = ""
    """The stage of the Dockerfile to build; empty: the last."""
    args: dict[EnvName, EnvValue] = {}
    """Values of the Dockerfile's ARGs."""
    devcontainer: Annotated[str, _rule("dockerfile", minLength=1)] = ""
    """A devcontainer.json, relative to the spec's folder: what it says is added to the spec."""
    copy: tuple[Copy, ...] = ()
    """Files and folders of the spec's folder to put into the image, before ``run``."""
    run: tuple[Line, ...] = ()
    """Shell lines, each a step, run as root of the sandbox with network."""
    env: dict[EnvName, EnvValue] = {}
    """Environment of the run steps and of the containers."""


class Kernel(_Value, frozen=True, kw_only=True):
    """How the notebook kernel is started."""

    argv: tuple[Line, ...] = ()
    """Empty: ``<python> -m ipykernel_launcher -f {connection_file}``. argv[0] is an absolute path in the image."""
    language: Line = "python"
    """The notebooks' language, as in their metadata."""
    env: dict[EnvName, EnvValue] = {}
    """Environment of the kernel alone."""
    preload: tuple[Module, ...] = ()
    """Modules imported ahead of a warm start."""


class Resources(_Value, frozen=True, kw_only=True):
    """Limits; None: no limit asked for."""

    memory: Size | None = None
    """Bytes."""
    cpus: Annotated[float, _rule("cpus", exclusiveMinimum=0)] | None = None
    """How many processors' time at most: 0.5 is half of one."""
    pids: Annotated[int, _rule("positive", minimum=1)] | None = None
    """Processes and threads at most."""
    disk: Size | None = None
    """Bytes of the writable layer."""
    gpus: Annotated[int, _rule("count", minimum=0)] | None = None
    """GPUs to show to the container."""
    files: Annotated[int, _rule("positive", minimum=1)] | None = None
    """Files, sockets and pipes that each process may have open at once."""
    time: Duration | None = None
    """Seconds from a container's start after which it is ended."""


class Mount(_Value, frozen=True, kw_only=True):
    """A folder or file of the host that the container sees."""

    source: Annotated[str, _rule("mount-source", minLength=1)]
    """On the host: absolute, ``~/…`` or relative to the spec's folder."""
    target: Annotated[str, _rule("mount-target", pattern="^/.")]
    """Absolute path in the container."""
    mode: Literal["ro", "rw"] = "ro"
    """Read-only or read-write."""


class EnvironmentSpec(_Value, frozen=True, kw_only=True):
    """A declarative environment, after reading and checking: every value is well formed."""

    name: Name
    """``[a-z0-9]+([._-][a-z0-9]+)*``, at most 64 characters (an OCI repository name component)."""
    display_name: Annotated[str, _rule("text")] = ""
    """As shown in a launcher; empty: the name."""
    base: Annotated[str, _rule("base", pattern=f"^({_BASES}).+$")] = "debian:trixie"
    """``debian:<suite>``, ``image:REFERENCE`` (in the store or a registry), ``oci-archive:PATH``, ``oci:PATH``,
    ``env:NAME`` or ``scratch+PATH`` (a root archive)."""
    python: Annotated[str, _rule("python", examples=["3.13", ">=3.11", "none"])] | None = None
    """PEP 440 specifier or a version such as ``3.13``; None: the base's own; ``none``: no Python wanted."""
    packages: Packages = Packages()
    build: Build = Build()
    kernel: Kernel = Kernel()
    resources: Resources = Resources()
    network: Literal["none", "full"] = "none"
    """What the kernel reaches: nothing, or what the host reaches."""
    mounts: tuple[Mount, ...] = ()
    """Folders and files of the host that the container sees, beside the notebook's own folder."""
    labels: dict[Line, Annotated[str, _rule("text")]] = {}
    """Free text kept in the image's configuration (OCI annotations)."""

    @property
    def origin(self) -> str:
        """What the image starts from: ``dockerfile:PATH``, or the base."""
        return f"{DOCKERFILE}{self.build.dockerfile}" if self.build.dockerfile else self.base


class Used(msgspec.Struct, frozen=True):
    """A file that had a part in a spec, and which."""

    file: Path
    part: str
    """In words: ``Python packages (requirements.txt)``."""


class Ignored(msgspec.Struct, frozen=True):
    file: Path
    reason: str


class LoadedSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A spec together with where it came from."""

    spec: EnvironmentSpec
    folder: Path
    """Absolute; relative paths of the spec start here. The lock lies here."""
    file: Path | None = None
    """The file that won: jupyter-container.toml, pyproject.toml, requirements.txt, a notebook …"""
    alone: bool = False
    """The file was named by the user and is not the one that its folder is known by: it has a lock of its own."""
    renamed: bool = False
    """``spec.name`` is not what the files say: the user has given it at a build."""
    used: tuple[Used, ...] = ()
    ignored: tuple[Ignored, ...] = ()
    pylock: Path | None = None
    """A foreign Python lock to adopt as it is: pylock*.toml (PEP 751) or uv.lock."""

    @property
    def lock_file(self) -> Path:
        """``jupyter-container.lock`` beside the spec; specs of a file of their own (a notebook's PEP 723 block,
        ``gpu.toml``) have ``<file>.jupyter-container.lock``."""
        if self.file is not None and (self.alone or self.file.suffix in {".ipynb", ".py"}):
            return self.file.with_name(self.file.name + ".jupyter-container.lock")
        return self.folder / "jupyter-container.lock"
