"""HTTP/1.1 with kept connections, several mirrors, and second tries.

Proxies, ``SSL_CERT_FILE`` and ``SSL_CERT_DIR`` come from the environment (httpx); else the host's certificates count.
"""

from __future__ import annotations

import contextlib
import os
import random
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ..errors import ArchiveError, CancelledError, UnreachableError
from .settings import Settings

if TYPE_CHECKING:
    import ssl

    import httpx

__all__ = ["Gone", "Later", "Transport", "hosts", "shown"]

_LONGEST_PAUSE = 30.0
_MIRROR_HINT = (
    "set JUPYTER_CONTAINERS_DEBIAN_MIRROR to a mirror that this host reaches, or the proxy in HTTPS_PROXY; "
    "JUPYTER_CONTAINERS_OFFLINE=1 uses what was downloaded before"
)


class Gone(Exception):
    """A mirror's final no (HTTP 4xx): no use in asking it again."""


class Later(Exception):
    """The server asks to come again (HTTP 429, 5xx)."""

    def __init__(self, message: str, pause: float) -> None:
        super().__init__(message)
        self.pause = pause


class Transport:
    """One pool of connections, for several threads."""

    def __init__(self, settings: Settings, *, stopped: threading.Event | None = None) -> None:
        self.settings = settings
        self.stopped = stopped or threading.Event()
        """Set by :meth:`close`: running transfers are to end."""
        self._client: httpx.Client | None = None
        self._lock = threading.Lock()

    def close(self) -> None:
        """End running transfers and let go of the connections."""
        self.stopped.set()
        with self._lock:
            if self._client is not None:
                self._client.close()
                self._client = None

    def try_mirrors(self, urls: Sequence[str], attempt: Callable[[str], None], stop: threading.Event) -> bool:
        """Call *attempt* with each URL until one passes: all mirrors once, then again after a pause.

        False: each of them gave a final no. :class:`UnreachableError`: one did not answer, whatever was tried.
        """
        import httpx

        final: set[str] = set()
        trouble: dict[str, str] = {}
        for turn in range(self.settings.retries + 1):
            pause = min(0.4 * 2**turn, _LONGEST_PAUSE) * random.uniform(0.75, 1.25)  # noqa: S311  spreads load
            for url in urls:
                if url in final:
                    continue
                try:
                    attempt(url)
                    return True
                except Gone:
                    final.add(url)
                except Later as error:
                    trouble[url] = str(error)
                    pause = max(pause, min(error.pause, _LONGEST_PAUSE))
                except httpx.HTTPError as error:
                    trouble[url] = _describe(error)
                except httpx.InvalidURL as error:
                    raise ArchiveError(f"{url!r} is not a URL: {error}", hint="correct the mirror setting") from error
            if len(final) == len(set(urls)):
                return False
            if turn < self.settings.retries and (stop.wait(pause) or self.stopped.is_set()):
                raise CancelledError("the download was stopped")
        tried = "; ".join(f"{shown(url)}: {trouble[url]}" for url in urls if url in trouble)
        raise UnreachableError(
            f"no answer from {', '.join(hosts(urls))} after {self.settings.retries + 1} tries ({tried}); "
            f"mirrors from {self.settings.origin}",
            hint=_MIRROR_HINT,
        )

    def read(self, url: str, headers: dict[str, str], *, most: int) -> tuple[int, dict[str, str], bytes]:
        """Ask once more where the first try fails: status, headers (small letters) and content, decompressed.

        :class:`Gone` for a final no, :class:`UnreachableError` where there is no answer, :class:`ArchiveError` for one
        of more than *most* bytes.
        """
        answer: list[tuple[int, dict[str, str], bytes]] = []

        def ask(url: str) -> None:
            with self.stream(url, {"Accept-Encoding": "gzip", **headers}) as response:
                content = bytearray()
                for chunk in response.iter_bytes():
                    if self.stopped.is_set():
                        raise CancelledError("the download was stopped")
                    content += chunk
                    if len(content) > most:
                        raise ArchiveError(f"{shown(url)} is larger than {most >> 20} MiB", hint="use another index")
                answer.append(
                    (response.status_code, {k.lower(): v for k, v in response.headers.items()}, bytes(content))
                )

        if not self.try_mirrors([url], ask, self.stopped):
            raise Gone(f"{shown(url)} is not there")
        return answer[0]

    @contextlib.contextmanager
    def stream(self, url: str, headers: dict[str, str]) -> Iterator[httpx.Response]:
        with self._connect().stream("GET", url, headers=headers) as response:
            status = response.status_code
            if status in {408, 425, 429} or status >= 500:
                raise Later(f"HTTP {status}", _retry_after(response.headers.get("retry-after", "")))
            if status in {200, 206, 304, 416}:
                yield response
            else:
                raise Gone(f"HTTP {status}")

    def _connect(self) -> httpx.Client:
        with self._lock:
            if self.stopped.is_set():
                raise CancelledError("the download was stopped")
            if self._client is None:
                import httpx

                from .. import __version__

                settings = self.settings
                self._client = httpx.Client(
                    verify=_trust(),
                    follow_redirects=True,
                    # Many small files: a connection that is kept saves two round trips each.
                    limits=httpx.Limits(max_connections=settings.parallel, max_keepalive_connections=settings.parallel),
                    timeout=httpx.Timeout(settings.idle_timeout, connect=settings.connect_timeout, pool=None),
                    # Content is hashed as it lies in the archive: nothing may be (de)compressed under way.
                    headers={"Accept-Encoding": "identity", "User-Agent": f"jupyter-containers/{__version__}"},
                )
            return self._client


def _trust() -> ssl.SSLContext | bool:
    """The host's certificates; those that httpx brings where the host has none."""
    if os.environ.get("SSL_CERT_FILE") or os.environ.get("SSL_CERT_DIR"):
        return True  # httpx reads them itself
    import ssl

    context = ssl.create_default_context()
    return context if context.cert_store_stats()["x509_ca"] else True


def _retry_after(value: str) -> float:
    """Seconds of a Retry-After header (RFC 9110, 10.2.3); a date, or nonsense, counts as none."""
    return float(value) if value.isascii() and value.isdigit() and len(value) < 9 else 0.0


def _describe(error: Exception) -> str:
    text = str(error) or type(error).__name__
    return text.splitlines()[0]


def hosts(urls: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(urlsplit(url).hostname or url for url in urls))


def shown(url: str) -> str:
    """The URL without a password that may be in it."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
