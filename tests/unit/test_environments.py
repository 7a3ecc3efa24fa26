"""The front door, with a real catalog, history and store, and a runtime that runs nothing."""

from __future__ import annotations

import errno
import threading
from types import SimpleNamespace

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_containers.build.history import Recorder, new_build_id
from jupyter_containers.build.monitor import Event
from jupyter_containers.environments import Environments
from jupyter_containers.errors import (
    BuildError,
    CancelledError,
    ConflictError,
    InputError,
    NotFoundError,
    SpecError,
    StoreError,
)
from jupyter_containers.image.model import ImageConfig
from jupyter_containers.paths import Paths
from jupyter_containers.runtime.base import ContainerConfig
from jupyter_containers.runtime.fake import FakeRuntime
from jupyter_containers.spec.catalog import Record, record
from jupyter_containers.views import read_page


@pytest.fixture
def paths(tmp_path, monkeypatch):
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "jupyter"))
    return Paths(tmp_path / "home", tmp_path / "run").made()


class Builder:
    """Builds at once, or, with ``wait``, when it is cancelled or let go."""

    def __init__(self) -> None:
        self.wait = False
        self.began, self.go = threading.Event(), threading.Event()
        self.calls: list[dict] = []

    def __call__(self, loaded, *, paths, monitor, cancel=None, build_id="", **options):
        self.calls.append(options)
        with Recorder(
            paths, build_id=build_id or new_build_id(), name=loaded.spec.name, spec_file="", monitor=monitor
        ) as recorder:
            recorder(Event(kind="output", text="working"))
            self.began.set()
            while self.wait and not self.go.wait(0.005):
                if cancel is not None and cancel.is_set():
                    raise CancelledError("the build was cancelled")
            recorder.finish("sha256:" + "1" * 64)
        entry = Record(name=loaded.spec.name, display_name="", spec_file=str(loaded.folder), image="sha256:" + "1" * 64)
        record(paths, entry)
        return SimpleNamespace(record=entry, image=SimpleNamespace(digest=entry.image), build_id=build_id)


@pytest.fixture
def builder():
    made = Builder()
    yield made
    made.go.set()


@pytest.fixture
def environments(paths, builder):
    with Environments(paths, FakeRuntime(), builder=builder) as opened:
        yield opened


@pytest.fixture
def spec(tmp_path):
    def write(name: str, folder: str = ""):
        path = tmp_path / (folder or name)
        path.mkdir()
        (path / "jupyter-container.toml").write_text(f'name = "{name}"\n')
        return path

    return write


def test_views_are_json(environments, spec):
    environments.add(spec("one"))
    (view,) = environments.list()
    decoded = msgspec.json.decode(msgspec.json.encode(view), type=type(view))
    assert decoded == view
    assert (view.state, view.image, view.size, view.containers) == ("not built", None, None, 0)


def test_folder_and_its_file_are_one_environment(environments, spec):
    folder = spec("one")
    environments.add(folder)
    environments.add(folder / "jupyter-container.toml")
    assert [view.spec_file for view in environments.list()] == [str(folder)]


def test_two_specs_of_one_name(environments, spec):
    first = spec("same", "a")
    environments.add(first)
    with pytest.raises(ConflictError) as refused:
        environments.add(spec("same", "b"))
    assert str(first) in str(refused.value)
    assert environments.view("same").spec_file == str(first)


def test_sizes_of_shared_layers(environments, paths):
    """What removing an environment would free is what no other has."""
    layers = {}
    for name, size in (("base", 1000), ("left", 100), ("right", 10)):
        with environments.store.staging() as staging:
            (staging.fs / name).write_bytes(b"x" * size)
            layers[name] = environments.store.commit_layer(staging.fs, created_by=name, epoch=0)
    for name in ("left", "right"):
        config = ImageConfig(architecture="amd64")
        image = environments.store.put_image(config, [layers["base"], layers[name]])
        record(paths, Record(name=name, display_name=name, spec_file="", image=image.digest))
    sizes = {view.name: (view.size, view.own_size) for view in environments.list()}
    assert sizes == {"left": (1100, 100), "right": (1010, 10)}
    images = environments.storage.images()
    assert {image.environments: image.own_size for image in images} == {("left",): 100, ("right",): 10}


