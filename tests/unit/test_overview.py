"""Looking again and again: what is told is what is there, and what has not changed is not read again."""

from __future__ import annotations

import os
import time
from collections import Counter

import pytest

import jupyter_containers.overview
from jupyter_containers.build import state
from jupyter_containers.build.history import Recorder
from jupyter_containers.build.monitor import Event, silent
from jupyter_containers.environments import Environments
from jupyter_containers.image.model import ImageConfig
from jupyter_containers.image.store import Store
from jupyter_containers.paths import Paths
from jupyter_containers.runtime.base import ContainerConfig
from jupyter_containers.runtime.fake import FakeRuntime
from jupyter_containers.spec.catalog import Record, record
from jupyter_containers.spec.load import load_spec

SPEC = 'name = "{name}"\n[build]\ncopy = [{{ source = "data", target = "data" }}]\n'


@pytest.fixture
def paths(tmp_path, monkeypatch):
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "jupyter"))
    return Paths(tmp_path / "home", tmp_path / "run").made()


@pytest.fixture
def runtime():
    return FakeRuntime()


@pytest.fixture
def environments(paths, runtime):
    with Environments(paths, runtime) as environments:
        yield environments


@pytest.fixture
def examined(monkeypatch):
    """How often each environment was examined."""
    counts = Counter()
    examine = state.examine

    def count(entry, paths):
        counts[entry.name] += 1
        return examine(entry, paths)

    monkeypatch.setattr(state, "examine", count)
    return counts


def build(paths, folder, name):
    """As a build leaves it."""
    folder.mkdir(exist_ok=True)
    (folder / "jupyter-container.toml").write_text(SPEC.format(name=name))
    (folder / "jupyter-container.lock").write_text("lock")
    (folder / "data").write_text("data")
    store = Store(paths.store)
    image = store.put_image(ImageConfig(architecture="amd64", author=name), [])
    store.tag(name, image.digest)
    loaded = load_spec(folder)
    inputs = state.hash_paths(loaded, ("data",), state.input_memory(paths))
    mark = state.fingerprint(loaded, b"lock", inputs, paths)
    state.remember(paths, name, mark, ("data",))
    record(paths, Record(name=name, display_name=name, spec_file=str(folder), image=image.digest, spec_digest=mark))
    return image


def settle(folder):
    """Let some time go by for the files below *folder*."""
    for parent, folders, files in os.walk(folder):
        for name in (*folders, *files):
            os.utime(f"{parent}/{name}", (time.time() - 10,) * 2, follow_symlinks=False)
    os.utime(folder, (time.time() - 10,) * 2)
    time.sleep(jupyter_containers.overview._SETTLED * 1.5)  # the time of change can't be set


def test_a_look_tells_what_is_there(environments, paths, runtime, tmp_path):
    image = build(paths, tmp_path / "one", "one")
    record(paths, Record(name="two", display_name="Two", spec_file=str(tmp_path / "two")))
    runtime.create(ContainerConfig(image=image.digest, image_name="one", argv=("x",), name="box")).start()
    with Recorder(paths, build_id="20260101-a", name="two", spec_file="/x", monitor=silent) as recorder:
        recorder(Event(kind="phase", phase="installing"))
        look = environments.overview.look()
        assert look.environments["two"].state == "building"
        assert (look.environments["two"].build_id, look.environments["two"].phase) == ("20260101-a", "installing")
        recorder.finish("")
    assert (look.environments["one"].state, look.environments["one"].containers) == ("ready", 1)
    assert [state.name for state in look.containers.values()] == ["box"]
    assert look.images[image.digest].environments == ("one",)
    assert environments.overview.look().environments["two"].state == "not built"
    assert environments.overview.look().builds["20260101-a"].state == "done"


def test_a_build_that_begins_during_a_look_asks_its_user_nothing(environments, paths, tmp_path, monkeypatch):
    """Its lock is there before it is noted whose it is."""
    folder = tmp_path / "one"
    build(paths, folder, "one")
    record(paths, Record(name="one", display_name="one", spec_file=str(folder)))  # as if it were the first build
    (asked,) = environments.overview.environments(["one"])
    assert asked.asks
    examine = state.examine
    recorders = []

    def begin(entry, paths):
        if not recorders:
            recorders.append(Recorder(paths, build_id="20260101-a", name="one", spec_file="/x", monitor=silent))
            recorders[0].__enter__()
        return examine(entry, paths)

    monkeypatch.setattr(state, "examine", begin)
    settle(folder)
    (folder / "data").write_text("other data")  # to be examined again
    (view,) = environments.overview.environments(["one"])
    recorders[0].__exit__(None, None, None)
    assert (view.state, view.build_id) == ("building", "20260101-a")


def test_what_has_not_changed_is_not_read_again(environments, paths, tmp_path, examined):
    build(paths, tmp_path / "one", "one")
    settle(tmp_path)
    assert environments.overview.look() == environments.overview.look() == environments.overview.look()
    assert examined == {"one": 1}


@pytest.mark.parametrize("change", ["spec", "lock", "input", "another file", "record", "image"])
def test_what_has_changed_is_seen_at_the_next_look(environments, paths, tmp_path, change):
    image = build(paths, tmp_path / "one", "one")
    settle(tmp_path)
    assert environments.overview.look().environments["one"].state == "ready"
    folder = tmp_path / "one"
    expected = "out of date"
    match change:
        case "spec":
            (folder / "jupyter-container.toml").write_text(SPEC.format(name="one") + 'run = ["true"]')
        case "lock":
            (folder / "jupyter-container.lock").write_text("kcol")
        case "input":
            (folder / "data").write_text("atad")
        case "another file":
            (folder / "jupyter-container.toml").unlink()
            expected = "broken"
        case "record":
            environments.forget("one")
            assert environments.overview.look().environments == {}
            return
        case "image":
            environments.store.untag("one")
            environments.store.remove_image(image.digest)
            expected = "broken"
    assert environments.overview.look().environments["one"].state == expected
    assert environments.view("one").state == expected


def test_a_change_within_the_clock_s_grain_is_seen(environments, paths, tmp_path, monkeypatch):
    """Two changes, a look in between, and file times that are all the same."""
    monkeypatch.setattr("jupyter_containers.overview._SETTLED", 3600.0)
    build(paths, tmp_path / "one", "one")
    assert environments.overview.look().environments["one"].state == "ready"
    file = tmp_path / "one" / "data"
    before = file.stat()
    file.write_text("atad")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert environments.overview.look().environments["one"].state == "out of date"
