"""Authentication to registries, as decisions on texts: challenges, and what answers them.

RFC 9110 section 11 (challenges), RFC 7617 (Basic), RFC 6750 (Bearer), and the token protocol that registries follow
(https://distribution.github.io/distribution/spec/auth/token/ and …/oauth/).
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable
from dataclasses import dataclass, field

import msgspec

from ..errors import RegistryError
from .model import decode

__all__ = ["Challenge", "Credential", "Token", "basic", "parse_challenges", "read_token", "scope_of"]

_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # noqa: S105  RFC 9110's name for a word
_PARAMETER = re.compile(rf'\s*({_TOKEN})\s*=\s*(?:"((?:[^"\\]|\\.)*)"|({_TOKEN}))\s*')
_SCHEME = re.compile(rf"\s*({_TOKEN})(?:\s+|\s*$|\s*(?=,))")
_TOKEN68 = re.compile(r"[A-Za-z0-9._~+/-]+=*\s*(?=,|$)")
_LONGEST_HEADER = 16 << 10
_LONGEST_TOKEN = 64 << 10
_SHORTEST_LIFE = 60
"""Seconds that a token lives when nothing is said, by the token protocol."""


@dataclass(frozen=True, slots=True)
class Credential:
    """What a user has for a registry. Its secrets are in no text of it."""

    username: str = ""
    password: str = field(default="", repr=False)
    identity_token: str = field(default="", repr=False)
    """A refresh token (OAuth 2), given instead of a password."""
    registry_token: str = field(default="", repr=False)
    """A bearer token, to be sent as it is."""

    def __bool__(self) -> bool:
        return bool(self.password or self.identity_token or self.registry_token)


@dataclass(frozen=True, slots=True)
class Challenge:
    """One way in that a server offers."""

    scheme: str
    """Lower-case."""
    parameters: dict[str, str]
    """Names are lower-case."""


@dataclass(frozen=True, slots=True)
class Token:
    """A bearer token and when it ends."""

    text: str = field(repr=False)
    expires: float
    """On the clock that was given."""


def parse_challenges(headers: Iterable[str]) -> tuple[Challenge, ...]:
    """The challenges of ``WWW-Authenticate`` headers, of which each may hold several.

    What can't be understood ends the header that it is in: it offers no way in.
    """
    found: list[Challenge] = []
    for header in headers:
        text = header[:_LONGEST_HEADER]
        position = 0
        while match := _SCHEME.match(text, position):
            scheme, position = match[1].lower(), match.end()
            parameters: dict[str, str] = {}
            if blob := _TOKEN68.match(text, position):  # of Negotiate and its like
                position = blob.end()
            while parameter := _PARAMETER.match(text, position):
                name, quoted, plain = parameter.groups()
                parameters.setdefault(name.lower(), plain if quoted is None else re.sub(r"\\(.)", r"\1", quoted))
                position = parameter.end()
                following = re.compile(r"[\s,]*").match(text, position)
                if following is None or "," not in following[0]:
                    break
                position = following.end()
            found.append(Challenge(scheme, parameters))
            comma = re.compile(r"[\s,]*").match(text, position)
            position = comma.end() if comma else position
    return tuple(found)


def scope_of(repository: str, actions: str) -> str:
    """``repository:library/debian:pull``."""
    return f"repository:{repository}:{actions}"


def basic(credential: Credential) -> str:
    """The value of ``Authorization`` for the scheme Basic."""
    pair = f"{credential.username}:{credential.password}".encode()
    return "Basic " + base64.b64encode(pair).decode("ascii")


class _Answer(msgspec.Struct, frozen=True):
    token: str = ""
    access_token: str = ""
    expires_in: float = _SHORTEST_LIFE


def read_token(body: bytes, *, realm: str, now: float) -> Token:
    """A token server's answer. Raises :class:`UntrustedContentError`, or :class:`RegistryError` where it has none."""
    answer = decode(body, _Answer, what=f"the token server {realm}", limit=_LONGEST_TOKEN)
    text = answer.token or answer.access_token
    if not text or not text.isascii() or not text.isprintable() or " " in text:
        raise RegistryError(f"the token server {realm} gave no token", hint="try again; `jupyter containers login`")
    # A little before its end, so that it does not run out under way.
    return Token(text, now + max(answer.expires_in, _SHORTEST_LIFE) * 0.9)
