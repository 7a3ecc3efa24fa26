"""Attacks in other shapes than the plain ones of test_untrusted.py: chains of links, lies in PAX, many small streams, JSON
of two meanings. Each ends in one clear error and leaves nothing behind, or does no harm."""

# ruff: noqa: E501  tables of one case a line

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import os
import tarfile
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
import zstandard
from tars import FOLDER, HARD, LINK, SMALL, MakeTar, take

from jupyter_containers.errors import UntrustedContentError
from jupyter_containers.image.artifacts import read_artifact
from jupyter_containers.image.blobs import layer_tar
from jupyter_containers.image.bounds import Bounds
from jupyter_containers.image.compression import inflate
from jupyter_containers.image.digest import sha256_of
from jupyter_containers.image.layout import host_architecture, load
from jupyter_containers.image.model import (
    CONFIG_TYPE,
    INDEX_TYPE,
    LAYER_TYPE,
    MANIFEST_TYPE,
    Index,
    Manifest,
    decode,
)
from jupyter_containers.image.store import Store
from jupyter_containers.image.tar import DIRECTORY, END, FILE, HARD_LINK, Member, pack


def nothing_is_left(store: Store) -> bool:
    return not any(os.listdir(store.folder(name)) for name in ("l", "layers", "blobs", "images", "tmp", "locks"))


# Links


def test_hard_links_to_hard_links_and_to_links_stay_inside(store: Store, make_tar: MakeTar) -> None:
    """A hard link to a link is another name of the link: nothing follows it, then or when the tar is made again."""
    data = make_tar(
        ("a", {"data": b"one", "mode": 0o4755}), ("b", HARD | {"linkname": "a"}), ("c", HARD | {"linkname": "./b"}),
        ("out", LINK | {"linkname": "/etc/passwd"}), ("again", HARD | {"linkname": "out"}),
    )  # fmt: skip
    layer = take(store, data)
    names = [layer.path / name for name in "abc"]
    assert len({name.stat().st_ino for name in names}) == 1
    assert names[2].stat().st_mode & 0o7777 == 0o755  # set-user-ID is noted, by each name
    assert (layer.path / "again").readlink() == Path("/etc/passwd")
    assert b"".join(layer_tar(store, layer)) == data


@pytest.mark.parametrize(
    ("entries", "cause"),
    [
        ((("l", LINK | {"linkname": "/etc"}), ("h", HARD | {"linkname": "l"}), ("h/x", {"data": b"x"})), "symbolic link"),
        ((("l", LINK | {"linkname": ".."}), ("d", FOLDER), ("d/h", HARD | {"linkname": "l"}), ("d/h/.wh.x", {})), "symbolic link"),
        ((("a", {"data": b"x"}), ("b", HARD | {"linkname": "a"}), ("b", {"data": b"y"})), "there before"),
        ((("a", HARD | {"linkname": "a"}),), "not in the layer"),
        ((("d/.wh.a", {}), ("b", HARD | {"linkname": "d/a"})), "not a file"),
        ((("p", {"type": tarfile.FIFOTYPE}), ("b", HARD | {"linkname": "p"})), "not a file"),
        ((("d", FOLDER), ("l", LINK | {"linkname": "d"}), ("l/.wh..wh..opq", {})), "symbolic link"),
        ((("l", LINK | {"linkname": "d"}), (".wh.l", {}), ("l/x", {"data": b"x"})), "symbolic link"),
        (((".wh.a", HARD | {"linkname": "b"}), ("a", HARD | {"linkname": ".wh.a"})), "can't be linked"),
    ],
)  # fmt: skip
def test_chains_of_links_are_refused(store: Store, make_tar: MakeTar, entries: Any, cause: str) -> None:
    with pytest.raises(UntrustedContentError, match=f"(?s)evil.tar, entry .*{cause}"):
        take(store, make_tar(*entries))
    assert nothing_is_left(store)


# PAX


