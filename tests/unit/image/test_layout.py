"""Images in files: ours, and hostile ones."""

# ruff: noqa: E501  tables of one case a line

from __future__ import annotations

import gzip
import io
import json
import lzma
import os
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import zstandard

from jupyter_containers.errors import NotFoundError, UntrustedContentError
from jupyter_containers.image import layout
from jupyter_containers.image.blobs import layer_tar
from jupyter_containers.image.bounds import Bounds
from jupyter_containers.image.check import verify
from jupyter_containers.image.digest import sha256_of
from jupyter_containers.image.gc import collect
from jupyter_containers.image.model import (
    CONFIG_TYPE,
    DOCKER_MANIFEST_TYPE,
    INDEX_TYPE,
    LAYER_TYPE,
    MANIFEST_TYPE,
    ExecutionConfig,
    ImageConfig,
    Layer,
)
from jupyter_containers.image.store import Store

MakeTar = Callable[..., bytes]
SMALL = Bounds(reserve=0)
PACK: dict[str, Callable[[bytes], bytes]] = {
    "": lambda data: data,
    "+gzip": lambda data: gzip.compress(data),
    "+zstd": lambda data: zstandard.ZstdCompressor().compress(data),
}


class Parts:
    """An OCI layout as it is put together, to be broken in one place."""

    def __init__(self, layers: list[bytes], *, suffix: str = "+gzip") -> None:
        self.blobs: dict[str, bytes] = {}
        self.config: dict[str, Any] = {
            "architecture": layout.host_architecture(), "os": "linux", "config": {"Env": ["A=1"]},
            "rootfs": {"type": "layers", "diff_ids": [sha256_of(layer) for layer in layers]},
            "history": [{"created_by": "first"}, {"empty_layer": True}, {"created_by": "second"}],
        }  # fmt: skip
        self.layers = [self.blob(PACK[suffix](layer), LAYER_TYPE + suffix) for layer in layers]
        self.manifest: dict[str, Any] = {"schemaVersion": 2, "mediaType": MANIFEST_TYPE}
        self.entry: dict[str, Any] = {}
        self.index: dict[str, Any] = {"schemaVersion": 2}

    def blob(self, data: bytes | dict[str, Any], media_type: str) -> dict[str, Any]:
        data = data if isinstance(data, bytes) else json.dumps(data).encode()
        digest = sha256_of(data)
        self.blobs[digest] = data
        return {"mediaType": media_type, "digest": digest, "size": len(data)}

    def files(self) -> dict[str, bytes]:
        manifest = {"config": self.blob(self.config, CONFIG_TYPE), "layers": self.layers} | self.manifest
        entry = self.blob(manifest, MANIFEST_TYPE) | self.entry
        files = {f"blobs/sha256/{digest[7:]}": data for digest, data in self.blobs.items()}
        return files | {
            "oci-layout": b'{"imageLayoutVersion":"1.0.0"}',
            "index.json": json.dumps({"manifests": [entry]} | self.index).encode(),
        }

    def tar(self, path: Path) -> Path:
        path.write_bytes(tar_of(self.files()))
        return path

    def folder(self, path: Path) -> Path:
        for name, data in self.files().items():
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            (path / name).write_bytes(data)
        return path


