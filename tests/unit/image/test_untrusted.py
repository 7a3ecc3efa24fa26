"""Hostile tars: each ends in one clear error that names the entry, or does no harm; nothing is left behind."""

# ruff: noqa: E501  tables of one case a line

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tars import FOLDER, HARD, LINK, SMALL, MakeTar, take

from jupyter_containers.errors import ContainersError, OutOfSpaceError, UntrustedContentError
from jupyter_containers.image.blobs import layer_tar
from jupyter_containers.image.bounds import Bounds
from jupyter_containers.image.digest import sha256_of
from jupyter_containers.image.facts import Facts
from jupyter_containers.image.foreign import load_layer, load_root
from jupyter_containers.image.model import Descriptor
from jupyter_containers.image.store import Store
from jupyter_containers.image.tar import FILE, Member, pack
from jupyter_containers.image.tree import remove_tree
from jupyter_containers.image.unpack import unpack
from jupyter_containers.image.untrusted import TarReader
from jupyter_containers.image.whiteout import is_opaque, is_whiteout


def raw_header(**changes: bytes) -> bytes:
    """A header of an empty file with some fields replaced, and its checksum made right."""
    places = {"mode": (100, 8), "size": (124, 12), "mtime": (136, 12), "kind": (156, 1), "magic": (257, 8), "prefix": (345, 155)}  # fmt: skip
    block = bytearray(pack(Member(b"victim", FILE, 0o644, 0)))
    for key, value in changes.items():
        start, length = places[key]
        block[start : start + length] = value.ljust(length, b"\0")
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def pax(body: bytes, kind: bytes = b"x") -> bytes:
    return raw_header(kind=kind, size=b"%011o" % len(body)) + body + bytes(-len(body) % 512)


