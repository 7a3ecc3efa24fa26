from __future__ import annotations

import os
from pathlib import Path

import pytest

from jupyter_containers.errors import HostError
from jupyter_containers.sandbox.bwrap import Fds, Host, arguments, options
from jupyter_containers.sandbox.model import Bind, Overlay, Sandbox, Tmpfs
from jupyter_containers.sandbox.preparation import prepare, read_only_folders


def pairs(argv: list[str], option: str, count: int = 1) -> list[tuple[str, ...]]:
    return [tuple(argv[at + 1 : at + 1 + count]) for at, word in enumerate(argv) if word == option]


def make(root: Overlay | None = None, **options: object) -> Sandbox:
    root = root or Overlay((Path("/s/a"), Path("/s/b")), Path("/s/up"), Path("/s/work"))
    return Sandbox(argv=("true", "--help"), root=root, store=Path("/s"), **options)  # type: ignore[arg-type]


def test_every_namespace_is_named_and_nothing_is_tried_in_silence() -> None:
    argv = arguments(make(), bwrap="bwrap", fds=Fds(), host=Host(cgroup_namespace=True))
    for name in ("user", "pid", "ipc", "uts", "net", "cgroup"):
        assert f"--unshare-{name}" in argv
    assert not [word for word in argv if word.endswith("-try") or word == "--unshare-all"]
    assert pairs(argv, "--cap-drop") == [("ALL",)]
    assert "--disable-userns" in argv
    assert argv[argv.index("--") :] == ["--", "true", "--help"]


def test_the_network_is_shared_only_when_asked_for() -> None:
    assert "--unshare-net" not in options(make(network="full"), fds=Fds())
    assert "--unshare-net" in options(make(network="none"), fds=Fds())


def test_the_environment_is_cleared_before_it_is_set() -> None:
    argv = options(make(env={"A": "1", "B": "--bind"}), fds=Fds())
    assert argv.index("--clearenv") < argv.index("--setenv")
    assert pairs(argv, "--setenv", 2) == [("A", "1"), ("B", "--bind")]


def test_layers_come_lowest_first() -> None:
    argv = options(make(), fds=Fds())
    assert pairs(argv, "--overlay-src") == [("/s/a",), ("/s/b",)]
    assert pairs(argv, "--overlay", 3) == [("/s/up", "/s/work", "/")]


def test_roots_without_layers_or_without_upper(tmp_path: Path) -> None:
    assert pairs(options(make(Overlay((), Path("/s/tree"))), fds=Fds()), "--bind", 2) == [("/s/tree", "/")]
    assert ("/s/a", "/") in pairs(options(make(Overlay((Path("/s/a"),))), fds=Fds()), "--ro-bind", 2)
    two = Overlay((Path("/s/a"), Path("/s/b")))
    assert pairs(options(make(two), fds=Fds()), "--ro-overlay") == [("/",)]
    with pytest.raises(HostError, match="layer or an upper"):
        options(make(Overlay(())), fds=Fds())


def test_parents_are_mounted_before_what_lies_in_them() -> None:
    binds = (Bind(Path("/h/deep"), "/data/in/deep"), Bind(Path("/h/data"), "/data", writable=True))
    argv = options(make(binds=binds, tmpfs=(Tmpfs("/data/in", size=4096, mode=0o700),)), fds=Fds())
    text = " ".join(argv)
    assert text.index("--bind /h/data /data") < text.index("--tmpfs /data/in") < text.index("--ro-bind /h/deep")
    assert "--size 4096 --perms 0700 --tmpfs /data/in" in text


def test_descriptors() -> None:
    fds = Fds(filter=5, status=6, block=7, files={"/etc/hosts": 8})
    argv = options(make(files={"/etc/hosts": b""}), fds=fds)
    assert pairs(argv, "--seccomp") == [("5",)]
    assert pairs(argv, "--json-status-fd") == [("6",)]
    assert pairs(argv, "--block-fd") == [("7",)]
    assert pairs(argv, "--ro-bind-data", 2) == [("8", "/etc/hosts")]


def test_too_many_layers_for_one_mount_is_said_before_it_is_tried() -> None:
    layers = tuple(Path("/s/a/rather/long/path/to/a/store/layers", f"{n:040}") for n in range(60))
    with pytest.raises(HostError, match="bytes of mount options") as caught:
        options(make(Overlay(layers, Path("/s/up"), Path("/s/work"))), fds=Fds())
    assert "JUPYTER_CONTAINERS_HOME" in caught.value.hint


