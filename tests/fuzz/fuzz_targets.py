"""Fuzz targets: what reads bytes from strangers. Any bytes give a value or one of the program's own errors.

    python tests/fuzz/fuzz_targets.py archive -max_total_time=600 [CORPUS FOLDER, else one of the seeds]

needs atheris (PyPI), which follows the coverage; the options after the target's name are libFuzzer's. The tests run
each target for a moment without it (``test_targets.py``). A crash leaves its input in a file; name that file instead
of a corpus to see the traceback.
"""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import sys
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path

from jupyter_containers.build.dockerfile.parser import parse
from jupyter_containers.errors import ContainersError
from jupyter_containers.image.artifacts import read_artifact
from jupyter_containers.image.bounds import Bounds
from jupyter_containers.image.compression import compression_of, inflate
from jupyter_containers.image.enclosed import load_all
from jupyter_containers.image.model import ImageConfig, Index, Manifest, decode
from jupyter_containers.image.reference import parse_reference
from jupyter_containers.image.registry_auth import parse_challenges
from jupyter_containers.image.store import Store
from jupyter_containers.image.tree import remove_tree
from jupyter_containers.image.unpack import unpack
from jupyter_containers.lock.file import read_lock
from jupyter_containers.spec.load import load_spec

__all__ = ["SEEDS", "TARGETS"]

SMALL = Bounds(size=1 << 20, entries=1000)

Target = Callable[[bytes], None]


def fuzz_layer(data: bytes) -> None:
    """A layer's tar, unpacked; nothing is written outside of its folder."""
    with tempfile.TemporaryDirectory(prefix="fuzz-") as name:
        inner = Path(name, "inner")
        inner.mkdir()
        try:
            unpack(io.BytesIO(data), inner, what="fuzz", bounds=SMALL, whiteouts=True)
        finally:
            assert [path.name for path in Path(name).iterdir()] == ["inner"]
            remove_tree(inner)


def fuzz_compressed(data: bytes) -> None:
    """A compressed stream of any kind: no more comes out than is allowed."""
    total = 0
    for piece in inflate(io.BytesIO(data), compression_of(data[:6]), what="fuzz", bounds=SMALL):
        total += len(piece)
    assert total <= SMALL.size + (1 << 20)


def fuzz_archive(data: bytes) -> None:
    """An OCI or docker archive, loaded; a refusal leaves nothing in the store."""
    with tempfile.TemporaryDirectory(prefix="fuzz-") as name:
        file, store = Path(name, "file.tar"), Store(Path(name, "store"))
        file.write_bytes(data)
        try:
            load_all(store, file, bounds=SMALL)
        except ContainersError:
            assert not any(store.folder("tmp").iterdir())
            raise
        finally:
            remove_tree(store.root)


def fuzz_documents(data: bytes) -> None:
    """OCI documents."""
    for kind in (Manifest, Index, ImageConfig):
        with contextlib.suppress(ContainersError):
            decode(data, kind, what="fuzz")
    read_artifact(data, what="fuzz")


def fuzz_texts(data: bytes) -> None:
    """What a registry and a person say: headers and references."""
    text = data.decode("latin-1")
    parse_challenges([text])
    parse_reference(text)


def fuzz_dockerfile(data: bytes) -> None:
    """A Dockerfile, read."""
    parse(data.decode("utf-8", "replace"))


def _load(name: str, data: bytes, read: Callable[[Path], object]) -> None:
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        file = Path(folder, name)
        file.write_bytes(data)
        read(file)


def fuzz_spec(data: bytes) -> None:
    """A ``jupyter-container.toml``."""
    _load("jupyter-container.toml", data, load_spec)


def fuzz_devcontainer(data: bytes) -> None:
    """A ``.devcontainer.json``."""
    _load(".devcontainer.json", data, load_spec)


def fuzz_notebook(data: bytes) -> None:
    """A notebook, whose first cell may hold a spec."""
    _load("it.ipynb", data, load_spec)


