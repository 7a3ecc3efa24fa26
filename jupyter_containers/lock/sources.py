"""The host's apt sources (sources.list(5)), as far as they name mirrors of Debian's own archive."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

__all__ = ["Source", "Sources", "parse_deb822", "parse_list", "read_sources"]

_SUITES = frozenset({
    "stretch", "buster", "bullseye", "bookworm", "trixie", "forky", "duke", "sid",
    "oldoldstable", "oldstable", "stable", "testing", "unstable",
})  # fmt: skip
_LINE = re.compile(r"^deb\s+(?:\[(?P<options>[^]]*)\]\s+)?(?P<uri>\S+)\s+(?P<suite>\S+)\s*(?P<components>.*)$")


@dataclass(frozen=True, slots=True)
class Source:
    """One mirror with one suite."""

    uri: str
    suite: str
    components: tuple[str, ...]
    signed_by: str = ""


@dataclass(frozen=True, slots=True)
class Sources:
    """Roots of mirrors, each once, in the order of the files."""

    archives: tuple[str, ...] = ()
    security: tuple[str, ...] = ()


def read_sources(folder: Path) -> Sources:
    """The Debian mirrors that *folder* (``/etc/apt``) names. What can't be read or parsed is left out."""
    found: list[Source] = []
    files = [folder / "sources.list", *sorted((folder / "sources.list.d").glob("*"))]
    for file in files:
        try:
            text = file.read_text("utf-8", errors="replace")
        except OSError:
            continue  # apt's own business: a source we can't read is one we don't use
        if file.suffix == ".list":
            found.extend(parse_list(text))
        elif file.suffix == ".sources":
            found.extend(parse_deb822(text))
    usable = [source for source in found if _is_debian(source)]
    security = [source.uri for source in usable if _is_security(source)]
    archives = [source.uri for source in usable if not _is_security(source)]
    return Sources(tuple(dict.fromkeys(archives)), tuple(dict.fromkeys(security)))


def parse_list(text: str) -> Iterator[Source]:
    """The one-line style: ``deb [options] uri suite component…``."""
    for raw in text.splitlines():
        match = _LINE.match(raw.split("#", 1)[0].strip())
        if match is None:
            continue
        options = dict(item.partition("=")[::2] for item in (match["options"] or "").split())
        yield Source(
            match["uri"].rstrip("/"), match["suite"], tuple(match["components"].split()), options.get("signed-by", "")
        )


def parse_deb822(text: str) -> Iterator[Source]:
    """The deb822 style: a stanza with Types, URIs, Suites, Components."""
    for stanza in re.split(r"\n[ \t]*\n", text):
        fields: dict[str, str] = {}
        key = ""
        for line in stanza.splitlines():
            if line.startswith("#"):
                continue
            if line[:1] in {" ", "\t"}:
                fields[key] = f"{fields.get(key, '')} {line.strip()}"
            elif ":" in line:
                name, _, value = line.partition(":")
                key = name.strip().lower()
                fields[key] = value.strip()
        if "deb" not in fields.get("types", "").split() or fields.get("enabled", "yes").lower() == "no":
            continue
        for uri in fields.get("uris", "").split():
            for suite in fields.get("suites", "").split():
                components = tuple(fields.get("components", "").split())
                yield Source(uri.rstrip("/"), suite, components, fields.get("signed-by", ""))


def _is_debian(source: Source) -> bool:
    """Whether the source mirrors Debian's archive. Others' archives use its suites' names as well, so the keyring,
    where one is named, or else the address must speak of Debian; the signature is what decides in the end."""
    url = urlsplit(source.uri)
    suite = re.split(r"[-/]", source.suite)[0]
    if url.scheme not in {"http", "https"} or suite not in _SUITES or "main" not in source.components:
        return False
    if source.signed_by:
        return "debian-archive" in source.signed_by
    return (url.hostname or "").endswith(".debian.org") or url.path.rsplit("/", 1)[-1].startswith("debian")


def _is_security(source: Source) -> bool:
    return source.suite.endswith(("-security", "/updates"))
