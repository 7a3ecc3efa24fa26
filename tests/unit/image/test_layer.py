"""Trees to tars and back: the same bytes everywhere, read alike by other programs."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import socket
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jupyter_containers.errors import StoreError
from jupyter_containers.image.bounds import Bounds
from jupyter_containers.image.capture import EPOCH, Capture
from jupyter_containers.image.facts import Facts, quote_name, unquote_name
from jupyter_containers.image.layer import stream_tar, tar_items
from jupyter_containers.image.model import Layer
from jupyter_containers.image.store import Store
from jupyter_containers.image.tar import DIRECTORY, FILE, SYMBOLIC_LINK, Member, pack
from jupyter_containers.image.tree import remove_tree
from jupyter_containers.image.unpack import unpack
from jupyter_containers.image.whiteout import is_opaque, is_whiteout, set_opaque

BOUNDS = Bounds(reserve=0)
Snapshot = Callable[[Path], dict[str, tuple[object, ...]]]


def capture(tree: Path, *, epoch: int = EPOCH, plain_modes: bool = False) -> tuple[bytes, Facts]:
    taken = Capture(os.fsencode(tree), epoch, plain_modes)
    data = b"".join(bytes(piece) for piece in stream_tar(taken.items()))
    taken.finish()
    return data, taken.facts


def tar_of(tree: Path, facts: Facts) -> bytes:
    return b"".join(bytes(piece) for piece in stream_tar(tar_items(os.fsencode(tree), facts)))


def fill(tree: Path) -> None:
    """One of everything."""
    (tree / "etc/alternatives").mkdir(parents=True)
    (tree / "etc/passwd").write_text("root:x:0:0::/root:/bin/sh\n")
    (tree / "usr/bin").mkdir(parents=True)
    (tree / "usr/bin/su").write_bytes(b"\x7fELF" * 400)
    (tree / "usr/bin/su").chmod(0o4755)
    (tree / "usr/bin/perl").write_bytes(b"perl")
    os.link(tree / "usr/bin/perl", tree / "usr/bin/perl5")
    (tree / "etc/alternatives/editor").symlink_to("/usr/bin/" + "vi" * 80)
    (tree / "tmp").mkdir()
    (tree / "tmp").chmod(0o1777)
    (tree / "ünï cödé").write_text("x")
    (tree / ("long" * 40)).mkdir()
    (tree / ("long" * 40) / ("name" * 50)).write_text("y")
    os.makedirs(os.path.join(os.fsencode(tree), b"raw\xff%41"))
    (tree / "secret").mkdir()
    (tree / "secret/inner").write_text("z")
    (tree / "secret/inner").chmod(0)
    (tree / "secret").chmod(0)
    os.mkfifo(tree / "pipe")
    os.mknod(tree / "etc/gone", 0o020000, 0)
    (tree / "var").mkdir()
    set_opaque(os.fsencode(tree / "var"))
    os.setxattr(tree / "etc/passwd", "user.note", b"\0kept=\n")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    path = tmp_path / "tree"
    path.mkdir()
    fill(path)
    return path


def test_a_tar_is_the_same_from_another_path_umask_and_time(tmp_path: Path, tree: Path) -> None:
    expected, _ = capture(tree)
    before = os.umask(0o027)
    try:
        other = tmp_path / "some/other/place"
        other.mkdir(parents=True)
        (tmp_path / "plain").mkdir()
        fill(other)
    finally:
        os.umask(before)
    for folder, _, _ in os.walk(other):
        if stat_mode(folder) == 0o750:
            os.chmod(folder, 0o755)
    for path in other.rglob("*"):
        if not path.is_symlink() and stat_mode(path) == 0o640:
            path.chmod(0o644)
        if not path.is_symlink() and path.stat().st_mode & 0o170000 == 0o010000:
            path.chmod(0o644)
    assert capture(other)[0] == expected


def stat_mode(path: str | Path) -> int:
    return os.lstat(path).st_mode & 0o7777


def test_plain_modes_make_umasks_equal(tmp_path: Path) -> None:
    tars = []
    for mask in (0o022, 0o077, 0o002):
        before = os.umask(mask)
        try:
            tree = tmp_path / oct(mask)
            (tree / "pkg").mkdir(parents=True)
            (tree / "pkg/a.py").write_text("a")
            (tree / "run").write_text("#!")
            (tree / "run").chmod(0o777 & ~mask)
        finally:
            os.umask(before)
        tars.append(capture(tree, plain_modes=True)[0])
    assert tars[0] == tars[1] == tars[2]


def test_a_tar_is_the_same_after_the_commit(tree: Path) -> None:
    data, facts = capture(tree)
    assert tar_of(tree, facts) == data
    assert capture_again_is_harmless(tree)


def capture_again_is_harmless(tree: Path) -> bool:
    """On disk there is no setuid bit, and everything can be read by its owner."""
    for folder, folders, files in os.walk(tree):
        for name in [*folders, *files]:
            mode = os.lstat(os.path.join(folder, name)).st_mode
            if mode & 0o6000 or (not mode & 0o400 and mode & 0o170000 in (0o100000, 0o040000)):
                return False
    return True


def test_other_readers_see_the_same(tree: Path) -> None:
    data, _ = capture(tree)
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        found = {member.name: member for member in archive}
    assert found["usr/bin/su"].mode == 0o4755
    assert found["usr/bin/perl5"].linkname == "usr/bin/perl"
    assert found["usr/bin/perl5"].islnk()
    assert found["etc/alternatives/editor"].linkname == "/usr/bin/" + "vi" * 80
    assert found["secret"].mode == 0
    assert found["tmp"].mode == 0o1777
    assert found["etc/.wh.gone"].isreg()
    assert found["var/.wh..wh..opq"].size == 0
    assert found["etc/passwd"].pax_headers["SCHILY.xattr.user.note"].encode() == b"\0kept=\n"
    assert {member.uid for member in found.values()} == {0}
    assert {member.uname for member in found.values()} == {""}
    assert max(member.mtime for member in found.values()) == EPOCH
    listed = subprocess.run(["tar", "-tf", "-"], input=data, capture_output=True, check=True).stdout
    assert len(listed.splitlines()) == len(found)
    assert "ünï cödé".encode() in data


def test_a_tree_comes_back_from_its_tar(tmp_path: Path, tree: Path, snapshot: Snapshot) -> None:
    data, facts = capture(tree)
    target = tmp_path / "back"
    target.mkdir()
    unpacked = unpack(io.BytesIO(data), target, what="back", bounds=BOUNDS, whiteouts=True)
    assert {key: value for key, value in unpacked.facts.modes.items() if key not in facts.links} == facts.modes
    assert is_whiteout(os.lstat(target / "etc/gone"))
    assert is_opaque(os.fsencode(target / "var"))
    assert os.stat(target / "usr/bin/perl").st_ino == os.stat(target / "usr/bin/perl5").st_ino
    assert snapshot(target) == snapshot(tree)


def test_times_are_clamped_and_older_ones_kept(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "d").mkdir(parents=True)
    for name, when in (("old", 1000.999999999), ("new", 4_000_000_000), ("before", -5)):
        (tree / name).write_text(name)
        os.utime(tree / name, (when, when))
    os.link(tree / "new", tmp_path / "elsewhere")
    data, _ = capture(tree, epoch=2_000_000_000)
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        times = {member.name: member.mtime for member in archive}
    # A file with a link outside is in other layers, too: always the one constant.
    assert times == {"before": 0, "d": times["d"], "new": EPOCH, "old": 1000}
    assert int((tree / "new").stat().st_mtime) == EPOCH


def test_capabilities_are_taken_off_and_kept_for_the_tar(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give a file capabilities")
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "ping").write_text("ping")
    version_3 = (0x03000001).to_bytes(4, "little") + b"\0\x20\0\0" + bytes(12) + (1000).to_bytes(4, "little")
    try:
        os.setxattr(tree / "ping", "security.capability", version_3)
    except OSError:
        pytest.skip("this file system keeps no capabilities")
    data, facts = capture(tree)
    assert "security.capability" not in os.listxattr(tree / "ping")
    assert tar_of(tree, facts) == data
    # Without the namespace's root id, which is another one on every host.
    assert b"SCHILY.xattr.security.capability=\x01\0\0\x02\0\x20\0\0" in data
    assert (1000).to_bytes(4, "little") not in data[:2048]


def test_traces_of_the_overlay_are_taken_off(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "d").mkdir(parents=True)
    for key in ("user.overlay.origin", "user.overlay.impure", "user.overlay.uuid"):
        os.setxattr(tree / "d", key, os.urandom(8))
    data, _ = capture(tree)
    assert os.listxattr(tree / "d") == []
    assert b"SCHILY" not in data


def test_an_overlay_with_metacopy_is_refused(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "f").write_text("")
    os.setxattr(tree / "f", "user.overlay.metacopy", b"")
    with pytest.raises(StoreError, match="metacopy"):
        capture(tree)


def test_sockets_are_dropped_and_noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    monkeypatch.chdir(tree)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("agent.sock")
    data, facts = capture(tree)
    assert facts.dropped == ["agent.sock"]
    assert not (tree / "agent.sock").exists()
    assert data == bytes(1024)


def test_reserved_names_are_refused(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / ".wh.bashrc").write_text("")
    with pytest.raises(StoreError, match=r"\.wh\.bashrc.*deletions"):
        capture(tree)


def test_a_tree_deeper_than_a_path_is_told(store: Store) -> None:
    with store.staging() as staging:
        handle = os.open(staging.fs, os.O_RDONLY)
        for _ in range(40):
            os.mkdir("d" * 200, dir_fd=handle)
            inner = os.open("d" * 200, os.O_RDONLY, dir_fd=handle)
            os.close(handle)
            handle = inner
        os.close(handle)
        with pytest.raises(StoreError, match="nested so deep"):
            store.commit_layer(staging.fs, created_by="x")
    assert os.listdir(store.root / "tmp") == os.listdir(store.root / "l") == []


def test_a_file_that_grows_while_it_is_read_is_told(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"12345")
    for size, cause in ((4, "grew"), (6, "shorter")):
        items = iter([(Member(b"log", FILE, 0o644, 0, size=size), os.fsencode(path))])
        with pytest.raises(StoreError, match=cause):
            for _ in stream_tar(items):
                pass


def test_a_stream_that_nobody_reads_to_its_end_stops(tmp_path: Path) -> None:
    path = tmp_path / "big"
    path.write_bytes(bytes(20 << 20))
    stream = stream_tar(iter([(Member(b"big", FILE, 0o644, 0, size=20 << 20), os.fsencode(path))]))
    assert len(next(stream)) == 1 << 20
    stream.close()  # type: ignore[attr-defined]


def is_good_name(name: bytes) -> bool:
    return not (b"/" in name or b"\0" in name or name in (b".", b"..") or name.startswith(b".wh."))


names = st.lists(st.binary(min_size=1, max_size=60).filter(is_good_name), min_size=1, max_size=4)
nodes = st.one_of(
    st.tuples(st.just("file"), st.binary(max_size=2000), st.integers(0, 0o7777)),
    st.tuples(st.just("folder"), st.just(b""), st.integers(0, 0o7777)),
    st.tuples(
        st.just("link"),
        st.binary(min_size=1, max_size=300).filter(lambda text: b"\0" not in text),
        st.just(0),
    ),
    st.tuples(st.just("whiteout"), st.just(b""), st.just(0)),
    st.tuples(st.just("opaque"), st.just(b""), st.integers(0, 0o7777)),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.lists(st.tuples(names, nodes), max_size=12))
def test_any_tree_comes_back(snapshot: Snapshot, content: list[tuple[list[bytes], tuple[str, bytes, int]]]) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        tree, back = Path(scratch, "tree"), Path(scratch, "back")
        tree.mkdir()
        back.mkdir()
        modes: list[tuple[bytes, int]] = []
        for parts, (kind, data, mode) in content:
            path = os.path.join(os.fsencode(tree), *parts)
            # Not through a link that was made before: it may lead anywhere.
            if os.path.realpath(os.path.dirname(path)) != os.path.dirname(path):
                continue
            try:
                os.makedirs(os.path.dirname(path), exist_ok=True)
                make_node(path, kind, data)
            except (FileExistsError, NotADirectoryError):
                continue
            if kind not in ("link", "whiteout"):
                modes.append((path, mode))
        for path, mode in reversed(modes):
            if os.path.lexists(path):
                os.chmod(path, mode)
        try:
            data, facts = capture(tree)
            assert tar_of(tree, facts) == data
            unpacked = unpack(io.BytesIO(data), back, what="back", bounds=BOUNDS, whiteouts=True)
            assert snapshot(back) == snapshot(tree)
            assert unpacked.facts.modes == facts.modes
            assert tar_of(back, unpacked.facts) == data
        finally:
            remove_tree(tree)
            remove_tree(back)


def make_node(path: bytes, kind: str, data: bytes) -> None:
    if kind == "file":
        with open(path, "xb") as stream:
            stream.write(data)
    elif kind == "link":
        os.symlink(data, path)
    elif kind == "whiteout":
        os.mknod(path, 0o020000, 0)
    else:
        os.mkdir(path)
        if kind == "opaque":
            set_opaque(path)


members = st.builds(
    Member,
    name=st.binary(min_size=1, max_size=400).filter(lambda name: b"\0" not in name and not name.endswith(b"/")),
    kind=st.sampled_from([FILE, DIRECTORY, SYMBOLIC_LINK]),
    mode=st.integers(0, 0o7777),
    mtime=st.integers(0, 1 << 40),
    size=st.just(0),
    link=st.binary(min_size=1, max_size=300).filter(lambda text: b"\0" not in text),
)


@given(members)
def test_headers_are_read_by_tarfile(member: Member) -> None:
    member.link = member.link if member.kind == SYMBOLIC_LINK else b""
    data = pack(member) + bytes(1024)
    assert len(data) % 512 == 0
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        (found,) = archive.getmembers()
    assert found.name.encode("utf-8", "surrogateescape").strip(b"/") == member.name.strip(b"/")
    assert found.mode == member.mode
    assert found.mtime == member.mtime
    if member.kind == SYMBOLIC_LINK:
        assert found.linkname.encode("utf-8", "surrogateescape") == member.link


def test_sizes_beyond_eight_gigabytes_are_written() -> None:
    header = pack(Member(b"huge", FILE, 0o644, 0, size=9 << 30))
    with tarfile.open(fileobj=io.BytesIO(header + bytes(1024)), ignore_zeros=True) as archive:
        found = archive.next()
    assert found is not None
    assert found.size == 9 << 30


@given(st.binary(min_size=1, max_size=50))
def test_names_survive_their_quoting(name: bytes) -> None:
    text = quote_name(name)
    assert text.encode().decode() == text
    assert unquote_name(text) == name


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become another user")
def test_another_user_gets_the_same_tar(tmp_path: Path, commit: Callable[..., Layer]) -> None:
    expected = commit({"a/b": b"x" * 5000, "a/c": b""}).diff_id
    interpreter = shutil.which("python3", path="/usr/bin")
    if interpreter is None:
        pytest.skip("no interpreter that another user may run")
    script = (
        "import sys; sys.path[:0] = sys.argv[2].split(':')\n"
        "from pathlib import Path\n"
        "from jupyter_containers.image.store import Store\n"
        "store = Store(Path(sys.argv[1]))\n"
        "with store.staging() as s:\n"
        "    (s.fs / 'a').mkdir(); (s.fs / 'a/b').write_bytes(b'x' * 5000); (s.fs / 'a/c').touch()\n"
        "    print(store.commit_layer(s.fs, created_by='test').diff_id)\n"
    )
    home = Path(tempfile.mkdtemp(dir="/var/tmp"))
    try:
        os.chown(home, 12345, 12345)
        done = subprocess.run(
            [interpreter, "-c", script, str(home / "store"), ":".join(sys.path)],
            user=12345, group=12345, extra_groups=[], umask=0o022, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if "Permission denied" in done.stderr or "ModuleNotFoundError" in done.stderr:
            pytest.skip("another user may not read this package")
        assert done.stdout.strip() == expected, done.stderr
    finally:
        remove_tree(home)


def test_the_diff_id_is_the_hash_of_the_tar(store: Store, commit: Callable[..., Layer]) -> None:
    layer = commit({"a": b"1", "b/c": b"2" * 3_000_000})
    data = tar_of(layer.path, store.layer_record(layer.diff_id).facts)
    assert "sha256:" + hashlib.sha256(data).hexdigest() == layer.diff_id
    assert len(data) == layer.tar_size
    assert (layer.entries, layer.size) == (3, 3_000_001)