def fuzz_lock(data: bytes) -> None:
    """A ``jupyter-container.lock``."""
    _load("jupyter-container.lock", data, read_lock)


TARGETS: dict[str, Target] = {
    name.removeprefix("fuzz_"): value for name, value in list(globals().items()) if name.startswith("fuzz_")
}


def _tar(**files: bytes) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
        link = tarfile.TarInfo("ü" * 60)
        link.type, link.linkname = tarfile.SYMTYPE, "../x"
        archive.addfile(link)
    return stream.getvalue()


def _docker_archive() -> bytes:
    layer = _tar(a=b"abc")
    config = {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": []}}
    manifest = [{"Config": "c.json", "RepoTags": ["a:1"], "Layers": ["l.tar"]}]
    documents = {"c.json": config, "manifest.json": manifest}
    return _tar(**{"l.tar": layer}, **{name: json.dumps(value).encode() for name, value in documents.items()})


_NOTEBOOK = {
    "cells": [{"cell_type": "code", "source": ["# /// script\n", "# dependencies = ['six']\n", "# ///\n"]}],
    "metadata": {"kernelspec": {"name": "x"}},
    "nbformat": 4,
    "nbformat_minor": 5,
}
SEEDS: dict[str, tuple[bytes, ...]] = {
    "layer": (_tar(a=b"abc"), _tar(**{"d/.wh.a": b"", "d/b": b"x"})),
    "compressed": (gzip.compress(b"abc" * 100, mtime=0), b"\x28\xb5\x2f\xfd\x04\x58" + bytes(20)),
    "archive": (_docker_archive(),),
    "documents": (b'{"schemaVersion":2,"config":{"mediaType":"a/b","digest":"sha256:0","size":1},"layers":[]}',),
    "texts": (b'Bearer realm="https://a/b",service="c",scope="d", Basic realm="x"', b"localhost:5000/a/b:1@sha256:0"),
    "dockerfile": (b"# syntax=x\nARG A=1\nFROM x AS y\nRUN <<E cat >${A:-b}\nz\nE\nCOPY --from=y --chmod=1 a b\n",),
    "spec": (b'name = "a"\nbase = "debian:trixie"\n[packages]\npip = ["six>1 ; python_version > \'3\'"]\n',),
    "devcontainer": (
        b'{ // a\n"image": "x:1", "mounts": ["source=${localEnv:HOME}/a,target=/b,type=bind",],\n'
        b'/* c */ "postCreateCommand": {"a": "b c", "d": ["e"]}, "remoteEnv": {"F": null}, "build": {"args": {}}}',
    ),
    "notebook": (json.dumps(_NOTEBOOK).encode(),),
    "lock": (b'lock-version = 1\n[base]\nsuite = "trixie"\n[[base.packages]]\nname = "a"\nversion = "1"\n',),
}


def _corpus(name: str) -> str:
    """A folder with the seeds, to which the fuzzer adds what it finds; it stays, so that a run can go on."""
    folder = Path(tempfile.gettempdir(), f"fuzz-{name}")
    folder.mkdir(exist_ok=True)
    for number, seed in enumerate(SEEDS[name]):
        (folder / f"seed-{number}").write_bytes(seed)
    print(f"corpus: {folder}")
    return str(folder)


def _main() -> None:
    import atheris  # late: only a fuzzing person has it

    if len(sys.argv) < 2 or sys.argv[1] not in TARGETS:
        sys.exit(f"name a target: {', '.join(TARGETS)}")
    name = sys.argv.pop(1)
    if all(word.startswith("-") for word in sys.argv[1:]):
        sys.argv.append(_corpus(name))

    def once(data: bytes) -> None:
        with contextlib.suppress(ContainersError):
            TARGETS[name](data)

    atheris.instrument_all()
    atheris.Setup(sys.argv, once)
    atheris.Fuzz()


if __name__ == "__main__":
    _main()
