"""What the host says about package archives: mirrors, time-outs, offline. Read once, then a value.

The Debian mirror is the first that is set of:

1. ``JUPYTER_CONTAINERS_DEBIAN_MIRROR`` (and ``…_DEBIAN_SECURITY_MIRROR``): URLs, apart by blanks or commas;
2. ``archives`` and ``security-archives`` of the configuration file's table ``[debian]``;
3. the host's own apt sources (:mod:`.sources`), those of them that are Debian's archive;
4. ``https://deb.debian.org/debian``.

The configuration file is ``$XDG_CONFIG_HOME/jupyter-containers/config.toml`` (XDG base directory specification).
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from ..errors import InputError, Problem
from ..misfits import find_misfit
from . import sources

__all__ = [
    "DEFAULT_ARCHIVE", "DEFAULT_SECURITY_ARCHIVE", "Config", "RegistryTable", "Settings", "config_file", "read_config",
    "read_flag",
]  # fmt: skip

DEFAULT_ARCHIVE = "https://deb.debian.org/debian"
DEFAULT_SECURITY_ARCHIVE = "https://deb.debian.org/debian-security"

_TRUE, _FALSE = {"1", "true", "yes", "on"}, {"", "0", "false", "no", "off"}


class _Debian(msgspec.Struct, frozen=True, kw_only=True, rename="kebab", forbid_unknown_fields=True):
    archives: tuple[str, ...] = ()
    security_archives: tuple[str, ...] = ()
    components: tuple[str, ...] = ("main",)
    security: bool = True
    strict_valid_until: bool = False
    keyrings: tuple[str, ...] = ()


class _Network(msgspec.Struct, frozen=True, kw_only=True, rename="kebab", forbid_unknown_fields=True):
    offline: bool = False
    connect_timeout: float = 10.0
    idle_timeout: float = 30.0
    retries: int = 4
    parallel: int = 8


class RegistryTable(msgspec.Struct, frozen=True, kw_only=True, rename="kebab", forbid_unknown_fields=True):
    """One of ``[registries."HOST"]``; :mod:`.registries` makes settings of them."""

    insecure: bool = False
    mirrors: tuple[str, ...] = ()


class _StoreTable(msgspec.Struct, frozen=True, kw_only=True, rename="kebab", forbid_unknown_fields=True):
    shared: tuple[str, ...] = ()
    """Folders of shared stores; :mod:`..image.shared` reads them itself, for every command opens the store."""


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The configuration file."""

    debian: _Debian = _Debian()
    network: _Network = _Network()
    registries: dict[str, RegistryTable] = {}
    store: _StoreTable = _StoreTable()


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """How packages are got on this host. :meth:`current` reads it; tests make their own."""

    debian_archives: tuple[str, ...] = (DEFAULT_ARCHIVE,)
    """Roots of Debian mirrors without a slash at the end, tried in this order."""
    security_archives: tuple[str, ...] = (DEFAULT_SECURITY_ARCHIVE,)
    origin: str = "the default"
    """Where the mirrors come from, in words: for messages."""
    components: tuple[str, ...] = ("main",)
    security: bool = True
    """False: do without the security suite. True: a stable suite without it is an error."""
    strict_valid_until: bool = False
    """True: an index past its Valid-Until is an error; False: a warning (snapshot mirrors serve such indexes)."""
    keyrings: tuple[str, ...] = ()
    """Key files (OpenPGP) that are trusted in addition to Debian's."""
    offline: bool = False
    """Ask no network; use what the cache holds."""
    connect_timeout: float = 10.0
    """Seconds."""
    idle_timeout: float = 30.0
    """Seconds without a byte after which a transfer is given up and tried again."""
    retries: int = 4
    parallel: int = 8
    """Connections at a time."""

    @classmethod
    def current(cls, environ: Mapping[str, str] | None = None) -> Settings:
        """The settings of the host and its user. :class:`InputError` for a file or variable that is not well formed."""
        env = os.environ if environ is None else environ
        file = config_file(env)
        config = read_config(file)
        given = _split(env.get("JUPYTER_CONTAINERS_DEBIAN_MIRROR", ""))
        given_security = _split(env.get("JUPYTER_CONTAINERS_DEBIAN_SECURITY_MIRROR", ""))
        if given:
            archives, origin = given, "JUPYTER_CONTAINERS_DEBIAN_MIRROR"
        elif config.debian.archives:
            archives, origin = config.debian.archives, str(file)
        else:
            host = sources.read_sources(Path("/etc/apt"))
            archives, origin = host.archives, "the apt sources of this host"
            given_security = given_security or host.security if archives else given_security
            if not archives:
                archives, origin = (DEFAULT_ARCHIVE,), "the default"
        archives = _check_urls(archives, origin)
        security = _check_urls(given_security or config.debian.security_archives, origin)
        return cls(
            debian_archives=archives,
            security_archives=security or _security_beside(archives),
            origin=origin,
            components=config.debian.components,
            security=config.debian.security,
            strict_valid_until=config.debian.strict_valid_until,
            keyrings=tuple(str(Path(name).expanduser()) for name in config.debian.keyrings),
            offline=read_flag(env, "JUPYTER_CONTAINERS_OFFLINE", config.network.offline),
            connect_timeout=config.network.connect_timeout,
            idle_timeout=config.network.idle_timeout,
            retries=config.network.retries,
            parallel=max(1, config.network.parallel),
        )


