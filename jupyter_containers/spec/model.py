"""The spec as frozen values. Reading and checking is :mod:`.load`'s, other formats are :mod:`.detect`'s.

Field names in files are kebab-case (``display-name``); sizes are text with a unit in a file and bytes here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

__all__ = [
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


class _Value(msgspec.Struct, frozen=True, kw_only=True, rename="kebab", forbid_unknown_fields=True):
    pass


class Packages(_Value, frozen=True, kw_only=True):
    """What gets installed."""

    apt: tuple[str, ...] = ()
    """Debian packages: ``name``, ``name=version`` or ``name/suite``."""
    pip: tuple[str, ...] = ()
    """PEP 508 requirements (extras, markers, urls), local paths (``./pkg``), each with optional `` --hash=…``."""
    constraints: tuple[str, ...] = ()
    """PEP 508 requirements that bound versions and install nothing (pip's ``-c``)."""
    groups: tuple[str, ...] = ()
    """Dependency groups (PEP 735) of the pyproject.toml beside the spec."""
    index_url: str | None = None
    """A simple repository (PEP 503/691); None: the host's pip/uv configuration, else PyPI."""
    extra_index_urls: tuple[str, ...] = ()


class Copy(_Value, frozen=True, kw_only=True):
    """A file or folder that becomes part of the image."""

    source: str
    """Relative to the spec's folder, never outside of it."""
    target: str
    """Absolute path in the image."""


class Build(_Value, frozen=True, kw_only=True):
    copy: tuple[Copy, ...] = ()
    run: tuple[str, ...] = ()
    """Shell lines, each a step, run as root of the sandbox with network."""
    env: dict[str, str] = {}
    """Environment of the run steps and of the containers."""


class Kernel(_Value, frozen=True, kw_only=True):
    argv: tuple[str, ...] = ()
    """Empty: ``<python> -m ipykernel_launcher -f {connection_file}``. argv[0] is an absolute path in the image."""
    language: str = "python"
    env: dict[str, str] = {}
    preload: tuple[str, ...] = ()
    """Modules imported ahead of a warm start."""


class Resources(_Value, frozen=True, kw_only=True):
    """Limits; None: no limit asked for."""

    memory: int | None = None
    """Bytes."""
    cpus: float | None = None
    pids: int | None = None
    disk: int | None = None
    """Bytes of the writable layer."""
    gpus: int | None = None


class Mount(_Value, frozen=True, kw_only=True):
    source: str
    """On the host: absolute, ``~/…`` or relative to the spec's folder."""
    target: str
    """Absolute path in the container."""
    mode: Literal["ro", "rw"] = "ro"


class EnvironmentSpec(_Value, frozen=True, kw_only=True):
    """A declarative environment, after reading and checking: every value is well formed."""

    name: str
    """``[a-z0-9]+([._-][a-z0-9]+)*``, at most 64 characters (an OCI repository name component)."""
    display_name: str = ""
    """As shown in a launcher; empty: the name."""
    base: str = "debian:trixie"
    """``debian:<suite>``, ``oci-archive:PATH``, ``oci:PATH``, ``env:NAME`` or ``scratch+PATH`` (a root archive)."""
    python: str | None = None
    """PEP 440 specifier or a version such as ``3.13``; None: the base's own; ``none``: no Python wanted."""
    packages: Packages = Packages()
    build: Build = Build()
    kernel: Kernel = Kernel()
    resources: Resources = Resources()
    network: Literal["none", "full"] = "none"
    mounts: tuple[Mount, ...] = ()
    labels: dict[str, str] = {}


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
    used: tuple[Used, ...] = ()
    ignored: tuple[Ignored, ...] = ()
    pylock: Path | None = None
    """A foreign Python lock to adopt as it is: pylock*.toml (PEP 751) or uv.lock."""

    @property
    def lock_file(self) -> Path:
        """``jupyter-container.lock`` beside the spec; specs of a file of their own (a notebook's PEP 723 block)
        have ``<file>.jupyter-container.lock``."""
        if self.file is not None and self.file.suffix in {".ipynb", ".py"}:
            return self.file.with_name(self.file.name + ".jupyter-container.lock")
        return self.folder / "jupyter-container.lock"
