"""HTTP for registries: the only place of the room that knows httpx, and where URLs may lead.

Proxies, ``SSL_CERT_FILE`` and ``SSL_CERT_DIR`` come from the environment (httpx).
"""

from __future__ import annotations

import logging
import os
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import SplitResult, urlsplit

from .._version import __version__
from ..errors import CancelledError, RegistryError, UntrustedContentError
from .registry_settings import RegistrySettings, is_loopback, is_nearby

if TYPE_CHECKING:
    import httpx

    Response: TypeAlias = httpx.Response

__all__ = ["Body", "Interrupted", "NoConnectionError", "Transport", "check_way", "netloc", "origin", "shown"]

_SLOWEST = 1 << 10
"""Bytes a second, over an idle time-out, below which a transfer counts as one that stands still."""
_DOCUMENT_PATIENCE = 4
"""Idle time-outs that a document may take altogether."""
_PORTS = {"http": 80, "https": 443}


class Interrupted(Exception):
    """A request or a transfer broke off: trying again may help. Its text is for people."""


class NoConnectionError(Interrupted):
    """Nothing listens there, or it does not speak TLS as it should."""


@dataclass(frozen=True, slots=True)
class Body:
    """What is sent, as often as it takes."""

    size: int
    open: Callable[[], Iterator[bytes]]


class Transport:
    """Connections, kept alive. A context; may be used by several threads at once."""

    def __init__(self, settings: RegistrySettings, *, stop: threading.Event) -> None:
        self.settings, self.stop = settings, stop
        if _without_queries not in logging.getLogger("httpx").filters:
            logging.getLogger("httpx").addFilter(_without_queries)
        self._lock = threading.Lock()
        self._clients: dict[tuple[bool, bool], httpx.Client] = {}

    def close(self) -> None:
        with self._lock:
            for client in self._clients.values():
                client.close()
            self._clients.clear()

    def exchange(self, method: str, url: str, headers: Mapping[str, str], body: Body | None = None) -> Response:
        """Send one request; the answer's body is still to be read. No redirect is followed.

        Raises :class:`Interrupted`, and :class:`RegistryError` for what is no URL.
        """
        import httpx

        client = self._client(url)
        sent = dict(headers)
        if body is not None:
            sent["Content-Length"] = str(body.size)
        try:
            request = client.build_request(method, url, headers=sent, content=body.open() if body is not None else None)
            return client.send(request, stream=True)
        except httpx.ConnectError as error:
            raise NoConnectionError(_told(error)) from error
        except httpx.TransportError as error:
            raise Interrupted(_told(error)) from error
        except httpx.InvalidURL as error:
            raise RegistryError(f"{shown(url)} is not a URL: {error}") from error

    def pieces(self, response: Response) -> Iterator[bytes]:
        """The answer's body as it comes. :class:`Interrupted`, also where next to nothing comes."""
        import httpx

        # Only what is waited for counts: who takes the pieces may be slow, too.
        waited, got, patience = 0.0, 0, self.settings.idle_timeout
        pieces = response.iter_raw()
        try:
            while True:
                begin = time.monotonic()
                piece = next(pieces, None)
                waited += time.monotonic() - begin
                if piece is None:
                    return
                if self.stop.is_set():
                    raise CancelledError("the transfer was stopped")
                got += len(piece)
                if waited > patience:
                    if got < _SLOWEST * patience:
                        raise Interrupted(f"only {got} bytes came in {waited:.0f} seconds")
                    waited, got = 0.0, 0
                yield piece
        except httpx.TransportError as error:
            raise Interrupted(_told(error)) from error

    def read(self, response: Response, limit: int, *, what: str) -> bytes:
        """The whole body, of at most *limit* bytes: :class:`UntrustedContentError`, :class:`Interrupted`."""
        data = bytearray()
        end = time.monotonic() + _DOCUMENT_PATIENCE * self.settings.idle_timeout
        for piece in self.pieces(response):
            data += piece
            if len(data) > limit:
                raise UntrustedContentError(f"{what}: more than {limit} bytes, which is all that is read")
            if time.monotonic() > end:
                raise Interrupted(f"only {len(data)} bytes came in {_DOCUMENT_PATIENCE} idle time-outs")
        return bytes(data)

    def _client(self, url: str) -> httpx.Client:
        import httpx

        host = netloc(url)
        # Only what was named for it goes unverified: not the host that an insecure registry redirects to.
        key = (host in self.settings.insecure, is_loopback(host))
        with self._lock:
            client = self._clients.get(key)
            if client is None:
                settings = self.settings
                client = self._clients[key] = httpx.Client(
                    verify=False if key[0] else _trust(),  # the user's explicit setting
                    trust_env=not key[1],  # no proxy knows our localhost
                    follow_redirects=False,
                    limits=httpx.Limits(max_connections=None, max_keepalive_connections=settings.parallel + 2),
                    timeout=httpx.Timeout(settings.idle_timeout, connect=settings.connect_timeout, pool=None),
                    headers={
                        "Accept-Encoding": "identity",  # what is hashed may not be changed under way
                        "User-Agent": f"jupyter-containers/{__version__}",
                    },
                )
            return client