def tar_of(files: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return stream.getvalue()


@pytest.fixture
def tars(make_tar: MakeTar) -> list[bytes]:
    return [
        make_tar(("etc/passwd", {"data": b"root", "uid": 7}), ("usr/bin/su", {"data": b"su", "mode": 0o4755})),
        make_tar(("etc/.wh.passwd", {}), ("etc/motd", {"data": b"hello"})),
    ]


@pytest.mark.parametrize("suffix", PACK)
@pytest.mark.parametrize("outer", ["folder", "tar", "gzip", "xz"])
def test_oci_images_are_loaded(store: Store, tmp_path: Path, tars: list[bytes], suffix: str, outer: str) -> None:
    parts = Parts(tars, suffix=suffix)
    path = parts.folder(tmp_path / "layout") if outer == "folder" else parts.tar(tmp_path / "image.tar")
    if outer == "gzip":
        path.write_bytes(gzip.compress(path.read_bytes()))
    elif outer == "xz":
        path.write_bytes(lzma.compress(path.read_bytes()))
    image = layout.load(store, path, bounds=SMALL)
    assert image.digest == sha256_of(json.dumps(parts.config).encode())
    assert image.config.execution.environment == {"A": "1"}
    assert [layer.created_by for layer in image.layers] == ["first", "second"]
    assert [b"".join(map(bytes, layer_tar(store, layer))) for layer in image.layers] == tars
    assert store.image(image.manifest_digest).digest == image.digest
    assert verify(store) == ()
    assert layout.read_image_config(store, path)[0] == image.digest
    assert os.listdir(store.root / "tmp") == []
    # The layer's record tells what it came as, for a registry that has it.
    assert store.layer_record(image.layers[0].diff_id).sources[0].size == parts.layers[0]["size"]
    store.tag("loaded", image.digest)
    assert collect(store).items == ()
    assert verify(store) == ()


def test_docker_archives_are_loaded(store: Store, tmp_path: Path, tars: list[bytes]) -> None:
    config = json.dumps(Parts(tars).config).encode()
    name = sha256_of(config)[7:] + ".json"
    manifest = [{"Config": name, "RepoTags": ["a:1"], "Layers": ["x/layer.tar", "y/layer.tar"]}]
    data = tar_of(
        {
            name: config,
            "x/layer.tar": tars[0],
            "y/layer.tar": tars[1],
            "manifest.json": json.dumps(manifest).encode(),
        }
    )
    path = tmp_path / "docker.tar"
    path.write_bytes(data)
    for wanted in ("", "a:1"):
        image = layout.load(store, path, name=wanted, bounds=SMALL)
        assert image.digest == sha256_of(config)
        assert len(image.layers) == 2
    with pytest.raises(UntrustedContentError, match="0 images named 'b'"):
        layout.load(store, path, name="b", bounds=SMALL)
    path.write_bytes(data.replace(b'"A=1"', b'"A=2"'))
    with pytest.raises(UntrustedContentError, match="not called by its digest"):
        layout.load(store, path, bounds=SMALL)


def test_layers_that_docker_linked_are_found(
    store: Store, tmp_path: Path, tars: list[bytes], make_tar: MakeTar
) -> None:
    parts = Parts([tars[0], tars[0]])
    config = json.dumps(parts.config).encode()
    name = sha256_of(config)[7:] + ".json"
    manifest = json.dumps([{"Config": name, "Layers": ["x/layer.tar", "y/layer.tar"]}]).encode()
    path = tmp_path / "docker.tar"
    path.write_bytes(
        make_tar(
            (name, {"data": config}), ("x/layer.tar", {"data": tars[0]}), ("manifest.json", {"data": manifest}),
            ("y/layer.tar", {"type": tarfile.SYMTYPE, "linkname": "../x/layer.tar"}),
        )
    )  # fmt: skip
    image = layout.load(store, path, bounds=SMALL)
    assert image.layers[0] == image.layers[1]
    assert verify(store) == ()


def test_saved_images_are_the_same_image_elsewhere(
    store: Store, tmp_path: Path, commit: Callable[..., Layer], tars: list[bytes]
) -> None:
    base = layout.load(store, Parts(tars[:1]).tar(tmp_path / "base.tar"), bounds=SMALL).layers
    top = commit({"work/a": b"x" * 3_000_000, "work/b": b""})
    config = ImageConfig(architecture="amd64", config=ExecutionConfig(cmd=("sh",), labels={"z": "1", "a": "2"}))
    image = store.put_image(config, [*base, top])
    target = tmp_path / "saved.tar"
    entry = layout.save(store, image, target, reference="thesis:1")
    first = target.read_bytes()
    assert layout.save(store, image, target, reference="thesis:1") == entry
    assert target.read_bytes() == first
    assert sorted(os.listdir(tmp_path)) == ["base.tar", "saved.tar", "store"]
    other = Store(tmp_path / "other")
    loaded = layout.load(other, target, name="thesis:1", bounds=SMALL)
    assert loaded.digest == image.digest
    assert loaded.manifest_digest == entry.digest
    assert [layer.diff_id for layer in loaded.layers] == [layer.diff_id for layer in image.layers]
    assert loaded.config == image.config
    assert verify(other) == ()
    # Saved from there, and uncompressed, it still is the image.
    layout.save(other, loaded, tmp_path / "plain.tar", compression="none")
    again = layout.load(Store(tmp_path / "third"), tmp_path / "plain.tar", bounds=SMALL)
    assert again.digest == image.digest
    with tarfile.open(target) as archive:
        names = archive.getnames()
        described = json.load(archive.extractfile("manifest.json"))  # type: ignore[arg-type]
    assert {"oci-layout", "index.json", "blobs/sha256"} <= set(names)
    assert set(described[0]["Layers"]) | {described[0]["Config"]} <= set(names)


def test_a_damaged_layer_does_not_ship(store: Store, tmp_path: Path, commit: Callable[..., Layer]) -> None:
    layer = commit({"a": b"1"})
    image = store.put_image(ImageConfig(architecture="amd64"), [layer])
    (layer.path / "a").write_bytes(b"2")
    target = tmp_path / "saved.tar"
    target.write_text("what was there before")
    with pytest.raises(Exception, match="damaged"):
        layout.save(store, image, target)
    assert target.read_text() == "what was there before"
    assert sorted(os.listdir(tmp_path)) == ["saved.tar", "store"]


def test_platforms_and_names_choose(store: Store, tmp_path: Path, tars: list[bytes]) -> None:
    parts = Parts(tars)
    config = parts.config
    entries = []
    for architecture in ("amd64", "arm64"):
        document = config | {"architecture": architecture}
        manifest = parts.blob(
            {"schemaVersion": 2, "config": parts.blob(document, CONFIG_TYPE), "layers": parts.layers},
            MANIFEST_TYPE,
        )
        entries.append(manifest | {"platform": {"os": "linux", "architecture": architecture}})
    attestation = {"mediaType": MANIFEST_TYPE, "digest": sha256_of(b""), "size": 0, "platform": {"os": "unknown", "architecture": "unknown"}}  # fmt: skip
    nested = parts.blob({"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": [*entries, attestation]}, INDEX_TYPE)
    parts.index |= {"manifests": [nested | {"annotations": {"org.opencontainers.image.ref.name": "v1"}}]}
    path = parts.tar(tmp_path / "image.tar")
    for architecture in ("amd64", "arm64"):
        image = layout.load(store, path, name="v1", architecture=architecture, bounds=SMALL)
        assert image.config.architecture == architecture
    with pytest.raises(UntrustedContentError, match=r"no image for linux/riscv64.*linux/arm64"):
        layout.load(store, path, architecture="riscv64", bounds=SMALL)
    with pytest.raises(UntrustedContentError, match=r"no image named 'v2'.*holds v1"):
        layout.load(store, path, name="v2", bounds=SMALL)


def swapped(parts: Parts, digest: str, data: bytes) -> None:
    parts.blobs[digest] = data


HOSTILE: dict[str, tuple[Callable[[Parts], object], str]] = {
    "a layer of another content": (lambda p: swapped(p, p.layers[0]["digest"], PACK["+gzip"](bytes(1024))), "is promised|are promised"),
    "a layer's wrong size": (lambda p: p.layers[0].update(size=5), "are promised|not a whole"),
    "a layer's enormous size": (lambda p: p.layers[0].update(size=1 << 60), "are promised"),
    "a negative size": (lambda p: p.layers[0].update(size=-1), "not a digest"),
    "a wrong diff_id": (lambda p: p.config["rootfs"]["diff_ids"].__setitem__(1, sha256_of(b"")), "diff_id is"),
    "a diff_id that is a path": (lambda p: p.config["rootfs"]["diff_ids"].__setitem__(1, "sha256:../../x"), "not a digest"),
    "too few diff_ids": (lambda p: p.config["rootfs"]["diff_ids"].pop(), "1 diff_ids for 2 layers"),
    "a digest that is a path": (lambda p: p.layers[0].update(digest="sha256:../../../../etc/passwd"), "not a digest"),
    "a digest of another algorithm": (lambda p: p.layers[0].update(digest="md5:" + "0" * 32), "not a digest"),
    "a layer that is not there": (lambda p: p.layers[0].update(digest=sha256_of(b"gone")), "no file|cannot open"),
    "a layer of another compression": (lambda p: p.layers[0].update(mediaType=LAYER_TYPE + "+zstd"), "media type says zstd"),
    "a layer of a strange type": (lambda p: p.layers[0].update(mediaType="text/html"), "media type 'text/html'"),
    "a layer to be fetched": (lambda p: p.layers[0].update(mediaType="application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", urls=["http://x"]), "media type"),
    "an artefact that is no image": (lambda p: p.manifest.update(config=p.blob({}, "application/vnd.oci.empty.v1+json")), "is no image"),
    "a manifest that calls itself otherwise": (lambda p: p.manifest.update(mediaType=INDEX_TYPE), "calls itself"),
    "a docker manifest in disguise": (lambda p: p.entry.update(mediaType=DOCKER_MANIFEST_TYPE), "calls itself"),
    "a manifest of another size": (lambda p: p.entry.update(size=3), "are promised"),
    "an enormous manifest": (lambda p: p.entry.update(size=1 << 40), "are read"),
    "a manifest of schema 1": (lambda p: p.manifest.update(schemaVersion=1), "schema version 1"),
    "a manifest that is no manifest": (lambda p: p.entry.update(mediaType="text/plain"), "no image's media type"),
    "another system's image": (lambda p: p.config.update(os="windows"), "windows"),
    "an index of nothing": (lambda p: p.index.update(manifests=[]), "holds nothing"),
    "an index that is a list": (lambda p: p.index.update(manifests={}), "index.json"),
    "a config that is a list": (lambda p: p.manifest.update(config=p.blob(b"[]", CONFIG_TYPE)), "config"),
    "a config nested too deep": (lambda p: p.manifest.update(config=p.blob(b'{"x":' + b"[" * 50_000, CONFIG_TYPE)), "deep"),
    "too many layers": (lambda p: (p.layers.extend(p.layers[:1] * 500), p.config["rootfs"]["diff_ids"].extend([sha256_of(b"")] * 500)), "502 layers"),
}  # fmt: skip


@pytest.mark.parametrize("outer", ["folder", "tar"])
@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_images_are_one_clear_error(
    store: Store, tmp_path: Path, tars: list[bytes], case: str, outer: str
) -> None:
    change, cause = HOSTILE[case]
    parts = Parts(tars)
    change(parts)
    path = parts.folder(tmp_path / "evil") if outer == "folder" else parts.tar(tmp_path / "evil")
    with pytest.raises(UntrustedContentError, match=f"(?s){path}.*({cause})"):
        layout.load(store, path, bounds=SMALL)
    assert store.images() == ()
    assert os.listdir(store.root / "tmp") == os.listdir(store.root / "leases") == []
    collect(store)
    assert os.listdir(store.root / "l") == os.listdir(store.root / "layers") == os.listdir(store.root / "blobs") == []


def test_indexes_that_nest_without_end(store: Store, tmp_path: Path, tars: list[bytes]) -> None:
    parts = Parts(tars)
    inner = parts.blob({"schemaVersion": 2, "manifests": []}, INDEX_TYPE)
    for _ in range(10):
        inner = parts.blob({"schemaVersion": 2, "manifests": [inner]}, INDEX_TYPE)
    parts.index |= {"manifests": [inner]}
    with pytest.raises(UntrustedContentError, match="nested more than 4"):
        layout.load(store, parts.tar(tmp_path / "evil.tar"), bounds=SMALL)


def test_links_in_a_layout_folder_are_not_followed(store: Store, tmp_path: Path, tars: list[bytes]) -> None:
    parts = Parts(tars)
    path = parts.folder(tmp_path / "evil")
    blob = path / "blobs/sha256" / parts.layers[0]["digest"][7:]
    data = blob.read_bytes()
    (tmp_path / "outside").write_bytes(data)
    blob.unlink()
    blob.symlink_to(tmp_path / "outside")
    with pytest.raises(UntrustedContentError, match="cannot open"):
        layout.load(store, path, bounds=SMALL)
    blob.unlink()
    os.mkfifo(blob)
    with pytest.raises(UntrustedContentError, match="not a regular file"):
        layout.load(store, path, bounds=SMALL)


def test_what_is_no_image(store: Store, tmp_path: Path, make_tar: MakeTar) -> None:
    with pytest.raises(NotFoundError, match="No such file"):
        layout.load(store, tmp_path / "nothing")
    (tmp_path / "text").write_text("hello " * 200)
    with pytest.raises(UntrustedContentError, match=r"text.*checksum|text.*octal"):
        layout.load(store, tmp_path / "text")
    (tmp_path / "root.tar").write_bytes(make_tar(("etc/passwd", {})))
    with pytest.raises(UntrustedContentError, match="neither an OCI layout"):
        layout.load(store, tmp_path / "root.tar")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(NotFoundError, match="neither a folder nor a file"):
        layout.load(store, tmp_path / "pipe")
    assert os.listdir(store.root / "tmp") == []


def test_a_bomb_as_an_archive(store: Store, tmp_path: Path, make_tar: MakeTar) -> None:
    (tmp_path / "bomb").write_bytes(gzip.compress(bytes(64 << 20)))
    with pytest.raises(UntrustedContentError, match="bomb"):
        layout.load(store, tmp_path / "bomb", bounds=Bounds(reserve=0, ratio_from=1 << 20))
    layer = make_tar(("zeros", {"data": bytes(32 << 20)}))
    with pytest.raises(UntrustedContentError, match=r"layer 1.*bomb"):
        layout.load(store, Parts([layer]).tar(tmp_path / "image"), bounds=Bounds(reserve=0, ratio_from=1 << 20))
    assert os.listdir(store.root / "tmp") == os.listdir(store.root / "l") == []


@pytest.mark.parametrize("pack", [bytes, gzip.compress, lzma.compress, zstandard.ZstdCompressor().compress])
def test_root_archives_become_layers(
    store: Store, tmp_path: Path, make_tar: MakeTar, pack: Callable[[bytes], bytes]
) -> None:
    data = make_tar(
        ("./", {"type": tarfile.DIRTYPE, "mode": 0o700}),
        ("./bin/sh", {"data": b"sh", "mode": 0o4755, "uid": 1000, "mtime": 2_000_000_000}),
        ("./bin/bash", {"type": tarfile.LNKTYPE, "linkname": "bin/sh"}),
    )  # fmt: skip
    path = tmp_path / "root"
    path.write_bytes(pack(data))
    layer = layout.load_root(store, path, bounds=SMALL)
    assert layer.created_by == "root archive root"
    assert store.layer_record(layer.diff_id).facts.modes == {"bin/bash": 0o4755}
    with tarfile.open(fileobj=io.BytesIO(b"".join(map(bytes, layer_tar(store, layer))))) as archive:
        assert [(member.name, member.mode, member.uid) for member in archive] == [
            ("bin", 0o755, 0), ("bin/bash", 0o4755, 0), ("bin/sh", 0o4755, 0),
        ]  # fmt: skip
    assert layer.diff_id == layout.load_root(store, path, bounds=SMALL).diff_id
    assert verify(store) == ()
