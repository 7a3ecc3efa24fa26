from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from trees import tree

from jupyter_containers.errors import HostError
from jupyter_containers.sandbox.merging import check_length, choose_run, fit, merge
from jupyter_containers.sandbox.model import Overlay, Sandbox
from jupyter_containers.sandbox.targets import is_opaque, is_whiteout

OPAQUE = "user.overlay.opaque"


def view(*layers: Path) -> dict[str, str]:
    """What overlayfs shows of *layers*, lowest first: each path with its content; a folder's is ``/``."""
    shown: dict[str, str] = {}

    def hide(path: str) -> None:
        for name in [name for name in shown if name == path or name.startswith(f"{path}/")]:
            del shown[name]

    for layer in layers:
        for folder, folders, files in os.walk(layer):
            inside = os.path.relpath(folder, layer)
            if inside != ".":
                if shown.get(inside) != "/" or is_opaque(folder):
                    hide(inside)
                shown[inside] = "/"
            for name in files:
                path = os.path.normpath(f"{inside}/{name}")
                hide(path)
                if not is_whiteout(os.lstat(f"{folder}/{name}")):
                    shown[path] = Path(folder, name).read_text()
            folders.sort()
    return shown


def test_what_is_merged_hides_and_shows_the_same(tmp_path: Path) -> None:
    below = tree(tmp_path / "0", "d/old", "e/old", "f", "g/x")
    first = tree(tmp_path / "1", "-d", "e/new", "-f", "g/y")
    second = tree(tmp_path / "2", "d/fresh", "g/z")
    above = tree(tmp_path / "3", "e/above", "-g")
    merge([first, second], tmp_path / "m")
    assert view(below, tmp_path / "m", above) == view(below, first, second, above)
    assert view(below, tmp_path / "m") == {
        "d": "/", "d/fresh": "d/fresh", "e": "/", "e/old": "e/old", "e/new": "e/new",
        "g": "/", "g/x": "g/x", "g/y": "g/y", "g/z": "g/z",
    }  # fmt: skip


def test_modes_times_and_links_stay(tmp_path: Path) -> None:
    low, top = tree(tmp_path / "1", "d/a"), tree(tmp_path / "2", "d/")
    (top / "d/link").symlink_to("/etc/passwd")
    os.utime(top / "d", (5, 5))
    (top / "d").chmod(0o751)
    (low / "d/a").chmod(0o640)
    merge([low, top], tmp_path / "m")
    made = tmp_path / "m"
    assert (stat.S_IMODE((made / "d").stat().st_mode), (made / "d").stat().st_mtime) == (0o751, 5)
    assert (made / "d/a").samefile(low / "d/a")
    assert (made / "d/link").readlink() == Path("/etc/passwd")


NAMES = st.sampled_from(["a", "b", "a/x", "a/y", "b/x", "a/x/1", "b/x/1"])
LAYER = st.lists(st.tuples(st.sampled_from(["file", "gone", "opaque"]), NAMES), max_size=5)


@given(st.lists(LAYER, min_size=3, max_size=6), st.data())
@settings(max_examples=150, deadline=None)
def test_any_run_of_any_layers(tmp_path_factory: pytest.TempPathFactory, plans: list, data: st.DataObject) -> None:
    top = tmp_path_factory.mktemp("layers")
    layers = []
    for index, plan in enumerate(plans):
        layer = top / str(index)
        layer.mkdir()
        for kind, name in plan:
            place = layer / name
            if any(each.is_file() or is_whiteout(os.lstat(each)) for each in (place, *place.parents) if each.exists()):
                continue
            if kind == "opaque":
                place.mkdir(parents=True, exist_ok=True)
                os.setxattr(place, OPAQUE, b"y")
            elif not place.exists():
                place.parent.mkdir(parents=True, exist_ok=True)
                if kind == "gone":
                    os.mknod(place, stat.S_IFCHR, 0)
                else:
                    place.write_text(f"{name} of {index}")
        layers.append(layer)
    first = data.draw(st.integers(0, len(layers) - 2))
    last = data.draw(st.integers(first + 2, len(layers)))
    merge(layers[first:last], top / "m")
    assert view(*layers[:first], top / "m", *layers[last:]) == view(*layers)


def test_the_cheapest_run_is_chosen() -> None:
    assert choose_run([900, 1, 1, 1, 900, 1], 4) == (1, 4)
    assert choose_run([1, 1, 900, 900], 3) == (0, 2)
    assert choose_run([1, 1], 2) == (0, 1)


def test_only_what_does_not_fit_is_merged(tmp_path: Path) -> None:
    layers = tuple(tree(tmp_path / "store" / f"{index:026}", f"file-{index}") for index in range(120))
    (tmp_path / "box").mkdir()
    sandbox = Sandbox(("true",), root=Overlay(layers, tmp_path / "box/upper", tmp_path / "box/work"), store=tmp_path)
    few = layers[:3]
    assert fit(sandbox, few) == few
    with pytest.raises(HostError, match="120 layers"):
        check_length(layers)
    fitted = fit(sandbox, layers)
    assert 10 < len(fitted) < 120
    check_length([path / "libx32" for path in fitted] + [tmp_path / "box/upper", tmp_path / "box/work"])
    assert view(*fitted) == view(*layers)
    inodes = {path: path.stat().st_ino for path in fitted}
    assert {path: path.stat().st_ino for path in fit(sandbox, layers)} == inodes  # made once