def test_image_goes_with_its_last_environment(environments, paths):
    with environments.store.staging() as staging:
        (staging.fs / "file").write_bytes(b"x")
        layer = environments.store.commit_layer(staging.fs, created_by="x", epoch=0)
    image = environments.store.put_image(ImageConfig(architecture="amd64"), [layer])
    for name in ("one", "two"):
        record(paths, Record(name=name, display_name=name, spec_file="", image=image.digest))
        environments.store.tag(name, image.digest)
    environments.forget("one", image=True)
    assert [(view.environments, view.references) for view in environments.storage.images()] == [
        (("two",), ("two:latest",))
    ]
    environments.forget("two", image=True)
    assert environments.storage.images() == ()
    assert environments.storage.prune(dry_run=True).size > 0
    assert environments.storage.prune().items
    assert environments.storage.prune().items == ()


def test_resolve(environments, paths, spec, tmp_path):
    environments.add(spec("one"))
    with pytest.raises(NotFoundError, match="not built yet"):
        environments.resolve("one")
    record(paths, Record(name="one", display_name="", spec_file=str(tmp_path / "one"), image="sha256:" + "2" * 64))
    by_name, by_path = environments.resolve("one"), environments.resolve(str(tmp_path / "one"))
    assert by_name.image == by_path.image == "sha256:" + "2" * 64
    with pytest.raises(NotFoundError):
        environments.resolve("two")


def test_run_starts_a_container_of_the_image(environments, paths):
    record(paths, Record(name="one", display_name="", spec_file="", image="sha256:" + "2" * 64))
    container = environments.run("one", ["true"], memory=1 << 20)
    assert container.config == ContainerConfig(
        image="sha256:" + "2" * 64, image_name="one", argv=("true",), memory=1 << 20, name=container.config.name
    )
    assert container.state().status == "running"
    assert environments.view("one").containers == 1


def test_run_that_cannot_start_leaves_nothing(environments, paths):
    record(paths, Record(name="one", display_name="", spec_file="", image="sha256:" + "2" * 64))
    environments.runtime.start_error = ConflictError("no")
    with pytest.raises(ConflictError):
        environments.run("one", ["true"])
    assert environments.containers(all=True) == ()


def test_build_in_this_thread(environments, builder, spec):
    said = []
    built = environments.build(spec("one"), monitor=said.append, kernelspec=False, locked=True)
    assert built.record.name == "one"
    assert [event.text for event in said if event.kind == "output"] == ["working"]
    assert builder.calls == [{"locked": True}]


def test_kernelspec_is_installed_after_a_build(environments, spec, tmp_path):
    environments.build(spec("one"))
    assert (tmp_path / "jupyter" / "kernels" / "jc-one" / "kernel.json").exists()
    environments.forget("one")
    assert not (tmp_path / "jupyter" / "kernels" / "jc-one").exists()
    assert environments.list() == ()


def test_kernelspec_that_is_in_the_way(environments, spec, tmp_path):
    """The image is there all the same, and what is not is told."""
    other = tmp_path / "jupyter" / "kernels" / "jc-one"
    other.mkdir(parents=True)
    (other / "kernel.json").write_text("{}")
    with pytest.raises(BuildError, match="one is built, but its kernelspec"):
        environments.build(spec("one"))
    build = environments.start_build("one")
    while environments.building:
        threading.Event().wait(0.01)
    view = environments.find_build(build)
    assert (view.state, view.image) == ("done", "sha256:" + "1" * 64)
    assert "kernelspec" in view.error
    assert environments.builds()[0] == view
    assert (other / "kernel.json").read_text() == "{}"


def test_close_ends_what_waits_and_what_works(paths, builder, spec):
    builder.wait = True
    told = []
    with Environments(paths, FakeRuntime(), builder=builder, max_builds=1, on_build=told.append) as opened:
        first = opened.start_build(spec("one"), kernelspec=False)
        second = opened.start_build(spec("two"), kernelspec=False)
        assert builder.began.wait()
        assert [view.state for view in opened.builds()] == ["queued", "running"]
        assert opened.building
        assert opened.build_log(second) == ""
    assert [opened.find_build(key).state for key in (first, second)] == ["cancelled", "cancelled"]
    assert not opened.building
    assert sorted((view.environment, view.state) for view in told) == [
        ("one", "cancelled"), ("one", "running"), ("two", "cancelled"),
    ]  # fmt: skip