def record(text: bytes) -> bytes:
    size = len(text) + 2
    while size != len(b"%d %b\n" % (size, text)):
        size = len(b"%d %b\n" % (size, text))
    return b"%d %b\n" % (size, text)


def described(body: bytes, member: Member, content: bytes) -> bytes:
    """*member* with the PAX records *body* before it."""
    head = bytearray(pack(Member(b"x", FILE, 0o644, 0, size=len(body))))
    head[156:157] = b"x"
    head[148:156] = b" " * 8
    head[148:156] = b"%06o\0 " % sum(head)
    return bytes(head) + body + bytes(-len(body) % 512) + pack(member) + content + bytes(-len(content) % 512) + END


@pytest.mark.parametrize(
    ("body", "cause"),
    [
        (record(b"size=5"), "checksum|octal"),  # less than there is: the rest is read as a header, and is none
        (record(b"size=%d" % (1 << 40)), "unpacks to more|cut off|disk"),
        (record(b"size=%d" % (10**17)), "unpacks to more|cut off|disk"),
        (record(b"size=9999999999999999999999"), "not a number"),
        (record(b"size=0x10"), "not a number"),
        (record(b"size= 10"), "not a number"),
        (record(b"size=1_0"), "not a number"),
        (record("size=١٠".encode()), "not a number"),
        (record(b"size=10.5"), "not a number"),
        (record(b"size=10") + record(b"size=600"), "twice"),
        (record(b"mtime=1e9"), "not a number"),
        (record(b"path=../x"), "lead out"),
        (record(b"path="), "empty"),
        (record(b"GNU.sparse.realsize=1000000000000"), "sparse"),
        (record(b"SCHILY.xattr.user.=x"), "refuses"),
        (record(b"SCHILY.xattr.user." + b"n" * 300 + b"=x"), "refuses"),
        (record(b"SCHILY.xattr.user.big=" + b"x" * 100_000), "refuses|full"),
        (b"0011 path=ab\n" + b"11 path=abc\n", "malformed|twice"),
        (b"-1 path=ab\n", "malformed"),
        ("١١ path=ab\n".encode(), "malformed"),
        (b" 11 path=ab\n", "malformed"),
    ],
)
def test_lies_in_pax_records(store: Store, body: bytes, cause: str) -> None:
    content = b"y" * 700
    data = described(body, Member(b"a", FILE, 0o644, 0, size=len(content)), content)
    with pytest.raises(Exception, match=cause) as caught:
        take(store, data)
    assert "evil.tar" in str(caught.value) or "disk" in str(caught.value)
    assert nothing_is_left(store)


def test_a_size_of_a_link_is_refused_wherever_it_stands(store: Store) -> None:
    with pytest.raises(UntrustedContentError, match="no file"):
        take(store, described(record(b"size=512"), Member(b"a", HARD_LINK, 0o644, 0, link=b"b"), b"x" * 512))
    with pytest.raises(UntrustedContentError, match="no file"):
        take(store, described(record(b"size=512"), Member(b"d", DIRECTORY, 0o755, 0), b"x" * 512))


# Too much


def test_names_that_are_kept_in_mind_are_bounded(store: Store) -> None:
    """A folder costs a header of the archive, which compresses to nothing, and its name of us until the end."""
    bounds = Bounds(reserve=0, noted=100_000)
    folders = b"".join(pack(Member(b"%04d" % number + b"n" * 90, DIRECTORY, 0o755, 0)) for number in range(1000))
    with pytest.raises(UntrustedContentError, match="kept in mind"):
        take(store, folders + END, bounds=bounds)
    marked = b"".join(pack(Member(b"%04d" % number + b"n" * 90, FILE, 0o4755, 0)) for number in range(1000))
    with pytest.raises(UntrustedContentError, match="kept in mind"):
        take(store, marked + END, bounds=bounds)
    plain = b"".join(pack(Member(b"%04d" % number + b"n" * 90, FILE, 0o644, 0)) for number in range(1000))
    assert nothing_is_left(store)
    assert take(store, plain + END, bounds=bounds).entries == 1000


