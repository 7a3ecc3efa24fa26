"""Many containers listed and measured again and again: what is kept between two looks never hides what has changed."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from jupyter_containers.runtime import listing, meter
from jupyter_containers.runtime.base import ContainerConfig, Stats
from jupyter_containers.runtime.folder import Folder, Identity, Kept, create_folder, find_folder, scope
from jupyter_containers.runtime.listing import list_states
from jupyter_containers.runtime.meter import BundledMeter

GROUP = {
    "cpu.stat": "usage_usec 1500000\n", "memory.current": "1000\n", "memory.max": "5000\n", "memory.peak": "2000\n",
    "pids.current": "7\n", "io.stat": "8:0 rbytes=10 wbytes=20\n",
}  # fmt: skip


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(["sleep", "1000"])
    yield process
    process.kill()
    process.wait()


class House:
    """Containers whose only process is *pid*, each with a control group that is a folder of plain files."""

    def __init__(self, top: Path, pid: int) -> None:
        self.containers, self._groups, self._pid = top / "containers", top / "groups", pid
        self.containers.mkdir()

    def add(self, name: str, **fields: object) -> Folder:
        config = {"image": "sha256:0", "argv": ("x",), "name": name, **fields}
        folder = create_folder(self.containers, ContainerConfig(**config))
        group = self._groups / folder.id
        group.mkdir(parents=True)
        for file, text in GROUP.items():
            (group / file).write_text(text)
        (folder.path / "group.json").write_bytes(msgspec.json.encode({"folders": {"unified": str(group)}}))
        self.keep(folder)
        return folder

    def keep(self, folder: Folder, **fields: object) -> None:
        process = Identity.of(self._pid)
        base = {"status": "running", "created_at": 1.0, "started_at": time.time(), "scope": scope(),
                "keeper": process, "process": process, "pid": self._pid}  # fmt: skip
        folder.keep(Kept(**base | fields))

    def file(self, folder: Folder, name: str) -> Path:
        return self._groups / folder.id / name

    def age(self, folder: Folder) -> None:
        """As if ``state.json`` had been written a while ago."""
        os.utime(folder.path / "state.json", (1000.0, 1000.0))


@pytest.fixture
def house(tmp_path: Path, sleeper: subprocess.Popen[bytes]) -> House:
    return House(tmp_path, sleeper.pid)


def statuses(house: House) -> dict[str, str]:
    return {state.name: state.status for state in list_states(house.containers)}


def read(measuring: BundledMeter, house: House) -> dict[str, Stats]:
    return {item.name: item for item in measuring.read(list_states(house.containers))}


def open_files(house: House) -> list[str]:
    found = []
    for handle in os.listdir("/proc/self/fd"):
        try:
            found.append(os.readlink(f"/proc/self/fd/{handle}"))
        except OSError:
            continue
    return [path for path in found if path.startswith(str(house._groups))]


class TestListing:
    def test_what_has_not_changed_is_not_read_again(self, house: House, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("one", "two"):
            house.age(house.add(name))
        first = {state.id: state for state in list_states(house.containers)}
        monkeypatch.setattr(Folder, "kept", lambda folder: pytest.fail(f"{folder.id} is read again"))
        assert all(first[state.id] is state for state in list_states(house.containers))

    def test_each_change_is_seen(self, house: House) -> None:
        one = house.add("one")
        assert statuses(house) == {"one": "running"}
        house.keep(one, paused=True)  # at once: within a tick of the file system's clock
        assert statuses(house) == {"one": "paused"}
        house.keep(one)
        house.age(one)
        assert statuses(house) == {"one": "running"}
        house.keep(one, status="exited", exit_code=3)
        house.age(one)  # same time and perhaps the same size, another inode
        house.add("two")
        assert statuses(house) == {"one": "exited", "two": "running"}
        one.path.rename(house.containers / ".gone-one")
        assert statuses(house) == {"two": "running"}
        assert len(listing._seen[house.containers]) == 1

    def test_an_end_that_nobody_wrote_down_is_seen(self, house: House, sleeper: subprocess.Popen[bytes]) -> None:
        house.age(house.add("one"))
        assert statuses(house) == {"one": "running"}
        sleeper.kill()
        sleeper.wait()
        assert statuses(house) == {"one": "exited"}

    def test_a_pid_of_another_host_is_not_told(self, house: House) -> None:
        one = house.add("one")
        with one.locked():  # as its keeper, there, holds it
            house.keep(one, scope="another")
            (state,) = list_states(house.containers)
        assert (state.status, state.pid) == ("running", None)

    def test_a_whole_id_is_found_without_a_look_at_the_others(
        self, house: House, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        one = house.add("one")
        monkeypatch.setattr(
            "jupyter_containers.runtime.folder.list_folders", lambda containers: pytest.fail("looked at all")
        )
        assert find_folder(house.containers, one.id) == one


class TestMeter:
    def test_figures_are_those_of_now(self, house: House) -> None:
        one = house.add("one", network="full")
        house.add("two")
        with BundledMeter(house.containers) as measuring:
            first = read(measuring, house)
            assert first["one"].memory == 1000 and first["one"].memory_limit == 5000
            assert (first["one"].received_bytes, first["two"].received_bytes) == (None, 0)
            assert first["one"].cpu_percent == 0
            house.file(one, "memory.current").write_text("3000\n")
            house.file(one, "memory.max").write_text("max\n")
            house.file(one, "cpu.stat").write_text("usage_usec 9900000\n")
            house.file(one, "io.stat").write_text("8:0 rbytes=11 wbytes=22\n8:1 rbytes=1 wbytes=1\n")
            again = read(measuring, house)
            assert (again["one"].memory, again["one"].memory_limit) == (3000, None)
            assert (again["one"].read_bytes, again["one"].write_bytes) == (12, 23)
            assert again["one"].cpu_percent > 0 and again["two"].cpu_percent == 0

    def test_files_stay_open_until_their_container_goes(self, house: House) -> None:
        one = house.add("one")
        house.add("two")
        with BundledMeter(house.containers) as measuring:
            read(measuring, house)
            kept = open_files(house)
            assert len(kept) == 2 * len(GROUP)
            read(measuring, house)
            assert sorted(open_files(house)) == sorted(kept)
            house.keep(one, status="exited")
            assert list(read(measuring, house)) == ["two"]
            assert len(open_files(house)) == len(GROUP)
        assert open_files(house) == []
        assert measuring.read(list_states(house.containers)) == []

    def test_of_a_new_start_the_new_group_is_read(self, house: House) -> None:
        one = house.add("one")
        with BundledMeter(house.containers) as measuring:
            read(measuring, house)
            for file, text in GROUP.items():
                house.file(one, file).unlink()
                house.file(one, file).write_text(text.replace("1000", "4000"))
            house.keep(one, started_at=time.time() + 1)
            assert read(measuring, house)["one"].memory == 4000
            assert len(open_files(house)) == len(GROUP)

    def test_descriptors_are_left_to_others(self, house: House, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("one", "two", "three"):
            house.add(name)
        with BundledMeter(house.containers) as measuring:
            for others, kept in ((75, 0), (74, 1), (50, 3), (90, 0), (63, 2)):
                # As if this process might have a hundred, and others in it had so many.
                monkeypatch.setattr(meter, "_limit_of_descriptors", lambda: 100)
                monkeypatch.setattr(meter, "_count_descriptors", lambda others=others: others + len(open_files(house)))
                assert all(item.memory == 1000 for item in read(measuring, house).values())
                assert len(open_files(house)) == kept * len(GROUP)

    def test_one_that_has_just_ended_is_left_out(self, house: House) -> None:
        one = house.add("one")
        states = list_states(house.containers)
        for file in GROUP:
            house.file(one, file).unlink()
        with BundledMeter(house.containers) as measuring:  # its pid is no container's first process
            assert measuring.read(states) == []
