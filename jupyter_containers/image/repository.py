"""One repository of a registry: its manifests, blobs and tags (OCI distribution-spec 1.1, "API")."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from urllib.parse import urlencode

import msgspec

from ..errors import RegistryError, UntrustedContentError
from .digest import hex_of, sha256_of
from .model import INDEX_TYPE, LONGEST_DOCUMENT, Descriptor, decode
from .plan import INDEX_TYPES, MANIFEST_TYPES
from .progress import Counter
from .registry import Registry
from .registry_auth import scope_of
from .transport import Body, Interrupted, origin
from .upload import Upload

__all__ = ["BlobStream", "Document", "Repository"]

_ACCEPT = ", ".join((*INDEX_TYPES, *MANIFEST_TYPES))
_OLD_TYPES = ("application/vnd.docker.distribution.manifest.v1+json",
              "application/vnd.docker.distribution.manifest.v1+prettyjws")  # fmt: skip
_WORTH_A_TURN = 1 << 20
"""Bytes after which a transfer that broke off has all its tries again."""
_PAGES, _PAGE = 1000, 1000
_LONGEST_PAGE = 16 << 20
_LONGEST_TAG = 128
"""Characters (distribution-spec 1.1, "Pulling manifests")."""
_NEXT = re.compile(r"""<([^>]+)>\s*;(?:[^,]*;)?\s*rel="?next"?""")


@dataclass(frozen=True, slots=True)
class Document:
    """A manifest or an index as a registry gave it: the bytes have the digest."""

    descriptor: Descriptor
    data: bytes


class _Tags(msgspec.Struct, frozen=True):
    tags: tuple[str, ...] | None = None


class Repository:
    """The repository *name* in *registry*. *writing*: tokens are asked for pushing, too."""

    def __init__(self, registry: Registry, name: str, *, writing: bool = False) -> None:
        self.registry, self.name = registry, name
        self.scopes = (scope_of(name, "pull,push" if writing else "pull"),)

    def __str__(self) -> str:
        return f"{self.registry.name}/{self.name}"

    # Manifests

    def manifest(self, reference: str) -> Document:
        """The manifest or index of a tag or digest. It is checked against its digest, where that is known.

        Raises :class:`NotFoundError` and the like (:meth:`.Registry.call`), :class:`UntrustedContentError`.
        """
        what = f"{self.name}, manifest {reference}"
        data, headers = self.registry.read(
            f"/v2/{self.name}/manifests/{reference}", LONGEST_DOCUMENT, what=what, scopes=self.scopes, accept=_ACCEPT
        )
        media_type = headers.get("content-type", "").partition(";")[0].strip()
        digest = sha256_of(data)
        promised = reference if ":" in reference else headers.get("docker-content-digest", digest)
        if digest != promised:
            raise UntrustedContentError(
                f"{self.registry.name}, {what}: its digest is {digest}, {promised[:100]} is promised",
                hint="the registry is damaged, or someone under way changes what it sends",
            )
        if media_type in _OLD_TYPES:
            raise UntrustedContentError(
                f"{self.registry.name}, {what}: it is of docker's format 1, which proves nothing of its content and "
                "is not read", hint="push the image anew with any docker since 1.10, or with skopeo"
            )  # fmt: skip
        if media_type not in INDEX_TYPES and media_type not in MANIFEST_TYPES:
            raise UntrustedContentError(
                f"{self.registry.name}, {what}: {media_type[:100]!r} is no image's media type",
                hint="it may be an artefact of another kind (a chart, a signature)",
            )
        return Document(Descriptor(media_type=media_type, digest=digest, size=len(data)), data)

    def put_manifest(self, document: Document, reference: str) -> bool:
        """Keep *document* under a tag or its digest. Its blobs must be there.

        Whether the registry took note of the manifest's subject (``OCI-Subject``).
        """
        what = f"{self.name}, manifest {reference}"
        data = document.data
        with self.registry.call(
            "PUT", f"/v2/{self.name}/manifests/{reference}", what=what, scopes=self.scopes,
            headers={"Content-Type": document.descriptor.media_type}, body=Body(len(data), lambda: iter([data])),
            accept=(200, 201, 202),
        ) as response:  # fmt: skip
            found = response.headers.get("docker-content-digest", document.descriptor.digest)
            subject = "oci-subject" in response.headers
        if found != document.descriptor.digest:
            raise RegistryError(
                f"{self.registry.name}, {what}: it was kept with another digest ({found[:100]})",
                hint="the registry changes what is sent to it: its content can't be checked any more",
            )
        return subject

    def referrers(self, digest: str) -> bytes:
        """The index of what is attached to the manifest *digest*; :class:`NotFoundError` of a registry without it."""
        path = f"/v2/{self.name}/referrers/{digest}"
        what = f"{self.name}, what is attached to {digest}"
        return self.registry.read(path, LONGEST_DOCUMENT, what=what, scopes=self.scopes, accept=INDEX_TYPE)[0]

    # Blobs

    def read_document(self, entry: Descriptor, *, limit: int = LONGEST_DOCUMENT) -> bytes:
        """A manifest, an index, a config or another small blob: of the size and digest that *entry* says."""
        if entry.size > limit or entry.size < 0:
            raise UntrustedContentError(f"{self}: a document of {entry.size} bytes, {limit} are read")
        hex_of(entry.digest)
        if entry.media_type in INDEX_TYPES or entry.media_type in MANIFEST_TYPES:
            data = self.manifest(entry.digest).data
        else:
            path = f"/v2/{self.name}/blobs/{entry.digest}"
            what = f"{self.name}, {entry.digest}"
            data, _ = self.registry.read(path, limit, what=what, scopes=self.scopes)
        if len(data) != entry.size or sha256_of(data) != entry.digest:
            raise UntrustedContentError(
                f"{self}, {entry.digest}: it has {len(data)} bytes and the digest {sha256_of(data)}, "
                f"{entry.size} bytes are promised"
            )
        return data

    def has_blob(self, digest: str) -> bool:
        """Whether the repository has the blob."""
        path = f"/v2/{self.name}/blobs/{digest}"
        with self.registry.call("HEAD", path, what=f"{self.name}, {digest}", scopes=self.scopes,
                                accept=(200, 404)) as response:  # fmt: skip
            return response.status_code == 200

    def open_blob(self, entry: Descriptor, counter: Counter) -> BlobStream:
        """The blob as a stream, taken up again where it breaks off. Who reads it checks it: size, digest."""
        return BlobStream(self, entry, counter)

    def mount(self, digest: str, source: str) -> bool:
        """Have the blob from the repository *source* of the same registry without sending it."""
        scopes = (*self.scopes, scope_of(source, "pull"))
        query = urlencode({"mount": digest, "from": source})
        with self.registry.call(
            "POST", f"/v2/{self.name}/blobs/uploads/?{query}", what=f"{self.name}, {digest}", scopes=scopes,
            body=Body(0, lambda: iter(())), accept=(201, 202, 400, 401, 403, 404, 405),
        ) as response:  # fmt: skip
            # 202 opened an upload instead. It is left to the registry, which forgets such.
            return response.status_code == 201

    def upload(self, entry: Descriptor, read: Callable[[int], Iterator[bytes]], counter: Counter) -> None:
        """Send a blob: *read* gives its bytes from a position on, again where a transfer broke off."""
        Upload(self.registry, self.name, self.scopes, entry, read, counter).run()

    # Tags

    def tags(self) -> Iterator[str]:
        """All tags, as the registry sorts them (distribution-spec, "Listing Tags")."""
        path = f"/v2/{self.name}/tags/list?n={_PAGE}"
        seen: set[str] = set()
        count = 0
        for _ in range(_PAGES):
            what = f"{self.name}, tags"
            data, headers = self.registry.read(path, _LONGEST_PAGE, what=what, scopes=self.scopes)
            tags = decode(data, _Tags, what=f"{self}, tags", limit=_LONGEST_PAGE).tags or ()
            count += len(tags)
            if count > _PAGES * _PAGE or any(len(tag) > _LONGEST_TAG for tag in tags):
                raise UntrustedContentError(f"{self}: its list of tags is none ({count} names, or overlong ones)")
            yield from tags
            following = _NEXT.search(headers.get("link", ""))
            if following is None:
                return
            seen.add(path)
            path = self.registry.url(following[1])
            if path in seen or origin(path) != origin(self.registry.url("/")):
                raise RegistryError(f"{self}: its list of tags leads in circles or elsewhere")
        raise RegistryError(f"{self}: its list of tags has no end")


class BlobStream:
    """A blob as it comes, with ``read``. A context.

    Where the transfer breaks off it is taken up again with a Range request (RFC 9110, section 14). What comes is held
    to size and digest by who reads it, so that parts of different blobs can't pass for one.
    """

    def __init__(self, repository: Repository, entry: Descriptor, counter: Counter, *, start: int = 0) -> None:
        self._repository, self._entry, self._counter = repository, entry, counter
        self._what = f"{repository.name}, {entry.digest}"
        self._position = self._mark = start
        self._turn = 0
        self._call = ExitStack()
        self._pieces: Iterator[bytes] | None = None
        self._waiting = memoryview(b"")

    def __enter__(self) -> BlobStream:
        return self

    def __exit__(self, *exception: object) -> None:
        self._call.close()

    def read(self, size: int, /) -> bytes:
        """Up to *size* bytes; none at the end. Errors are those of :meth:`.Registry.call`."""
        while not self._waiting:
            try:
                piece = next(self._connected(), None)
            except Interrupted as error:
                self._broke_off(str(error))
                continue
            if piece is None:
                return b""
            self._waiting = memoryview(piece)
            self._position += len(piece)
            self._counter.add(len(piece))
        part, self._waiting = bytes(self._waiting[:size]), self._waiting[size:]
        return part

    def _connected(self) -> Iterator[bytes]:
        if self._pieces is not None:
            return self._pieces
        start, registry = self._position, self._repository.registry
        headers = {"Range": f"bytes={start}-"} if start else {}
        path = f"/v2/{self._repository.name}/blobs/{self._entry.digest}"
        response = self._call.enter_context(
            registry.call("GET", path, what=self._what, scopes=self._repository.scopes, headers=headers,
                          accept=(200, 206))
        )  # fmt: skip
        whole = response.status_code == 200
        length = response.headers.get("content-length")
        if whole and length is not None and length != str(self._entry.size):
            raise UntrustedContentError(
                f"{registry.name}, {self._what}: it has {length[:30]} bytes, {self._entry.size} are promised"
            )
        if not whole and not response.headers.get("content-range", "").startswith(f"bytes {start}-"):
            raise RegistryError(f"{registry.name}, {self._what}: it answers with another part than asked for")
        pieces = registry.transport.pieces(response)
        self._pieces = _without(pieces, start) if whole and start else pieces
        return self._pieces

    def _broke_off(self, trouble: str) -> None:
        self._call.close()
        self._pieces = None
        registry = self._repository.registry
        progressed = self._position - self._mark > _WORTH_A_TURN
        self._mark, self._turn = self._position, 0 if progressed else self._turn + 1
        if self._turn > registry.settings.retries:
            raise registry.unreachable(self._what, trouble)
        registry.pause(self._turn)


def _without(pieces: Iterator[bytes], size: int) -> Iterator[bytes]:
    """*pieces* after their first *size* bytes: of a server that knows no ranges."""
    for piece in pieces:
        if size >= len(piece):
            size -= len(piece)
        else:
            yield piece[size:]
            size = 0
