"""Sending one blob to a registry (OCI distribution-spec 1.1, "Pushing blobs"), taken up again where it breaks off.

Small blobs go in one request. Larger ones go as one chunk in PATCH, as docker sends them: of a chunk that broke off,
the registry can be asked how much it has. The registry compares all with the digest at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import parse_qsl, urlencode, urlsplit

from ..errors import NotFoundError, RegistryError
from .model import Descriptor
from .progress import Counter
from .registry import Registry
from .transport import Body, Interrupted

if TYPE_CHECKING:
    from .transport import Response

__all__ = ["Upload"]

_SINGLE_REQUEST = 4 << 20
"""Bytes up to which a blob is sent in one request."""
_WORTH_A_TURN = 1 << 20
"""Bytes after which a transfer that broke off has all its tries again."""
_NO_BODY = Body(0, lambda: iter(()))
_Read: TypeAlias = Callable[[int], Iterator[bytes]]


class Upload:
    """One blob on its way into the repository *name*; *read* gives its bytes from a position on."""

    def __init__(
        self, registry: Registry, name: str, scopes: tuple[str, ...], entry: Descriptor, read: _Read, counter: Counter
    ) -> None:
        self._registry, self._name, self._scopes = registry, name, scopes
        self._entry, self._read, self._counter = entry, read, counter
        self._what = f"{name}, {entry.digest}"
        self._location = ""
        self._there = self._furthest = 0
        """Bytes that the registry says it has, now and at most: one that says less than before has made no progress."""
        self._counted = 0

    def run(self) -> None:
        """Send it. Errors are those of :meth:`.Registry.call`."""
        turn, trouble, entry = 0, "", self._entry
        while turn <= self._registry.settings.retries:
            before = self._furthest
            try:
                if not self._location:
                    self._begin()
                if entry.size - self._there > _SINGLE_REQUEST:
                    self._patch()
                self._finish()
                self._count(entry.size)
                return
            except Interrupted as error:
                trouble = str(error)
                self._ask_what_is_there()
            self._furthest = max(self._furthest, self._there)
            turn = 0 if self._furthest - before > _WORTH_A_TURN else turn + 1
            self._registry.pause(turn)
        raise self._registry.unreachable(self._what, trouble)

    def _begin(self) -> None:
        path = f"/v2/{self._name}/blobs/uploads/"
        with self._registry.call(
            "POST", path, what=self._what, scopes=self._scopes, body=_NO_BODY, accept=(202,)
        ) as response:
            self._move(response)
        self._there = 0
        self._count(0)

    def _patch(self) -> None:
        with self._registry.call(
            "PATCH", self._location, what=self._what, scopes=self._scopes, headers=self._headers(),
            body=self._rest(), accept=(201, 202, 204), retry=False,
        ) as response:  # fmt: skip
            self._move(response)
        self._there = self._entry.size

    def _finish(self) -> None:
        """The last request: the digest, and what was not sent yet."""
        parts = urlsplit(self._location)
        query = urlencode([*parse_qsl(parts.query, keep_blank_values=True), ("digest", self._entry.digest)])
        with self._registry.call(
            "PUT", parts._replace(query=query).geturl(), what=self._what, scopes=self._scopes,
            headers=self._headers(), body=self._rest(), accept=(201, 202, 204), retry=False,
        ):  # fmt: skip
            pass

    def _ask_what_is_there(self) -> None:
        """After a break: go on from what the registry has, or begin anew where it can't tell."""
        there = 0
        if self._location:
            try:
                with self._registry.call(
                    "GET", self._location, what=self._what, scopes=self._scopes, accept=(204,)
                ) as response:
                    last = response.headers.get("range", "").rpartition("-")[2]
                    # "0-0" is said of one byte and, by some, of none.
                    there = int(last) + 1 if last.isascii() and last.isdigit() and int(last) > 0 else 0
                    if response.headers.get("location"):
                        self._move(response)
            except (NotFoundError, RegistryError):
                there = 0
        if not 0 < there <= self._entry.size:
            self._location, there = "", 0
        self._there = there
        self._count(there)

    def _headers(self) -> dict[str, str]:
        headers = {"Content-Type": "application/octet-stream"}
        if 0 < self._there < self._entry.size:
            headers["Content-Range"] = f"{self._there}-{self._entry.size - 1}"
        return headers

    def _rest(self) -> Body:
        start = self._there

        def pieces() -> Iterator[bytes]:
            self._count(start)  # once more after a challenge: what went before does not count
            for piece in self._read(start):
                yield piece
                self._count(self._counted + len(piece))

        return Body(self._entry.size - start, pieces)

    def _count(self, position: int) -> None:
        if position != self._counted:
            self._counter.add(position - self._counted)
            self._counted = position

    def _move(self, response: Response) -> None:
        """Registries give a new address with each answer."""
        location = response.headers.get("location", "")
        if not location:
            raise RegistryError(f"{self._registry.name}, {self._what}: it takes the upload, and does not say where")
        self._location = self._registry.url(location)
