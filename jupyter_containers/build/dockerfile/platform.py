"""Platforms as OCI names them: ``linux/arm64/v8``."""

from __future__ import annotations

from dataclasses import dataclass

from ...errors import InputError
from ...image.layout import host_architecture

__all__ = ["Platform", "debian_architecture", "host_platform", "parse_platform"]

_ALIASES = {
    "x86_64": "amd64",
    "x86-64": "amd64",
    "aarch64": "arm64",
    "i386": "386",
    "i686": "386",
    "armhf": "arm",
}
_DEBIAN = {"arm": "armhf", "ppc64le": "ppc64el", "386": "i386"}


@dataclass(frozen=True, slots=True)
class Platform:
    os: str
    architecture: str
    """Go's name: amd64, arm64 …"""
    variant: str = ""

    def __str__(self) -> str:
        return "/".join(part for part in (self.os, self.architecture, self.variant) if part)

    @property
    def variables(self) -> dict[str, str]:
        """The ends of TARGETPLATFORM, TARGETOS, TARGETARCH, TARGETVARIANT, and of BUILD…, with their values."""
        return {"PLATFORM": str(self), "OS": self.os, "ARCH": self.architecture, "VARIANT": self.variant}


def host_platform() -> Platform:
    return Platform("linux", host_architecture())


def parse_platform(text: str) -> Platform:
    """``linux/amd64``, ``arm64``, ``linux/arm/v7``; empty: the host's. :class:`InputError`."""
    if not text:
        return host_platform()
    parts = text.lower().split("/")
    if len(parts) == 1:
        parts = ["linux", *parts]
    if len(parts) > 3 or not all(part.isalnum() or "_" in part or "-" in part for part in parts):
        raise InputError(f"{text!r} is not a platform", hint="write linux/amd64, linux/arm64 or linux/arm/v7")
    if parts[0] != "linux":
        raise InputError(f"platform {text}: only linux images are built here", hint="write linux/amd64 or its like")
    return Platform(parts[0], _ALIASES.get(parts[1], parts[1]), parts[2] if len(parts) == 3 else "")


def debian_architecture(architecture: str) -> str:
    """Debian's name of an architecture, which the sandbox's checks know."""
    return _DEBIAN.get(architecture, architecture)
