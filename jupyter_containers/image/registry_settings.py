"""How registries are spoken to: a value that the caller gives. The image room reads no configuration file."""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass, field

import msgspec

from ..errors import ReferenceError
from .reference import Reference, parse_reference

__all__ = ["DEFAULT_REGISTRY", "RegistrySettings", "host_of", "is_loopback", "is_nearby", "remote_reference"]

DEFAULT_REGISTRY = "docker.io"
"""Where a name without a registry is, as in docker."""
_API_HOSTS = {"docker.io": "registry-1.docker.io", "index.docker.io": "registry-1.docker.io"}
"""Registries whose API is at another host than the one in their images' names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistrySettings:
    """What of the host and its user has a say."""

    insecure: frozenset[str] = frozenset()
    """``host`` or ``host:port`` of registries that may speak plain http, or https that nobody vouches for."""
    mirrors: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """By registry: others that are asked first, for pulling only."""
    offline: bool = False
    """Ask no network."""
    connect_timeout: float = 10.0
    """Seconds."""
    idle_timeout: float = 30.0
    """Seconds without a byte, or with next to nothing, after which a transfer is given up and tried again."""
    retries: int = 4
    parallel: int = 3
    """Layers at a time, as docker does: more of them only share the same line."""

    def may_be_plain(self, host: str) -> bool:
        """Whether *host* may be spoken to without encryption: it is this machine, or was named for it."""
        return is_loopback(host) or host in self.insecure

    def endpoints(self, registry: str) -> tuple[str, ...]:
        """Where to pull from: the registry's mirrors in order, then itself."""
        return (*self.mirrors.get(registry, ()), registry)


def remote_reference(text: str) -> Reference:
    """*text* with a registry: ``debian`` is ``docker.io/library/debian:latest``, as in docker."""
    reference = parse_reference(text)
    if reference.registry:
        registry = DEFAULT_REGISTRY if reference.registry == "index.docker.io" else reference.registry
    else:
        registry = DEFAULT_REGISTRY
    repository = reference.repository
    if registry == DEFAULT_REGISTRY and "/" not in repository:
        repository = f"library/{repository}"
    return msgspec.structs.replace(reference, registry=registry, repository=repository)


def host_of(registry: str) -> str:
    """The host (and port) that answers for *registry*. Raises :class:`ReferenceError` for what is none."""
    host = _API_HOSTS.get(registry, registry)
    try:
        well_formed = parse_reference(f"{host}/x").registry == host
    except ReferenceError:
        well_formed = False
    if not well_formed:
        raise ReferenceError(f"{registry[:200]!r} is not a registry", hint="write HOST or HOST:PORT, such as ghcr.io")
    return host


def is_loopback(host: str) -> bool:
    """Whether *host* (perhaps with a port) is this machine, by name or number; nothing is looked up."""
    name = _name(host)
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def is_nearby(host: str) -> bool:
    """Whether *host* can be this machine, or what answers only those that stand beside it (a cloud's metadata), in
    whatever way resolvers read a number: ``127.1``, ``2130706433``, ``0.0.0.0``, ``[::ffff:127.0.0.1]``."""
    name = _name(host).rstrip(".")
    if name == "localhost" or name.endswith(".localhost"):  # RFC 6761, 6.3
        return True
    try:
        address = ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        try:
            address = ipaddress.ip_address(socket.inet_aton(name))
        except (OSError, UnicodeEncodeError, ValueError):
            return False
    address = getattr(address, "ipv4_mapped", None) or address
    return address.is_loopback or address.is_unspecified or address.is_link_local or address.is_multicast


def _name(host: str) -> str:
    return host[1 : host.find("]")] if host.startswith("[") else host.partition(":")[0]
