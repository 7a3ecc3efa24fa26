"""What is told of running containers, against what the kernel of the host tells of their processes."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest

from jupyter_containers.runtime.processes import list_inside
from jupyter_containers.runtime.tally import Tally

WORK = (
    "dd if=/dev/zero of=/tmp/x bs=1M count=8 2>/dev/null; (i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done); "
    "touch /tmp/done; sleep 1000"
)


@pytest.fixture
def two(house):
    containers = [house.start("sleep 1000 & sleep 1000") for _ in range(2)]
    yield containers
    for container in containers:
        container.remove(force=True)


def test_processes_are_added_up(house) -> None:
    container = house.start(f"{WORK} & sleep 1000")
    with container.open_root() as root:
        house.eventually(lambda: root.enter("tmp").status("done"))
    first = container.state().pid
    tally = Tally()
    found = tally.sum(first)
    assert found is not None
    processes = [psutil.Process(pid) for pid in list_inside(first)]
    times = [process.cpu_times() for process in processes]
    used = sum(each.user + each.system + each.children_user + each.children_system for each in times)
    assert found.cpu_seconds == pytest.approx(used, abs=0.05) and found.cpu_seconds > 0.05
    assert found.threads == sum(process.num_threads() for process in processes) >= 3
    assert found.write_bytes == sum(process.io_counters().write_bytes for process in processes)
    assert (found.read_bytes, found.write_bytes) == tally.blocks(first)
    shares = sum(process.memory_full_info().pss for process in processes)
    assert found.memory == pytest.approx(shares, rel=0.5)  # who else shares the pages comes and goes
    container.remove(force=True)


def test_an_ended_container_has_no_figures(two) -> None:
    gone = two[0]
    tally = Tally()
    pids = [container.state().pid for container in two]
    assert tally.sum(pids[0]) is not None
    gone.kill()
    assert tally.sum(pids[0]) is None and tally.blocks(pids[0]) == (0, 0)
    tally.renew()
    assert tally.sum(pids[1]) is not None


def test_all_at_one_look(house, two) -> None:
    with house.runtime.meter() as meter:
        states = [state for state in house.runtime.list() if state.id in {container.id for container in two}]
        first = {item.id: item for item in meter.read(states)}
        again = {item.id: item for item in meter.read(states)}
    assert set(first) == set(again) == {container.id for container in two}
    for container in two:
        alone = container.stats()
        told = again[container.id]
        assert told.pids == alone.pids >= 2 and told.memory > 0 and told.name == container.config.name
        assert (told.received_bytes, told.sent_bytes) == (0, 0)
        assert first[container.id].cpu_seconds <= told.cpu_seconds <= alone.cpu_seconds + 0.02


def test_a_network_of_its_own_has_nobody_else(house) -> None:
    """What is told of it without a look: nothing comes in or goes out."""
    container = house.start("sleep 1000")
    lines = Path(f"/proc/{container.state().pid}/net/dev").read_text().splitlines()[2:]
    assert [line.split(":")[0].strip() for line in lines] == ["lo"]
    stats = container.stats()
    assert (stats.received_bytes, stats.sent_bytes) == (0, 0)
    container.remove(force=True)


def test_the_host_s_network_is_not_counted_for_a_container(house) -> None:
    container = house.start("sleep 1000", network="full")
    stats = container.stats()
    assert (stats.received_bytes, stats.sent_bytes) == (None, None)
    container.remove(force=True)
