"""Which Python package indexes uv asks: the spec's, else uv's own configuration, else pip's, else PyPI.

uv does not read pip's configuration. Where uv has no index configured, the ``index-url`` and ``extra-index-url`` of
pip's are handed on, as far as they are http(s): a path of the host is of no use in a lock that others build from.
"""

from __future__ import annotations

import configparser
import os
import re
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..spec.model import Packages

__all__ = ["PYPI", "PythonIndexes", "find_indexes", "index_urls", "trust_environment"]

PYPI = "https://pypi.org/simple"

_UV_VARIABLES = ("UV_DEFAULT_INDEX", "UV_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL")
_UV_KEYS = re.compile(r"^\s*(index-url|extra-index-url|\[\[(pip\.)?index\]\]|index\s*=)", re.MULTILINE)
_BUNDLES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem")


@dataclass(frozen=True, slots=True)
class PythonIndexes:
    """URLs to hand to uv; None and () where uv's own configuration or its default holds."""

    default: str | None = None
    extra: tuple[str, ...] = ()
    origin: str = "uv's configuration or its default, PyPI"

    def arguments(self) -> list[str]:
        """uv's options. Index order: extra ones are asked first by uv, so the first that has a name decides; with
        several, the best version of all of them is taken, as pip does."""
        options = [] if self.default is None else ["--default-index", self.default]
        options += [option for url in self.extra for option in ("--index", url)]
        return options + (["--index-strategy", "unsafe-best-match"] if self.extra else [])


def find_indexes(packages: Packages, environ: Mapping[str, str] | None = None) -> PythonIndexes:
    """The indexes for a spec's Python packages on this host."""
    env = os.environ if environ is None else environ
    if packages.index_url is not None or packages.extra_index_urls:
        return PythonIndexes(packages.index_url, packages.extra_index_urls, "the spec")
    if any(env.get(name) for name in _UV_VARIABLES) or any(_names_index(file) for file in _uv_files(env)):
        return PythonIndexes()
    return _pip_indexes(env)


def index_urls(packages: Packages, environ: Mapping[str, str] | None = None) -> tuple[str, ...]:
    """The URLs of all those indexes, the default one last, for who asks them without uv."""
    env = os.environ if environ is None else environ
    found = find_indexes(packages, env)
    default, extra = found.default, list(found.extra)
    if default is None and not extra:
        default = env.get("UV_DEFAULT_INDEX") or env.get("UV_INDEX_URL")
        extra = " ".join(env.get(name, "") for name in ("UV_INDEX", "UV_EXTRA_INDEX_URL")).split()
        for file in _uv_files(env):
            named, more = _uv_indexes(file)
            default = default or named
            extra += more
    urls = [*extra, default or PYPI]
    # uv's variables may give an index a name: `internal=https://…`
    plain = [re.sub(r"^[A-Za-z0-9_-]+=(?=https?://)", "", url).rstrip("/") for url in urls]
    return tuple(dict.fromkeys(_http(plain)))


def _uv_indexes(file: Path) -> tuple[str | None, list[str]]:
    """The default index and the other ones that uv's configuration *file* names."""
    try:
        document = tomllib.loads(file.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError):
        return None, []  # uv tells of it
    default: str | None = None
    extra: list[str] = []
    for table in (document, document.get("pip", {})):
        if not isinstance(table, dict):
            continue
        if isinstance(table.get("index-url"), str):
            default = default or table["index-url"]
        extra += [url for url in _list(table.get("extra-index-url")) if isinstance(url, str)]
        for item in _list(table.get("index")):
            if isinstance(item, dict) and isinstance(item.get("url"), str):
                if item.get("default") is True:
                    default = default or item["url"]
                else:
                    extra.append(item["url"])
    return default, extra


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def trust_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Variables that make uv trust what the host trusts: its certificates, or the bundle that pip is told to use."""
    if environ.get("SSL_CERT_FILE") or environ.get("SSL_CERT_DIR"):
        return {}
    for name in ("PIP_CERT", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        if environ.get(name) and Path(environ[name]).is_file():
            return {"SSL_CERT_FILE": environ[name]}
    named = [_pip_option(section, "cert") for section in _pip_sections(environ)]
    for bundle in (*(item for item in named if item), *_BUNDLES):
        if Path(bundle).is_file():
            return {"SSL_CERT_FILE": bundle}
    return {}


def _pip_indexes(env: Mapping[str, str]) -> PythonIndexes:
    default = env.get("PIP_INDEX_URL", "")
    extra = env.get("PIP_EXTRA_INDEX_URL", "")
    for section in _pip_sections(env):
        default = default or _pip_option(section, "index-url")
        extra = extra or _pip_option(section, "extra-index-url")
    usable = _http(extra.split())
    if not _http([default]) and not usable:
        return PythonIndexes()
    return PythonIndexes(next(iter(_http([default])), None), tuple(usable), "pip's configuration")


def _http(urls: Sequence[str]) -> list[str]:
    return [url for url in urls if url.startswith(("http://", "https://"))]


def _pip_sections(env: Mapping[str, str]) -> Iterator[Mapping[str, str]]:
    """Sections that `pip install` reads, those that win first (pip: "Configuration", "Location")."""
    home = Path(env.get("HOME") or Path.home())
    config_home = Path(env.get("XDG_CONFIG_HOME") or home / ".config")
    named = env.get("PIP_CONFIG_FILE", "")
    files = [
        *([Path(named)] if named and named != os.devnull else []),
        Path(env.get("VIRTUAL_ENV") or sys.prefix) / "pip.conf",
        config_home / "pip" / "pip.conf",
        home / ".pip" / "pip.conf",
        *(Path(folder) / "pip" / "pip.conf" for folder in (env.get("XDG_CONFIG_DIRS") or "/etc/xdg").split(":")),
        Path("/etc/pip.conf"),
    ]
    if named == os.devnull:
        return  # pip's own way to have no configuration file read
    for file in files:
        parser = configparser.RawConfigParser()
        try:
            parser.read_string(file.read_text("utf-8", errors="replace"))
        except (OSError, configparser.Error):
            continue  # as pip's own concern: it is pip that reports a broken pip.conf
        for name in ("install", "global"):
            if parser.has_section(name):
                yield dict(parser.items(name))


def _pip_option(section: Mapping[str, str], name: str) -> str:
    return section.get(name) or section.get(name.replace("-", "_")) or ""


def _uv_files(env: Mapping[str, str]) -> list[Path]:
    """uv's configuration files of user and system (uv: "Configuration files")."""
    if env.get("UV_NO_CONFIG"):
        return []
    if env.get("UV_CONFIG_FILE"):
        return [Path(env["UV_CONFIG_FILE"])]
    home = Path(env.get("HOME") or Path.home())
    user = Path(env.get("XDG_CONFIG_HOME") or home / ".config") / "uv" / "uv.toml"
    system = [Path(folder) / "uv" / "uv.toml" for folder in (env.get("XDG_CONFIG_DIRS") or "/etc/xdg").split(":")]
    return [user, *system, Path("/etc/uv/uv.toml")]


def _names_index(file: Path) -> bool:
    try:
        return _UV_KEYS.search(file.read_text("utf-8", errors="replace")) is not None
    except OSError:
        return False