def tree(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / name
        if name.endswith("/"):
            path.mkdir(parents=True, exist_ok=True)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(name)
    folder.mkdir(exist_ok=True)
    return folder


class TestReadOnlyFolders:
    def test_plain_in_all_layers_that_have_it(self, tmp_path: Path) -> None:
        a, b, c = tree(tmp_path / "a", "usr/"), tree(tmp_path / "b"), tree(tmp_path / "c", "usr/bin/")
        assert read_only_folders([a, b, c], ["/usr"]) == ({"/usr": (a / "usr", c / "usr")}, {})

    def test_links_and_missing_ones_are_told(self, tmp_path: Path) -> None:
        a = tree(tmp_path / "a", "usr/lib/")
        (a / "lib").symlink_to("usr/lib")
        possible, impossible = read_only_folders([a], ["/lib", "/opt"])
        assert possible == {}
        assert "not a plain directory" in impossible["/lib"]
        assert "does not have it" in impossible["/opt"]

    def test_a_removed_folder_does_not_come_back(self, tmp_path: Path) -> None:
        a, b, c = tree(tmp_path / "a", "usr/old"), tree(tmp_path / "b"), tree(tmp_path / "c", "usr/new")
        os.mknod(b / "usr", 0o020000, 0)  # a whiteout: character device 0:0, which needs no privilege
        assert read_only_folders([a, b], ["/usr"])[0] == {}
        assert read_only_folders([a, b, c], ["/usr"])[0] == {"/usr": (c / "usr",)}

    def test_an_opaque_folder_hides_those_below(self, tmp_path: Path) -> None:
        a, b = tree(tmp_path / "a", "usr/old"), tree(tmp_path / "b", "usr/new")
        os.setxattr(b / "usr", "user.overlay.opaque", b"y")
        assert read_only_folders([a, b], ["/usr"])[0] == {"/usr": (b / "usr",)}

    def test_a_mount_point_that_is_missing_in_it_keeps_it_writable(self, tmp_path: Path) -> None:
        a = tree(tmp_path / "a", "usr/share/", "usr/lib/x")
        assert read_only_folders([a], ["/usr"], targets=["/usr/share", "/data"])[0] != {}
        possible, impossible = read_only_folders([a], ["/usr"], targets=["/usr/share/made"])
        assert possible == {}
        assert "/usr/share/made" in impossible["/usr"]


class TestPrepare:
    @pytest.mark.parametrize("name", ["proc", "dev", "run", "sys"])
    def test_an_image_cannot_move_the_system_folders(self, tmp_path: Path, name: str) -> None:
        layer = tree(tmp_path / "layer")
        (layer / name).symlink_to("/oldroot/tmp")
        with pytest.raises(HostError, match=f"link at /{name}"):
            prepare(make(Overlay((layer,), tree(tmp_path / "up"), tree(tmp_path / "work"))))

    def test_links_of_the_image_are_followed_inside_it(self, tmp_path: Path) -> None:
        layer = tree(tmp_path / "layer", "real/etc/", "usr/lib/")
        (layer / "etc").symlink_to("/real/etc")
        (layer / "lib").symlink_to("usr/lib")
        sandbox = make(
            Overlay((layer,), tree(tmp_path / "up"), tree(tmp_path / "work")),
            files={"/etc/hosts": b"", "/lib/../lib/x": b"", "/nowhere/y": b""},
        )
        assert set(prepare(sandbox).files) == {"/real/etc/hosts", "/usr/lib/x", "/nowhere/y"}

    def test_an_upper_folder_counts_before_the_layers(self, tmp_path: Path) -> None:
        layer, upper = tree(tmp_path / "layer", "data/"), tree(tmp_path / "up")
        (upper / "data").symlink_to("/oldroot/home")
        sandbox = make(Overlay((layer,), upper, tree(tmp_path / "work")), tmpfs=(Tmpfs("/data/x"),))
        assert prepare(sandbox).tmpfs[0].target == "/oldroot/home/x"  # inside: not bwrap's /oldroot

    def test_a_mounted_folder_is_looked_into(self, tmp_path: Path) -> None:
        shared = tree(tmp_path / "shared")
        (shared / "inner").symlink_to("/etc")
        binds = (Bind(shared, "/shared", writable=True), Bind(shared, "/shared/inner/deep"))
        root = Overlay((tree(tmp_path / "layer"),), tree(tmp_path / "up"), tree(tmp_path / "work"))
        assert [bind.target for bind in prepare(make(root, binds=binds)).binds] == ["/shared", "/etc/deep"]

    def test_loops_and_relative_targets_are_refused(self, tmp_path: Path) -> None:
        layer = tree(tmp_path / "layer")
        (layer / "a").symlink_to("b")
        (layer / "b").symlink_to("a")
        root = Overlay((layer,), tree(tmp_path / "up"), tree(tmp_path / "work"))
        with pytest.raises(HostError, match="loop"):
            prepare(make(root, files={"/a/x": b""}))
        with pytest.raises(HostError, match="absolute"):
            prepare(make(root, files={"etc/x": b""}))

    def test_optional_binds_may_be_missing(self, tmp_path: Path) -> None:
        root = Overlay((tree(tmp_path / "layer"),), tree(tmp_path / "up"), tree(tmp_path / "work"))
        missing = Bind(tmp_path / "none", "/x", optional=True)
        assert prepare(make(root, binds=(missing,))).binds == ()

    def test_a_layer_that_occurs_twice_is_mounted_once_on_top(self, tmp_path: Path) -> None:
        a, b = tree(tmp_path / "a", "usr/x"), tree(tmp_path / "b", "usr/y")
        root = Overlay((a, b, a), tree(tmp_path / "up"), tree(tmp_path / "work"))
        prepared = prepare(make(root, read_only=("/usr",))).root
        assert prepared.layers == (b, a)
        assert prepared.read_only == {"/usr": (b / "usr", a / "usr")}