def config_file(env: Mapping[str, str]) -> Path:
    """Where the user's configuration file is, or would be."""
    base = env.get("XDG_CONFIG_HOME", "")
    # The XDG specification has relative paths ignored.
    folder = Path(base) if base.startswith("/") else Path(env.get("HOME") or Path.home()) / ".config"
    return folder / "jupyter-containers" / "config.toml"


def read_config(file: Path) -> Config:
    """The file's content, empty where there is none; :class:`InputError`."""
    try:
        text = file.read_text("utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return Config()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read {file}: {error}", hint="correct or remove the file") from error
    try:
        document: dict[str, Any] = tomllib.loads(text)
        debian = document.get("debian")
        if isinstance(debian, dict):
            for key in ("archives", "security-archives", "keyrings", "components"):
                if isinstance(debian.get(key), str):
                    debian[key] = _split(debian[key])
        return msgspec.convert(document, Config)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        cause, key = find_misfit(error)
        problem = Problem(str(file), cause, key=key, remedy="docs/lock.md and docs/images.md list the keys")
        raise InputError("the configuration file is not valid", problems=[problem]) from error


def _split(text: str) -> tuple[str, ...]:
    return tuple(text.replace(",", " ").split())


def _check_urls(urls: tuple[str, ...], origin: str) -> tuple[str, ...]:
    for url in urls:
        if not url.startswith(("http://", "https://")):
            raise InputError(
                f"{origin}: {url!r} is not the URL of a Debian mirror",
                hint=f"give an http or https address such as {DEFAULT_ARCHIVE}",
            )
    return tuple(dict.fromkeys(url.rstrip("/") for url in urls))


def _security_beside(archives: tuple[str, ...]) -> tuple[str, ...]:
    """``…/debian-security`` beside each ``…/debian``; Debian's own last, for mirrors that hold no security suites."""
    beside = [f"{url}-security" for url in archives if url.endswith("/debian")]
    return tuple(dict.fromkeys([*beside, DEFAULT_SECURITY_ARCHIVE]))


def read_flag(env: Mapping[str, str], name: str, default: bool) -> bool:
    """A variable that says yes or no; *default* where it is not set."""
    value = env.get(name)
    if value is None:
        return default
    if value.strip().lower() in _TRUE:
        return True
    if value.strip().lower() in _FALSE:
        return False
    raise InputError(f"{name}={value!r} is neither yes nor no", hint=f"set {name} to 1 or 0")
