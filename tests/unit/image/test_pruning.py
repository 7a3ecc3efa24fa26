"""What is chosen to go, by age and by a bound; pins; what shares files is counted once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jupyter_containers.errors import NotFoundError
from jupyter_containers.image.caches import list_entries, use_caches
from jupyter_containers.image.census import Census
from jupyter_containers.image.check import verify
from jupyter_containers.image.gc import collect
from jupyter_containers.image.model import Image, ImageConfig, Layer
from jupyter_containers.image.pinning import list_pins, pin_image, unpin_image
from jupyter_containers.image.pruning import prune
from jupyter_containers.image.store import Store
from jupyter_containers.image.usage import measure

Commit = Callable[..., Layer]
CONFIG = ImageConfig(architecture="amd64")
MEGABYTE = 1 << 20


@pytest.fixture
def image(store: Store, commit: Commit) -> Callable[..., Image]:
    """An image of that name with a layer of so many MiB, last used so many seconds ago."""

    def made(name: str, *, age: float = 0.0, size: int = 1, below: tuple[Layer, ...] = ()) -> Image:
        layer = commit({name.replace(":", "-"): os.urandom(size * MEGABYTE)})
        found = store.put_image(CONFIG, [*below, layer])
        if not name.startswith("-"):
            store.tag(name, found.digest)
        used = time.time() - age
        os.utime(store.folder("images") / f"{found.digest[7:]}.json", (used, used))
        return found

    return made


def images(store: Store) -> set[str]:
    return {name.removesuffix(":latest") for name in store.references()}


def test_the_least_recently_used_goes_until_the_bound_is_met(store, image):
    for number, age in enumerate((500, 100, 400, 200, 300)):
        image(f"i{number}", age=age, size=2)
    before = measure(store).total
    dry = prune(store, keep_bytes=before - 3 * MEGABYTE, dry_run=True)
    assert images(store) == {"i0", "i1", "i2", "i3", "i4"}
    done = prune(store, keep_bytes=before - 3 * MEGABYTE)
    assert done.items == dry.items
    assert images(store) == {"i1", "i3", "i4"}
    assert done.size >= 4 * MEGABYTE
    assert done.left == pytest.approx(measure(store).total, abs=MEGABYTE // 2)
    assert prune(store, keep_bytes=before).items == ()
    assert verify(store) == ()


def test_what_nothing_refers_to_goes_first_then_caches_then_names(store, image, commit):
    image("named", age=900, size=2)
    image("-unnamed", age=10, size=2)
    step = commit({"step": os.urandom(2 * MEGABYTE)})
    store.record_step("s", step)
    download = store.cache_dir("archives") / "sha256" / "ab" / ("ab" + "0" * 62)
    download.parent.mkdir(parents=True)
    download.write_bytes(os.urandom(2 * MEGABYTE))
    total = measure(store).total
    assert "image" in prune(store, keep_bytes=total - MEGABYTE).items[0]
    assert store.step("s") is not None
    assert download.exists()
    prune(store, keep_bytes=total - 3 * MEGABYTE)
    assert store.step("s") is None
    assert download.exists()
    prune(store, keep_bytes=total - 5 * MEGABYTE)
    assert not download.exists()
    assert images(store) == {"named"}
    prune(store, keep_bytes=0)
    assert images(store) == set()
    assert list(store.folder("l").iterdir()) == []


def test_pins_leases_and_containers_keep(store, image):
    for name in ("pinned", "by-digest", "leased", "held", "free"):
        image(name, age=100)
    pin_image(store, "pinned")
    pin_image(store, store.image("by-digest").digest)
    store.pin("container-0123456789ab", store.image("held").digest)
    with Store(store.root).lease([store.image("leased").digest]):
        prune(store, keep_bytes=0)
        assert images(store) == {"pinned", "by-digest", "leased", "held"}
        prune(store, everything=True)
        assert images(store) == {"pinned", "by-digest", "leased", "held"}
    assert {(pin.reference, pin.image) for pin in list_pins(store)} == {
        ("pinned:latest", store.image("pinned").digest), ("", store.image("by-digest").digest),
    }  # fmt: skip
    assert unpin_image(store, "pinned")
    assert not unpin_image(store, "pinned")
    assert unpin_image(store, store.image("by-digest").digest)
    prune(store, everything=True)
    assert images(store) == {"held"}


def test_a_pinned_name_keeps_whatever_it_stands_for(store, image):
    old = image("thesis", age=100)
    pin_image(store, "thesis:latest")
    new = image("thesis", age=50)
    prune(store, everything=True)
    with pytest.raises(NotFoundError):
        store.image(old.digest)
    assert list_pins(store)[0].image == new.digest
    with pytest.raises(NotFoundError):
        pin_image(store, "nothing")


def test_only_what_was_not_used_for_so_long(store, image):
    for name, age in (("old", 1000), ("new", 10), ("-old", 1000), ("-new", 10)):
        image(name, age=age)
    prune(store, everything=True, unused_for=500)
    assert images(store) == {"new"}
    assert len(store.images()) == 2
    prune(store, keep_bytes=0, unused_for=500)
    assert len(store.images()) == 2
    prune(store, unused_for=0)
    assert images(store) == {"new"}
    assert len(store.images()) == 1


def test_what_is_used_meanwhile_stays(store, image, monkeypatch):
    kept, gone = image("kept", age=100), image("gone", age=90)

    def used(*arguments: object, **options: object) -> object:
        store.mark_used(kept.digest)
        return collect(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr("jupyter_containers.image.pruning.collect", used)
    prune(store, everything=True)
    assert images(store) == {"kept"}
    assert gone.digest not in {each.digest for each in store.images()}


def test_shared_layers_are_not_counted_as_freed(store, image, commit):
    base = commit({"base": os.urandom(4 * MEGABYTE)})
    image("a", age=300, below=(base,))
    image("b", age=200, below=(base,))
    image("c", age=100, size=3)
    usage = measure(store)
    own = {each.digest: each.usage.own for each in usage.images}
    assert MEGABYTE <= own[store.image("a").digest] < 2 * MEGABYTE
    # Two MiB: `a` gives one, `b` then the base as well.
    prune(store, keep_bytes=usage.total - 2 * MEGABYTE)
    assert images(store) == {"c"}


def test_a_cache_that_is_in_use_stays(store):
    entry = store.cache_dir("wheels") / "key" / "package"
    entry.mkdir(parents=True)
    (entry / "file").write_bytes(b"1")
    with use_caches(store.root):
        assert any("caches stay" in item for item in prune(store, everything=True).items)
        assert entry.exists()
    assert [each.name for each in list_entries(store)] == ["wheels/key/package"]
    assert "cache wheels/key/package" in prune(store, everything=True).items
    assert not entry.exists()


def test_a_package_that_layers_have_frees_nothing_and_stays(store, image, commit):
    entry = store.cache_dir("wheels") / "key" / "package"
    entry.mkdir(parents=True)
    (entry / "file").write_bytes(os.urandom(2 * MEGABYTE))
    with store.staging() as staging:
        os.link(entry / "file", staging.fs / "file")
        layer = store.commit_layer(staging.fs, created_by="python")
    store.tag("env", store.put_image(CONFIG, [layer]).digest)
    pin_image(store, "env")
    prune(store, keep_bytes=0)
    assert (entry / "file").exists()


def test_killed_at_any_moment_it_leaves_a_whole_store(store, image, commit):
    base = commit({"base": b"x" * MEGABYTE})
    program = (
        "import sys, pathlib\n"
        "from jupyter_containers.image.pruning import prune\n"
        "from jupyter_containers.image.store import Store\n"
        "print(flush=True)\n"
        "prune(Store(pathlib.Path(sys.argv[1])), everything=True)\n"
    )
    for round_ in range(6):
        kept = image("kept", below=(base,))
        pin_image(store, "kept")
        for number in range(15):
            image(f"n{round_}-{number}", age=100)
        process = subprocess.Popen([sys.executable, "-c", program, str(store.root)], stdout=subprocess.PIPE)
        process.stdout.readline()
        time.sleep(0.004 * round_)
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        assert verify(store) == ()
        collect(store)
        assert verify(store) == ()
        assert store.image("kept").digest == kept.digest
    assert list(store.folder("tmp").iterdir()) == []


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sets(st.integers(0, 5), min_size=1), min_size=1, max_size=5), st.data())
def test_a_census_is_what_the_disk_says(tmp_path_factory, folders, data):
    """Folders that share files: *folders* has, for each, the numbers of its files."""
    top = tmp_path_factory.mktemp("census")
    first: dict[int, Path] = {}
    for number, files in enumerate(folders):
        (top / str(number)).mkdir()
        for file in files:
            place = top / str(number) / str(file)
            if file in first:
                os.link(first[file], place)
            else:
                place.write_bytes(b"x" * (file + 1) * 5000)
                first[file] = place
    census = Census()
    for number in range(len(folders)):
        census.count(str(number), top / str(number))

    def on_disk(numbers: set[int]) -> int:
        places = [top / str(number) for number in numbers]
        inodes = {path.stat().st_ino: path.stat().st_blocks * 512 for place in places for path in place.iterdir()}
        return sum(inodes.values()) + sum(place.stat().st_blocks * 512 for place in places)

    everything = set(range(len(folders)))
    chosen = data.draw(st.sets(st.sampled_from(sorted(everything))))
    assert census.size(map(str, chosen)) == on_disk(chosen)
    assert census.total() == on_disk(everything)
    assert census.own(map(str, chosen)) == on_disk(everything) - on_disk(everything - chosen)
    freed = sum(census.drop(str(number)) for number in chosen)
    assert freed == on_disk(everything) - on_disk(everything - chosen)
