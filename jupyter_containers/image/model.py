"""OCI image-spec 1.1 documents, and the values that the store hands out.

Documents are decoded strictly in what is known and, as the specification demands, with unknown properties
ignored (considerations.md, "Extensibility"). The bytes of a foreign document are kept; it is never written anew.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from ..errors import UntrustedContentError

__all__ = [
    "CONFIG_TYPE", "DOCKER_LIST_TYPE", "DOCKER_MANIFEST_TYPE", "INDEX_TYPE", "LAYER_TYPE", "MANIFEST_TYPE",
    "Descriptor", "ExecutionConfig", "Healthcheck", "History", "Image", "ImageConfig", "Index", "Layer", "Manifest",
    "Platform", "RootFs", "decode", "encode",
]  # fmt: skip

INDEX_TYPE = "application/vnd.oci.image.index.v1+json"
MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar"
"""Plain; with ``+gzip`` or ``+zstd`` compressed."""
DOCKER_MANIFEST_TYPE = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST_TYPE = "application/vnd.docker.distribution.manifest.list.v2+json"

LONGEST_DOCUMENT = 4 << 20
"""Bytes: what distribution-spec 1.1 advises registries to accept of a manifest."""


class _Camel(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    pass


class Platform(_Camel, frozen=True, kw_only=True):
    architecture: str
    os: str
    os_version: str = msgspec.field(default="", name="os.version")
    variant: str = ""


class Descriptor(_Camel, frozen=True, kw_only=True):
    media_type: str
    digest: str
    size: int
    urls: tuple[str, ...] = ()
    """Never fetched (rule of defence 11)."""
    annotations: dict[str, str] = {}
    platform: Platform | None = None
    artifact_type: str = ""


class Index(_Camel, frozen=True, kw_only=True, omit_defaults=False):
    schema_version: int
    media_type: str = INDEX_TYPE
    manifests: tuple[Descriptor, ...]
    annotations: dict[str, str] = {}


class Manifest(_Camel, frozen=True, kw_only=True, omit_defaults=False):
    schema_version: int
    media_type: str = MANIFEST_TYPE
    config: Descriptor
    layers: tuple[Descriptor, ...]
    annotations: dict[str, str] = {}


class Healthcheck(msgspec.Struct, frozen=True, kw_only=True, rename="pascal", omit_defaults=True):
    """Docker's extension of the image configuration; times in nanoseconds."""

    test: tuple[str, ...] | None = None
    interval: int = 0
    timeout: int = 0
    start_period: int = 0
    start_interval: int = 0
    retries: int = 0


class ExecutionConfig(msgspec.Struct, frozen=True, kw_only=True, rename="pascal", omit_defaults=True):
    """config.md, "Properties", ``config``. Go programs write null for an empty list."""

    user: str = ""
    exposed_ports: dict[str, Any] | None = None
    env: tuple[str, ...] | None = None
    entrypoint: tuple[str, ...] | None = None
    cmd: tuple[str, ...] | None = None
    volumes: dict[str, Any] | None = None
    working_dir: str = ""
    labels: dict[str, str] | None = None
    stop_signal: str = ""
    healthcheck: Healthcheck | None = None
    shell: tuple[str, ...] | None = None
    on_build: tuple[str, ...] | None = None

    @property
    def environment(self) -> dict[str, str]:
        """``Env`` as a mapping; the last of two entries for one name wins, as in every engine."""
        return {key: value for key, _, value in (item.partition("=") for item in self.env or ())}


class RootFs(msgspec.Struct, frozen=True, kw_only=True, rename={"kind": "type"}):
    kind: str = "layers"
    diff_ids: tuple[str, ...] = ()


