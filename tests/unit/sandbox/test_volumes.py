from __future__ import annotations

import os
from pathlib import Path

from jupyter_containers.sandbox.bwrap import Fds, options
from jupyter_containers.sandbox.idmap import stage_sandbox
from jupyter_containers.sandbox.model import Overlay, Sandbox, Volume
from jupyter_containers.sandbox.preparation import prepare
from jupyter_containers.sandbox.targets import find_folders


def layers(tmp_path: Path, *trees: tuple[str, ...]) -> tuple[Path, ...]:
    made = []
    for number, names in enumerate(trees):
        for name in names:
            (tmp_path / str(number) / name).mkdir(parents=True, exist_ok=True)
        made.append(tmp_path / str(number))
    return tuple(made)


def opaque(folder: Path) -> None:
    os.setxattr(folder, "user.overlay.opaque", b"y")


def test_what_a_stack_has_at_a_path(tmp_path: Path) -> None:
    low, middle, high = layers(tmp_path, ("var/db",), ("var/db", "srv"), ("var",))
    assert find_folders((high, middle, low), "var/db") == (middle / "var/db", low / "var/db")
    opaque(middle / "var")
    assert find_folders((high, middle, low), "var/db") == (middle / "var/db",)
    opaque(high / "var")
    assert find_folders((high, middle, low), "var/db") == ()
    (low / "file").write_text("")
    assert find_folders((low,), "file") == () == find_folders((low,), "file/x")
    (middle / "file").mkdir()
    assert find_folders((middle, low), "file") == (middle / "file",)


def test_a_link_is_not_followed_out(tmp_path: Path) -> None:
    (low,) = layers(tmp_path, ("etc",))
    (low / "data").symlink_to("/etc")
    assert find_folders((low,), "data") == () == find_folders((low,), "data/ssl")


def make(tmp_path: Path, stack: tuple[Path, ...], *targets: str) -> Sandbox:
    volumes = tuple(Volume(target, tmp_path / f"v{target}", tmp_path / f"w{target}") for target in targets)
    root = Overlay(stack, tmp_path / "upper", tmp_path / "work")
    (tmp_path / "upper").mkdir(exist_ok=True)
    return Sandbox(argv=("true",), root=root, store=tmp_path, volumes=volumes, read_only=("/usr",))


def words(argv: list[str], option: str, count: int) -> list[tuple[str, ...]]:
    return [tuple(argv[at + 1 : at + 1 + count]) for at, word in enumerate(argv) if word == option]


def test_volumes_are_mounted_over_what_the_layers_have(tmp_path: Path) -> None:
    stack = layers(tmp_path, ("usr/share", "data"), ("data",))
    made = prepare(make(tmp_path, stack, "/data", "/new", "/usr/share"))
    assert [len(volume.layers) for volume in made.volumes] == [2, 0, 1]
    argv = options(made, fds=Fds())
    assert (str(tmp_path / "v/data"), str(tmp_path / "w/data"), "/data") in words(argv, "--overlay", 3)
    assert (str(tmp_path / "v/new"), "/new") in words(argv, "--bind", 2)
    assert "/usr" in made.root.read_only  # the mount point is there
    # One whose mount point is missing keeps /usr from being read-only.
    assert "/usr" not in prepare(make(tmp_path, stack, "/usr/lib/x")).root.read_only


def test_a_target_is_where_the_images_links_lead(tmp_path: Path) -> None:
    (stack,) = layers(tmp_path, ("srv/www",))
    (stack / "var").mkdir()
    (stack / "var/www").symlink_to("../srv/www")
    made = prepare(make(tmp_path, (stack,), "/var/www"))
    assert made.volumes[0].target == "/srv/www" and made.volumes[0].layers == (stack / "srv/www",)


def test_as_root_they_move_with_the_store(tmp_path: Path) -> None:
    stack = layers(tmp_path, ("data",))
    (tmp_path / "bwrap").write_text("")
    staged = stage_sandbox(prepare(make(tmp_path, stack, "/data")), tmp_path / "bwrap").sandbox
    (volume,) = staged.volumes
    assert all(path.is_relative_to(staged.store) for path in (volume.upper, volume.work, *volume.layers))
