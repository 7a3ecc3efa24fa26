"""The lock as frozen values; :mod:`.file` reads and writes ``jupyter-container.lock``."""

from __future__ import annotations

from typing import Any

import msgspec

__all__ = ["ArtifactHash", "Base", "DebianPackage", "Interpreter", "Lock", "PinnedImage", "PythonPackages"]


class _Value(msgspec.Struct, frozen=True, kw_only=True, rename="kebab", forbid_unknown_fields=True, omit_defaults=True):
    pass


class DebianPackage(_Value, frozen=True, kw_only=True):
    """One .deb, as a Packages index describes it."""

    name: str
    version: str
    architecture: str
    """``amd64``, ``arm64`` or ``all``."""
    filename: str
    """Path below the archive's root: ``pool/main/…``."""
    size: int
    sha256: str
    archive: str = ""
    """The archive that holds it where that is not the base's first (security, for one)."""


class PinnedImage(_Value, frozen=True, kw_only=True):
    """What the name of an image stood for when the lock was made."""

    name: str
    """As it was written: ``python:3.12``."""
    digest: str
    """Of the image's configuration."""
    reference: str = ""
    """``docker.io/library/python@sha256:…``, to pull it by; empty for an image that no registry is known to have."""
    platform: str = ""
    """That was asked for: ``linux/arm64``."""


class Base(_Value, frozen=True, kw_only=True):
    kind: str
    """``debian``, ``oci`` (an archive or layout on disk, pinned by digest), ``environment``, ``scratch``, ``image`` (in
    the store or a registry) or ``dockerfile``."""
    source: str
    """As the spec has it: ``debian:trixie``."""
    suite: str = ""
    archive: str = ""
    """URL of the archive's root that was used; a build may take the same .debs from any mirror."""
    date: str = ""
    """``2026-11-21T09:15:44Z``: when the newest of the suites that were used was made. What is locked was all to be had
    then, which is what a snapshot of the archive needs to know."""
    digest: str = ""
    """Image digest (oci, environment, image; dockerfile: of the image that it gave) or the root archive's sha256."""
    images: tuple[PinnedImage, ...] = ()
    """The images that a Dockerfile, or a base ``image:``, takes from elsewhere."""
    packages: dict[str, tuple[DebianPackage, ...]] = {}
    """By architecture, sorted by name: the bootstrap set, with Python where the spec wants one."""


class Interpreter(_Value, frozen=True, kw_only=True):
    version: str
    """``3.13``: of the interpreter that the packages were resolved for."""
    path: str
    """Absolute, in the image: ``/usr/bin/python3``."""
    full_version: str = ""
    """``3.13.5``; empty where the base does not tell. It decides markers with ``python_full_version``."""
    glibc: str = ""
    """``2.41``: of the base's C library, which decides what manylinux wheels fit; empty where it is not known."""
    environment: str = "/opt/venv"
    """The virtual environment's folder in the image."""
    system_packages: bool = False
    """The interpreter's own packages are seen as well, below those of the environment: what a Dockerfile installed."""


class PythonPackages(_Value, frozen=True, kw_only=True):
    interpreter: Interpreter
    pylock: dict[str, Any]
    """A PEP 751 document (``lock-version``, ``packages`` …) with hashes for every platform."""


class ArtifactHash(_Value, frozen=True, kw_only=True):
    path: str
    """Relative to the spec's folder."""
    sha256: str
    """Of a file's bytes, or of a folder's sorted (path, mode, content hash) list."""


class Lock(_Value, frozen=True, kw_only=True):
    version: int = 1
    spec_digest: str
    """``sha256:…`` over what of the spec has a say in the resolution; ``lock --check`` compares it."""
    base: Base
    apt: dict[str, tuple[DebianPackage, ...]] = {}
    """By architecture, sorted by name: what the spec's apt list adds to the base."""
    python: PythonPackages | None = None
    inputs: tuple[ArtifactHash, ...] = ()
    """Hashes of the files that `build.copy` and local Python packages take in; refreshed by each build."""
    added: tuple[tuple[str, ...], ...] = ()
    """Python packages that were added later, in order: each group is a layer of its own (:mod:`.added`)."""