REFUSED: dict[str, tuple[tuple[tuple[str, dict[str, object]], ...], str]] = {
    "a name that leads out": ((("a/../../etc/passwd", {"data": b"x"}),), r"\.\."),
    "a hard link that leads out": ((("a", HARD | {"linkname": "../../etc/shadow"}),), r"\.\."),
    "an absolute hard link to the host": ((("a", HARD | {"linkname": "/etc/shadow"}),), "not in the layer"),
    "a hard link to a later entry": ((("a", HARD | {"linkname": "b"}), ("b", {"data": b"x"})), "not in the layer"),
    "a hard link to a folder": ((("d", FOLDER), ("a", HARD | {"linkname": "d"})), "not a file"),
    "a file through a link": ((("out", LINK | {"linkname": "/etc"}), ("out/passwd", {"data": b"x"})), "symbolic link"),
    "a file through a relative link": ((("d", FOLDER), ("d/l", LINK | {"linkname": ".."}), ("d/l/x", {})), "symbolic link"),
    "a folder over a link": ((("a", LINK | {"linkname": "/tmp"}), ("a", FOLDER)), "symbolic link"),
    "a hard link through a link": (
        (("etc", LINK | {"linkname": "/etc"}), ("a", HARD | {"linkname": "etc/passwd"})), "symbolic link",
    ),
    "a deletion through a link": ((("out", LINK | {"linkname": "/etc"}), ("out/.wh.passwd", {})), "symbolic link"),
    "an opaque marker through a link": ((("out", LINK | {"linkname": "/"}), ("out/.wh..wh..opq", {})), "symbolic link"),
    "a file below a file": ((("a", {"data": b"x"}), ("a/b", {"data": b"x"})), "not a folder"),
    "the same file twice": ((("a", {"data": b"1"}), ("./a", {"data": b"2"})), "there before"),
    "a link over a file": ((("a", {"data": b"1"}), ("a", LINK | {"linkname": "b"})), "there before"),
    "a deletion of nothing": (((".wh.", {}),), "deletion of nothing"),
    "a deletion of the folder itself": ((("d/.wh..", {}),), "deletion of nothing"),
    "a deletion of the folder above": ((("d/.wh...", {}),), "deletion of nothing"),
    "a deletion with content": (((".wh.a", {"data": b"x"}),), "no empty file"),
    "a folder called as a deletion": (((".wh.a", FOLDER),), "no empty file"),
    "something in a deletion": (((".wh.a/b", {}),), "no empty file"),
    "a hard link to a deletion": (((".wh.a", {}), ("b", HARD | {"linkname": ".wh.a"})), "can't be linked"),
    "everything below deleted": (((".wh..wh..opq", {}),), "all lower layers"),
    "a deep tree": ((("/".join("d" * 300), FOLDER),), "nested more than"),
    "a long part of a name": ((("n" * 256, {}),), "255 bytes"),
    "a long name": ((("/".join(["n" * 200] * 20), {}),), "bytes, or with a NUL"),
    "a link without a target": ((("a", LINK | {"linkname": ""}),), "proper target"),
    "a long link": ((("a", LINK | {"linkname": "x" * 5000}),), "proper target"),
    "a root that is no folder": ((("./", {"data": b""}),), "root is not a folder"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_hostile_entries_are_refused(store: Store, make_tar: MakeTar, case: str) -> None:
    entries, cause = REFUSED[case]
    if case == "a root that is no folder":
        data = pack(Member(b"./.", FILE, 0o644, 0)) + bytes(1024)
    else:
        data = make_tar(*entries)
    with pytest.raises(UntrustedContentError, match=f"(?s)evil.tar, entry .*{cause}"):
        take(store, data)
    assert_nothing_left(store)


def assert_nothing_left(store: Store) -> None:
    left = {
        name: os.listdir(store.folder(name)) for name in ("l", "layers", "blobs", "images", "tmp", "leases", "locks")
    }
    assert not any(left.values()), left


MALFORMED: dict[str, tuple[bytes, str]] = {
    "no tar at all": (b"<html>" + bytes(600), "checksum|octal"),
    "a damaged header": (raw_header()[:20] + b"x" + raw_header()[21:], "checksum"),
    "an unknown kind": (raw_header(kind=b"Z"), "unknown kind"),
    "a sparse file": (raw_header(kind=b"S"), "unknown kind"),
    "a sparse file in PAX": (pax(b"22 GNU.sparse.major=1\n") + raw_header(), "sparse"),
    "a size that is no number": (raw_header(size=b"0000000000x"), "octal"),
    "a negative size": (raw_header(size=b"\xff" * 12), "impossible"),
    "an enormous size": (raw_header(size=b"\x80" + b"\x7f" * 11), "impossible"),
    "a folder with content": (raw_header(kind=b"5", size=b"00000001000") + bytes(1024), "no file"),
    "a hard link with content": (raw_header(kind=b"1", size=b"00000001000") + bytes(1024), "no file"),
    "cut off in a file": (raw_header(size=b"00000100000") + b"x" * 512, "cut off"),
    "cut off in a header": (raw_header()[:300], "cut off"),
    "cut off in the padding": (raw_header(size=b"00000000001") + b"x" + bytes(100), "cut off"),
    "data after the end": (bytes(1024) + b"more" + bytes(508), "after the archive's end"),
    "a PAX header without an entry": (pax(b"11 path=ab\n") + bytes(1024), "without its entry"),
    "two PAX headers": (pax(b"11 path=ab\n") * 2 + raw_header(), "two extended"),
    "a PAX record that lies on its length": (pax(b"99 path=ab\n") + raw_header(), "malformed"),
    "a PAX record without a value": (pax(b"8 path\n\n") + raw_header(), "malformed"),
    "a PAX record of length 0": (pax(b"0 path=ab\n") + raw_header(), "malformed"),
    "a PAX record twice": (pax(b"11 path=ab\n" * 2) + raw_header(), "twice"),
    "a NUL in a PAX path": (pax(b"13 path=a\0bc\n") + raw_header(), "NUL"),
    "a PAX size that is no number": (pax(b"11 size=-1\n") + raw_header(), "not a number"),
    "a global PAX path": (pax(b"11 path=ab\n", b"g") + raw_header(), "global"),
    "a huge PAX header": (raw_header(kind=b"x", size=b"00100000000"), "extended header of"),
    "a huge GNU name": (raw_header(kind=b"L", size=b"00100000000"), "extended header of"),
    "a NUL in a GNU name": (raw_header(kind=b"L", size=b"%011o" % 5) + b"a\0b/c" + bytes(507) + raw_header(), "NUL"),
}  # fmt: skip


@pytest.mark.parametrize("case", MALFORMED)
def test_malformed_tars_are_refused(store: Store, case: str) -> None:
    data, cause = MALFORMED[case]
    with pytest.raises(UntrustedContentError, match=f"(?s)evil.tar.*({cause})"):
        take(store, data)
    assert_nothing_left(store)


def test_a_tar_may_end_with_the_bytes_of_its_last_file(store: Store) -> None:
    """So umoci writes them (0.4.7, `insert --opaque`): no padding, no end blocks."""
    data = raw_header(size=b"00000000001") + b"x"
    layer = take(store, data)
    assert [path.read_bytes() for path in layer.path.iterdir()] == [b"x"]
    assert b"".join(map(bytes, layer_tar(store, layer))) == data


def test_absolute_names_stay_in_the_layer(store: Store, make_tar: MakeTar) -> None:
    layer = take(store, make_tar(("/etc/motd", {"data": b"hello"}), ("//a", HARD | {"linkname": "/etc/motd"})))
    assert (layer.path / "etc/motd").read_bytes() == b"hello"
    assert (layer.path / "a").stat().st_nlink == 2


def test_devices_are_dropped_with_whiteout_devices(store: Store, make_tar: MakeTar) -> None:
    layer = take(
        store,
        make_tar(
            ("dev/sda", {"type": tarfile.BLKTYPE, "devmajor": 8}),
            ("dev/null", {"type": tarfile.CHRTYPE, "devmajor": 1, "devminor": 3}),
            ("etc/passwd", {"type": tarfile.CHRTYPE}),  # 0:0 would delete what is below, without a trace
            ("pipe", {"type": tarfile.FIFOTYPE}),
        ),
    )
    assert store.layer_record(layer.diff_id).facts.dropped == ["dev/sda", "dev/null", "etc/passwd"]
    assert os.listdir(layer.path) == ["pipe"]


def test_rights_and_attributes_are_noted_and_not_on_disk(store: Store, make_tar: MakeTar) -> None:
    xattr = "SCHILY.xattr."
    headers = {
        xattr + "security.capability": "x", xattr + "trusted.overlay.opaque": "y", xattr + "user.overlay.opaque": "y",
        xattr + "user.note": "kept", xattr + "system.posix_acl_access": "z",
    }  # fmt: skip
    data = make_tar(
        ("su", {"mode": 0o6755, "uid": 0}), ("d", FOLDER | {"mode": 0, "pax_headers": headers}), ("d/f", {"mode": 0}),
        ("f", {"pax_headers": headers, "data": b"1"}),
    )  # fmt: skip
    layer = take(store, data)
    assert os.lstat(layer.path / "su").st_mode == 0o100755
    assert os.lstat(layer.path / "d").st_mode == 0o040500
    assert os.lstat(layer.path / "d/f").st_mode == 0o100400
    assert os.listxattr(layer.path / "d") == ["user.note"]
    assert os.listxattr(layer.path / "f") == ["user.note"]
    assert {path.lstat().st_uid for path in layer.path.rglob("*")} == {os.geteuid()}
    assert store.layer_record(layer.diff_id).facts.modes == {"su": 0o6755, "d": 0, "d/f": 0}
    assert b"".join(map(bytes, layer_tar(store, layer))) == data


def test_whiteouts_become_what_overlayfs_knows(store: Store, make_tar: MakeTar) -> None:
    layer = take(
        store,
        make_tar(
            ("a/.wh.gone", {}),
            ("b/.wh..wh..opq", {}),
            ("c/new", {"data": b"1"}), (".wh.c", {}),  # c is replaced
            (".wh.d", {}), ("d/new", {"data": b"1"}),
            (".wh.e", {}), ("e", {"data": b"now a file"}),
            ("f", {"data": b"stays"}), (".wh.f", {}),
            (".wh..wh.plnk/1.2", {"data": b"of aufs"}), (".wh..wh.aufs", {}),
            (".wh.h", HARD | {"linkname": ".wh..wh.plnk/1.2"}),
        ),
    )  # fmt: skip
    assert is_whiteout(os.lstat(layer.path / "a/gone"))
    assert is_whiteout(os.lstat(layer.path / "h"))
    assert [name for name in "abcd" if is_opaque(os.fsencode(layer.path / name))] == ["b", "c", "d"]
    assert (layer.path / "e").read_bytes() == b"now a file"
    assert (layer.path / "f").read_bytes() == b"stays"
    assert sorted(os.listdir(layer.path)) == list("abcdefh")


def test_root_archives_take_no_deletions(store: Store, tmp_path: Path, make_tar: MakeTar) -> None:
    path = tmp_path / "root.tar"
    path.write_bytes(make_tar((".wh.a", {})))
    with pytest.raises(UntrustedContentError, match=r"root.tar, entry '.wh.a'"):
        load_root(store, path)
    assert_nothing_left(store)


@pytest.mark.parametrize("format", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT])
def test_honest_tars_of_all_formats_are_read(store: Store, make_tar: MakeTar, format: int) -> None:
    long = "d" * 90 + "/" + "n" * 90
    data = make_tar(
        ("./", FOLDER), ("./bin", FOLDER), ("./bin/sh", {"data": b"sh", "mode": 0o755, "mtime": 12345}),
        ("./bin", FOLDER | {"mode": 0o711}), (long, {"data": b"x" * 1500}), ("l", LINK | {"linkname": "bin/sh"}),
        ("h", HARD | {"linkname": "./bin/sh"}), format=format,
    )  # fmt: skip
    layer = take(store, data)
    assert (layer.path / "h").read_bytes() == b"sh"
    assert (layer.path / long).stat().st_size == 1500
    assert os.readlink(layer.path / "l") == "bin/sh"
    assert os.lstat(layer.path / "bin").st_mode == 0o040711
    assert (layer.path / "bin/sh").stat().st_mtime == 12345
    # The very same bytes again, whatever the format, order and padding.
    assert b"".join(map(bytes, layer_tar(store, layer))) == data


def test_names_need_not_be_utf_8(store: Store) -> None:
    data = pack(Member(b"\xff\xfe%41", FILE, 0o4755, 0)) + bytes(1024)
    layer = take(store, data)
    assert os.listdir(os.fsencode(layer.path)) == [b"\xff\xfe%41"]
    assert b"".join(map(bytes, layer_tar(store, layer))) == data


def test_bounds_hold(store: Store, make_tar: MakeTar) -> None:
    data = make_tar(*((f"f{number}", {"data": b"x" * 600}) for number in range(20)))
    for bounds, cause in (
        (Bounds(reserve=0, entries=10), "more than 10 entries"),
        (Bounds(reserve=0, size=5000), "more than 5000 bytes"),
    ):
        with pytest.raises(UntrustedContentError, match=cause):
            take(store, data, bounds=bounds)
        assert_nothing_left(store)
    with pytest.raises(OutOfSpaceError, match="would be full"):
        take(store, data, bounds=Bounds(reserve=1 << 60))
    assert_nothing_left(store)


def test_a_promised_size_is_refused_before_anything_is_written(store: Store, tmp_path: Path) -> None:
    header = raw_header(size=b"\x80" + bytes(3) + (1 << 50).to_bytes(8, "big"))
    with pytest.raises(UntrustedContentError, match="unpacks to more than"):
        take(store, header + bytes(512))


def test_wrong_digests_leave_nothing(store: Store, make_tar: MakeTar) -> None:
    data = make_tar(("a", {"data": b"x"}))
    other = sha256_of(b"other")
    good = Descriptor(media_type="", digest=sha256_of(data), size=len(data))
    cases = (
        (other, None, "diff_id is"),
        (sha256_of(data), Descriptor(media_type="", digest=other, size=len(data)), "digest is"),
        (sha256_of(data), Descriptor(media_type="", digest=good.digest, size=len(data) + 1), "bytes are promised|are promised"),
        (sha256_of(data), Descriptor(media_type="", digest=good.digest, size=len(data) - 512), "digest is"),
    )  # fmt: skip
    for diff_id, descriptor, cause in cases:
        with pytest.raises(UntrustedContentError, match=cause):
            load_layer(
                store,
                io.BytesIO(data),
                diff_id,
                what="layer",
                created_by="",
                descriptor=descriptor,
                bounds=SMALL,
            )
        assert_nothing_left(store)
    assert load_layer(
        store, io.BytesIO(data), good.digest, what="layer", created_by="", descriptor=good, bounds=SMALL
    ).entries


def test_an_endless_stream_is_read_no_further_than_promised(store: Store) -> None:
    class Endless:
        given = 0

        def read(self, size: int) -> bytes:
            self.given += size
            return b"\0" * size

    stream = Endless()
    descriptor = Descriptor(media_type="", digest=sha256_of(b""), size=4096)
    with pytest.raises(UntrustedContentError):
        load_layer(store, stream, sha256_of(b""), what="layer", created_by="", descriptor=descriptor, bounds=SMALL)
    assert stream.given <= 4096


def test_many_open_folders_are_not_needed(store: Store, make_tar: MakeTar) -> None:
    deep = "/".join(["d"] * 200)
    entries: list[tuple[str, dict[str, object]]] = [("x/" + deep + "/f", {"data": b"1"})]
    entries += [(f"wide/{number}/f", {}) for number in range(1500)]
    entries += [("y/" + deep + "/h", HARD | {"linkname": "x/" + deep + "/f"})]
    layer = take(store, make_tar(*entries))
    assert (layer.path / "y" / deep / "h").read_bytes() == b"1"


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_any_bytes_are_a_tree_or_a_told_error(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Fuzzing: a good tar with some bytes changed. Nothing but our own errors, nothing outside of the target."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name in ("a", "d/ü", "n" * 120):
            info = tarfile.TarInfo(name)
            info.size = 3
            archive.addfile(info, io.BytesIO(b"abc"))
        link = tarfile.TarInfo("l")
        link.type, link.linkname = tarfile.SYMTYPE, "../x"
        archive.addfile(link)
    damaged = bytearray(stream.getvalue()[:6000])
    for _ in range(data.draw(st.integers(0, 3))):
        block = 512 * data.draw(st.integers(0, len(damaged) // 512 - 1))
        offset, size = data.draw(st.sampled_from([(0, 100), (100, 8), (124, 12), (136, 12), (156, 1), (157, 100), (0, 512)]))  # fmt: skip
        change = data.draw(st.binary(min_size=1, max_size=min(size, 20)))
        damaged[block + offset : block + offset + len(change)] = change
        damaged[block + 148 : block + 156] = b" " * 8
        damaged[block + 148 : block + 156] = b"%06o\0 " % sum(damaged[block : block + 512])
    folder = tmp_path_factory.mktemp("fuzz")
    target = folder / "inner"
    target.mkdir()
    try:
        unpack(io.BytesIO(bytes(damaged)), target, what="fuzz", bounds=SMALL, whiteouts=True)
    except ContainersError as error:
        assert str(error).startswith("fuzz")
    assert os.listdir(folder) == ["inner"]
    remove_tree(folder)


@given(st.binary(max_size=3000))
def test_the_reader_survives_any_bytes(data: bytes) -> None:
    try:
        for _ in TarReader(io.BytesIO(data), what="fuzz", bounds=SMALL):
            pass
    except UntrustedContentError as error:
        assert "fuzz" in str(error)


def test_facts_list_a_hundred_dropped_files() -> None:
    facts = Facts()
    for number in range(1000):
        facts.drop(b"dev/%d" % number)
    assert len(facts.dropped) == 100