def check_way(registry: str, source: str, target: str, settings: RegistrySettings) -> None:
    """Refuse a *target* URL that leads out of encryption, or from elsewhere to this machine's own services.

    *registry* is who leads there, *source* the URL where it did. Raises :class:`RegistryError`.
    """
    parts = _split(target)
    host = netloc(target)
    if parts is None or parts.scheme not in _PORTS or not parts.hostname or parts.username is not None:
        raise RegistryError(f"{registry} leads to {shown(target)!r}, which is no address that is followed")
    if parts.scheme == "http" and not settings.may_be_plain(host):
        raise RegistryError(
            f"{registry} leads to plain http at {host}, where anyone under way could read and change it",
            hint=f"where that is meant: `insecure = true` for {host} in config.toml (docs/images.md)",
        )
    if is_nearby(host) and not is_nearby(netloc(source)):
        raise RegistryError(f"{registry} leads to this machine itself, or what is beside it ({host}), which is refused")


def origin(url: str) -> tuple[str, str, int | None]:
    """Scheme, host and port: what has to be the same for a credential to go along (RFC 6454)."""
    parts = _split(url)
    if parts is None:
        return "", "", None
    return parts.scheme, parts.hostname or "", parts.port or _PORTS.get(parts.scheme)


def netloc(url: str) -> str:
    """Host and, where it is not the scheme's own, port: as registries are written."""
    parts = _split(url)
    if parts is None:
        return ""
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host
    return host if parts.port in (None, _PORTS.get(parts.scheme)) else f"{host}:{parts.port}"


def shown(url: str) -> str:
    """The URL without what may be secret in it: user, password, query."""
    parts = _split(url)
    return f"{parts.scheme}://{netloc(url)}{parts.path}"[:200] if parts is not None else "an ill-formed URL"


def _without_queries(record: logging.LogRecord) -> bool:
    """httpx logs each URL that it asks for. Those that a registry redirects to have their signature in the query."""
    if isinstance(record.args, tuple):
        record.args = tuple(shown(str(item)) if type(item).__name__ == "URL" else item for item in record.args)
    return True


def _split(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises where it is no number
    except ValueError:
        return None
    return parts


def _trust() -> ssl.SSLContext | bool:
    """The host's certificates; those that httpx brings where the host has none."""
    if os.environ.get("SSL_CERT_FILE") or os.environ.get("SSL_CERT_DIR"):
        return True  # httpx reads them itself
    context = ssl.create_default_context()
    return context if context.cert_store_stats()["x509_ca"] else True


def _told(error: Exception) -> str:
    text = str(error).splitlines()
    return f"{type(error).__name__}: {text[0]}" if text else type(error).__name__