def test_more_names_of_a_file_than_the_disk_keeps_are_told(store: Store) -> None:
    """ext4 has 65 000 names for a file; other file systems have other bounds, or none."""
    data = pack(Member(b"a", FILE, 0o644, 0))
    data += b"".join(pack(Member(b"h%d" % number, HARD_LINK, 0o644, 0, link=b"a")) for number in range(65_100)) + END
    try:
        layer = take(store, data)
    except UntrustedContentError as error:
        assert "Too many links" in str(error)
        assert nothing_is_left(store)
    else:
        assert layer.entries == 65_101


PACKED: dict[str, Callable[[bytes], bytes]] = {
    "gzip": lambda data: gzip.compress(data, mtime=0),
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zstd": zstandard.ZstdCompressor(write_content_size=False).compress,
}


class Endless:
    """*piece* again and again."""

    def __init__(self, head: bytes, piece: bytes) -> None:
        self._head, self._piece = head, piece * (1 + (1 << 16) // len(piece))
        self.given = 0

    def read(self, size: int, /) -> bytes:
        data, self._head = (self._head, b"") if self._head else (self._piece, b"")
        self.given += len(data)
        return data


@pytest.mark.parametrize("name", PACKED)
def test_streams_without_end_of_which_nothing_comes_are_left(name: str) -> None:
    empty = PACKED[name](b"")
    for stream in (Endless(empty, empty), Endless(PACKED[name](b"x"), PACKED[name](b"x"))):
        with pytest.raises(UntrustedContentError, match="hold no more than"):
            for _ in inflate(stream, name, what="x", bounds=Bounds(barren=1 << 20)):
                pass
        assert stream.given < 8 << 20


def test_padding_without_end_is_left() -> None:
    stream = Endless(PACKED["gzip"](b"x"), bytes(1))
    with pytest.raises(UntrustedContentError, match="hold no more than"):
        list(inflate(stream, "gzip", what="x", bounds=Bounds(barren=1 << 20)))


@pytest.mark.parametrize("name", PACKED)
def test_a_bomb_in_many_small_streams(name: str) -> None:
    """Each of them is harmless."""
    part = PACKED[name](bytes(1 << 20))
    tracemalloc.start()
    got = 0
    with pytest.raises(UntrustedContentError, match="compression bomb"):
        for piece in inflate(Endless(part, part), name, what="x", bounds=Bounds(ratio_from=8 << 20)):
            got += len(piece)
    assert got < 64 << 20
    assert tracemalloc.get_traced_memory()[1] < 64 << 20
    tracemalloc.stop()


@pytest.mark.parametrize("name", PACKED)
def test_many_small_streams_are_one(name: str) -> None:
    parts = [bytes([number % 256]) * (number % 700) for number in range(1000)]
    packed = b"".join(map(PACKED[name], parts))
    assert b"".join(inflate(io.BytesIO(packed), name, what="x", bounds=SMALL)) == b"".join(parts)


# JSON of two meanings

ENTRY = {"mediaType": LAYER_TYPE, "digest": "sha256:" + "0" * 64, "size": 1}
HEAD = '"schemaVersion": 2, "mediaType": "x"'
A, B = json.dumps(ENTRY), json.dumps(ENTRY | {"size": 2})


@pytest.mark.parametrize(
    ("kind", "text", "cause"),
    [
        (Manifest, f'{{{HEAD}, "config": {A}, "layers": [{A}], "layers": [{B}]}}', "'layers' is in one object twice"),
        (Manifest, f'{{{HEAD}, "config": {A}, "layers": [{A}], "Layers": [{B}]}}', "differ in case only"),
        (Manifest, f'{{{HEAD}, "config": {A}, "layers": [{{"size": 1, "Size": 2, {A[1:]}]}}', "twice|differ in case"),
        (Manifest, f'{{{HEAD}, "config": {A}, "layers": [], "x": {{"a": 1, "a": 2}}}}', "'a' is in one object twice"),
        (Manifest, f'{{{HEAD}, "config": {A}, "layers": [], "l\\u0061yers": [{A}]}}', "twice"),
        (Manifest, f'{{{HEAD}, "config": {A}, "layers": [{A}], "manifests": [{B}]}}', "an index and a manifest at once"),
        (Manifest, f'{{{HEAD}, "config": {A}, "layers": [{A}], "Manifests": [{B}]}}', "an index and a manifest at once"),
        (Index, f'{{{HEAD}, "manifests": [{A}], "layers": [{B}]}}', "an index and a manifest at once"),
        (Index, f'{{{HEAD}, "manifests": [{A}], "config": {B}}}', "an index and a manifest at once"),
    ],
)  # fmt: skip
def test_documents_mean_one_thing(kind: type[msgspec.Struct], text: str, cause: str) -> None:
    with pytest.raises(UntrustedContentError, match=f"evil.json: .*({cause})"):
        decode(text.encode(), kind, what="evil.json")


def test_an_artefact_is_no_index_either() -> None:
    text = f'{{{HEAD}, "config": {A}, "layers": [], "manifests": []}}'
    with pytest.raises(UntrustedContentError, match="at once"):
        read_artifact(text.encode(), what="evil.json")


def test_labels_may_differ_in_case(store: Store) -> None:
    annotations = {"version": "1", "Version": "2"}
    text = json.dumps({"schemaVersion": 2, "config": ENTRY, "layers": [], "annotations": annotations})
    assert decode(text.encode(), Manifest, what="fine.json").annotations == annotations


# Images in files


class Layout:
    """An OCI layout in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "blobs/sha256").mkdir(parents=True)
        (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')

    def blob(self, data: bytes, media_type: str, *, digest: str = "") -> dict[str, Any]:
        digest = digest or sha256_of(data)
        (self.folder / "blobs/sha256" / digest[7:]).write_bytes(data)
        return {"mediaType": media_type, "digest": digest, "size": len(data)}

    def document(self, document: dict[str, Any], media_type: str, **options: str) -> dict[str, Any]:
        return self.blob(
            json.dumps({"schemaVersion": 2, "mediaType": media_type, **document}).encode(), media_type, **options
        )

    def image(self, *tars: bytes, digest: str = "") -> dict[str, Any]:
        config = {
            "architecture": host_architecture(), "os": "linux",
            "rootfs": {"type": "layers", "diff_ids": [sha256_of(tar) for tar in tars]},
        }  # fmt: skip
        layers = [self.blob(tar, LAYER_TYPE) for tar in tars]
        return self.document(
            {"config": self.blob(json.dumps(config).encode(), CONFIG_TYPE), "layers": layers},
            MANIFEST_TYPE,
            digest=digest,
        )

    def index(self, *entries: dict[str, Any]) -> None:
        (self.folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": entries}))


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path / "layout")


WRONG = "sha256:" + "a" * 64


@pytest.mark.parametrize("wrong", ["index", "manifest"])
def test_a_wrong_digest_deep_in_nested_indexes(store: Store, layout: Layout, make_tar: MakeTar, wrong: str) -> None:
    image = layout.image(make_tar(("a", {"data": b"x"})), digest=WRONG if wrong == "manifest" else "")
    inner = layout.document({"manifests": [image]}, INDEX_TYPE, digest=WRONG if wrong == "index" else "")
    layout.index(layout.document({"manifests": [inner]}, INDEX_TYPE))
    with pytest.raises(UntrustedContentError, match=f"its digest is .*{WRONG} is promised"):
        load(store, layout.folder, bounds=SMALL)
    assert nothing_is_left(store)


def test_an_index_that_calls_itself_a_manifest(store: Store, layout: Layout, make_tar: MakeTar) -> None:
    image = layout.image(make_tar(("a", {"data": b"x"})))
    index = layout.document({"manifests": [image]}, INDEX_TYPE)
    layout.index(index | {"mediaType": MANIFEST_TYPE})
    with pytest.raises(UntrustedContentError, match="config"):
        load(store, layout.folder, bounds=SMALL)


def test_a_manifest_of_thousands_of_layers(store: Store, layout: Layout) -> None:
    """Within the size of a document, and more than can be mounted: refused before any is read."""
    tar = END
    blob, diff_id = layout.blob(tar, LAYER_TYPE), sha256_of(tar)
    rootfs = {"type": "layers", "diff_ids": [diff_id] * 20_000}
    config = json.dumps({"architecture": host_architecture(), "os": "linux", "rootfs": rootfs}).encode()
    document = {"config": layout.blob(config, CONFIG_TYPE), "layers": [blob] * 20_000}
    layout.index(layout.document(document, MANIFEST_TYPE))
    with pytest.raises(UntrustedContentError, match="20000 layers are more than 400"):
        load(store, layout.folder, bounds=SMALL)
    assert nothing_is_left(store)


@pytest.mark.parametrize(
    ("config", "cause"),
    [
        ({"Env": ["PATH=/bin", "A=b\0--bind\0/\0/mnt"]}, "NUL"),  # would be options of the program that starts it
        ({"Entrypoint": ["/bin/sh\0"]}, "NUL"),
        ({"Cmd": ["a", "b\0c"]}, "NUL"),
        ({"WorkingDir": "/a\0b"}, "NUL"),
        ({"User": "0\0"}, "NUL"),
        ({"Volumes": {"/a\0": {}}}, "NUL"),
        ({"Labels": {"a": "\0"}}, "NUL"),
        ({"Healthcheck": {"Test": ["CMD", "\0"]}}, "NUL"),
        ({"Volumes": {f"/v{number}": {} for number in range(20_000)}}, "20000 volumes"),
        ({"Volumes": {"/" + "v" * 300: {}}}, "overlong"),
        ({"WorkingDir": "/d" * 3000}, "overlong"),
    ],
)
def test_configurations_that_nothing_can_be_run_by(
    store: Store, layout: Layout, config: dict[str, Any], cause: str
) -> None:
    rootfs = {"type": "layers", "diff_ids": []}
    document = {"architecture": host_architecture(), "os": "linux", "config": config, "rootfs": rootfs}
    entry = layout.blob(json.dumps(document).encode(), CONFIG_TYPE)
    layout.index(layout.document({"config": entry, "layers": []}, MANIFEST_TYPE))
    with pytest.raises(UntrustedContentError, match=cause):
        load(store, layout.folder, bounds=SMALL)
    assert nothing_is_left(store)


@pytest.mark.parametrize(
    "layer", ["../secret.tar", "x/../../secret.tar", "/etc/passwd", "..", "", "x//../../secret.tar"]
)
def test_a_docker_archive_in_a_folder_names_nothing_outside(
    store: Store, tmp_path: Path, make_tar: MakeTar, layer: str
) -> None:
    tar = make_tar(("a", {"data": b"secret"}))
    (tmp_path / "secret.tar").write_bytes(tar)
    folder = tmp_path / "image"
    (folder / "x").mkdir(parents=True)
    rootfs = {"type": "layers", "diff_ids": [sha256_of(tar)]}
    config = json.dumps({"architecture": host_architecture(), "os": "linux", "rootfs": rootfs}).encode()
    name = f"{sha256_of(config)[7:]}.json"
    (folder / name).write_bytes(config)
    (folder / "manifest.json").write_text(json.dumps([{"Config": name, "RepoTags": ["a:1"], "Layers": [layer]}]))
    with pytest.raises(UntrustedContentError, match=r"lead out|cannot open"):
        load(store, folder, bounds=SMALL)
    assert nothing_is_left(store)