def test_close_does_not_wait_for_a_build_that_hangs(paths, spec):
    hangs, begun = threading.Event(), threading.Event()

    def build(loaded, **options):
        begun.set()
        hangs.wait()
        raise CancelledError("late")

    environments = Environments(paths, FakeRuntime(), builder=build)
    environments.start_build(spec("one"), kernelspec=False)
    assert begun.wait()
    environments.close(patience=0)
    assert environments.building
    hangs.set()


def test_as_many_builds_at_once_as_allowed(paths, builder, spec):
    builder.wait = True
    with Environments(paths, FakeRuntime(), builder=builder, max_builds=2) as opened:
        builds = [opened.start_build(spec(name), kernelspec=False) for name in ("a", "b", "c", "d")]
        while len(builder.calls) < 2:
            builder.began.wait(0.01)
        assert sorted(view.state for view in opened.builds()) == ["queued", "queued", "running", "running"]
        assert opened.cancel_build(builds[3]).state == "cancelled"
        builder.go.set()
        while opened.building:
            builder.go.wait(0.01)
        assert [opened.find_build(key).state for key in builds] == ["done", "done", "done", "cancelled"]
        assert len(builder.calls) == 3


def test_text_on_a_disk_that_is_full(environments, monkeypatch):
    def full(*arguments, **options):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("tempfile.mkdtemp", full)
    with pytest.raises(StoreError, match="No space left"):
        environments.specs.create('name = "x"')


def test_environment_that_is_being_built_stays(environments, builder, spec):
    folder = spec("one")
    environments.add(folder)
    builder.wait = True
    build = environments.start_build("one", kernelspec=False)
    view = environments.view("one")
    assert (view.state, view.build_id) == ("building", build)
    with pytest.raises(ConflictError, match=build):
        environments.forget("one")
    with pytest.raises(ConflictError, match=build):
        environments.start_build(folder)


def test_build_of_another_process_is_not_cancelled_here(environments, paths):
    recorder = Recorder(paths, build_id="20260101-000000-000-aaaa", name="x", spec_file="", monitor=lambda event: None)
    with recorder:
        assert environments.find_build(recorder.id).state == "running"
        with pytest.raises(ConflictError, match="another process"):
            environments.cancel_build(recorder.id)
        recorder.finish("")


@pytest.mark.parametrize("name", ["", "../x", "no such", "no-such", "~nobody", "~nobody/x", "\0", "x" * 5000])
def test_unknown_names(environments, name):
    with pytest.raises((NotFoundError, SpecError)):
        environments.start_build(name)
    with pytest.raises((NotFoundError, InputError)):
        environments.find_build(name)


lines = st.lists(st.text(max_size=40), max_size=30)


@given(lines, st.integers(1, 200))
def test_pages_join_to_the_whole(tmp_path_factory, texts, size):
    file = tmp_path_factory.getbasetemp() / "events.jsonl"
    file.write_bytes(b"".join(msgspec.json.encode(Event(kind="output", text=text)) + b"\n" for text in texts))
    seen, position = [], 0
    while not (page := read_page(file, position, max_bytes=size)).ended:
        assert page.events
        assert page.position > position
        seen += [item.event.text for item in page.events]
        assert [item.position for item in page.events][-1] == page.position
        position = page.position
    assert seen == texts
    assert position == file.stat().st_size


@given(lines, st.integers(0, 5000))
def test_position_is_one_that_was_given_or_refused(tmp_path_factory, texts, position):
    file = tmp_path_factory.getbasetemp() / "events.jsonl"
    data = b"".join(msgspec.json.encode(Event(kind="output", text=text)) + b"\n" for text in texts)
    file.write_bytes(data)
    good = {0} | {place + 1 for place, byte in enumerate(data) if byte == 0x0A}
    if position in good:
        assert len(read_page(file, position).events) == data[position:].count(b"\n")
    else:
        with pytest.raises(InputError):
            read_page(file, position)


def test_line_that_is_still_being_written(tmp_path):
    file = tmp_path / "events.jsonl"
    whole = msgspec.json.encode(Event(kind="output", text="one")) + b"\n"
    file.write_bytes(whole + b'{"kind":"out')
    page = read_page(file, 0)
    assert [item.event.text for item in page.events] == ["one"]
    assert page.position == len(whole)
    assert read_page(file, page.position).events == ()