class History(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    created: str = ""
    author: str = ""
    created_by: str = ""
    comment: str = ""
    empty_layer: bool = False


class ImageConfig(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename={"os_version": "os.version"}):
    """config.md: the document whose digest is the image's identity (the *image id* of other engines)."""

    created: str = ""
    """RFC 3339; empty where the build is to be reproducible without a date."""
    author: str = ""
    architecture: str
    os: str = msgspec.field(default_factory=lambda: "linux")
    """Required by the specification: a factory's value is written even where defaults are left out."""
    os_version: str = ""
    variant: str = ""
    config: ExecutionConfig | None = None
    rootfs: RootFs = RootFs()
    history: tuple[History, ...] | None = None

    @property
    def execution(self) -> ExecutionConfig:
        return self.config or ExecutionConfig()


class Layer(msgspec.Struct, frozen=True):
    """One layer of the store, unpacked."""

    id: str
    """Its folder's name: 26 characters made from the diff_id."""
    diff_id: str
    """``sha256:…`` of the uncompressed tar."""
    path: Path
    """The tree in overlayfs's own form: whiteouts are 0:0 character devices, opaque folders carry
    ``user.overlay.opaque=y``. Everything belongs to the store's user; setuid bits are in the record only."""
    size: int
    """Bytes of its regular files, hard links counted once."""
    tar_size: int
    """Bytes of the uncompressed tar."""
    entries: int
    created_by: str
    """What made it, for people: the step's title, or the foreign history's text."""


class Image(msgspec.Struct, frozen=True):
    """One image of the store."""

    digest: str
    """Of its config document: the same for the same content, however its layers are compressed."""
    config: ImageConfig
    layers: tuple[Layer, ...]
    """Lowest first."""
    references: tuple[str, ...]
    """The names that stood for it when it was looked up, sorted."""
    created: float
    """Seconds since the epoch: when it came into this store."""
    manifest_digest: str = ""
    """Of the foreign manifest it was loaded from; empty for images built here."""

    @property
    def layer_paths(self) -> tuple[Path, ...]:
        """Lowest first."""
        return tuple(layer.path for layer in self.layers)

    @property
    def size(self) -> int:
        """Bytes of its layers' files."""
        return sum(layer.size for layer in self.layers)


_PROPERTIES = frozenset(
    field.encode_name.lower()
    for kind in (Platform, Descriptor, Index, Manifest, Healthcheck, ExecutionConfig, RootFs, History, ImageConfig)
    for field in msgspec.structs.fields(kind)
)
"""Names that mean something to readers of images, in small letters."""

_T = TypeVar("_T")


def decode(data: bytes, kind: type[_T], *, what: str, limit: int = LONGEST_DOCUMENT) -> _T:
    """Decode a foreign JSON document of at most *limit* bytes; *what* names it in the error.

    Raises :class:`UntrustedContentError` for size, encoding, syntax, types, depth (the decoder's recursion bound), and
    for what other readers would take for another document (:func:`_check_one_meaning`).
    """
    if len(data) > limit:
        raise UntrustedContentError(f"{what}: {len(data)} bytes of JSON are more than the {limit} that are read")
    try:
        text = data.decode("utf-8")  # properties that are skipped are not checked by the decoder
        decoded = msgspec.json.decode(data, type=kind)
        _check_one_meaning(text, kind, what)
        return decoded
    except (UnicodeDecodeError, msgspec.DecodeError) as error:
        raise UntrustedContentError(f"{what}: {error}") from error
    except RecursionError as error:
        raise UntrustedContentError(f"{what}: JSON nested too deep") from error


def _check_one_meaning(text: str, kind: Any, what: str) -> None:
    """Refuse JSON that has one digest and several meanings.

    Of two properties of one name readers take the first or the last, and Go's take those that differ in case only for
    one. A document with the parts of a manifest and of an index is either, by the media type that it comes with
    (CVE-2021-41190).
    """

    def check(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            twice = next(name for name, times in Counter(name for name, _ in pairs).items() if times > 1)
            raise UntrustedContentError(f"{what}: {twice[:100]!r} is in one object twice")
        known = [name for name in found if name.lower() in _PROPERTIES]
        if len(known) != len({name.lower() for name in known}):
            raise UntrustedContentError(f"{what}: names that differ in case only ({', '.join(known)[:200]})")
        return found

    document = json.loads(text, object_pairs_hook=check)
    if not isinstance(document, dict) or not isinstance(kind, type) or not issubclass(kind, msgspec.Struct):
        return
    fields = {field.encode_name for field in msgspec.structs.fields(kind)}
    parts = {"layers", "config"} if "manifests" in fields else {"manifests"} if "layers" in fields else set()
    if strange := parts & {name.lower() for name in document}:
        raise UntrustedContentError(
            f"{what}: it has {', '.join(sorted(strange))}, and is an index and a manifest at once"
        )


def encode(document: msgspec.Struct | Mapping[str, object]) -> bytes:
    """JSON, the same bytes for equal documents: mappings are sorted by key."""
    return msgspec.json.encode(document, order="deterministic")
