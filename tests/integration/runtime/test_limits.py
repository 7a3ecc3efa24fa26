"""Limits that are enforced, and those that this host can't enforce."""

from __future__ import annotations

import os
import resource

import pytest

from jupyter_containers.errors import HostError, LimitError
from jupyter_containers.sandbox.cgroup import find_facts
from jupyter_containers.sandbox.controllers import decide
from jupyter_containers.sandbox.model import Limits

ALL = Limits(memory=1 << 26, cpus=1.0, pids=10)
UNENFORCED = decide(ALL, find_facts(ALL)).unenforced
EAT = "x=0123456789; while :; do x=$x$x; done"


@pytest.mark.skipif("memory" in UNENFORCED, reason="this host has no control group for memory")
@pytest.mark.parametrize("detached", [False, True])
def test_out_of_memory_is_told_with_its_figures(house, detached: bool) -> None:
    container = house.start(EAT, memory=32 << 20, die_with_parent=not detached)
    assert container.wait(60) == 137
    cause = container.state().cause
    assert cause.startswith("out of memory (limit 32.0 MiB, peak 3")
    report = {item.limit: item.enforced_by for item in container.state().limits}
    assert report["memory"].startswith("cgroup v")
    container.remove()


@pytest.mark.skipif("memory" in UNENFORCED, reason="this host has no control group for memory")
def test_a_child_that_ran_out_of_memory_is_told_too(house) -> None:
    container = house.start(f"sh -c '{EAT}'; exit 4", memory=32 << 20)
    assert container.wait(60) == 4
    assert container.cause.startswith("exit code 4; 1 of its processes killed: out of memory (limit 32.0 MiB")
    container.remove()


@pytest.mark.skipif("memory" not in UNENFORCED, reason="this host can limit memory")
def test_a_limit_that_cannot_be_enforced_refuses_the_start(house) -> None:
    container = house.create("true", memory=32 << 20)
    with pytest.raises(LimitError, match="memory"):
        container.start()
    assert container.state().status == "created"
    container.remove()
    accepted = house.create("true", memory=256 << 20, accept_unenforced=("memory",))
    accepted.start()
    assert accepted.wait(30) == 0
    (report,) = accepted.state().limits
    assert report.limit == "memory" and (report.enforced_by == "rlimit" or report.note)
    accepted.remove()


@pytest.mark.skipif("pids" in UNENFORCED, reason="this host can't limit processes")
def test_processes_are_limited(house) -> None:
    code, text = house.run("for i in 1 2 3 4 5 6 7 8 9 10 11 12; do sleep 2 & done; echo all", pids=8)
    assert "all" not in text or code != 0


def test_more_gpus_than_there_are_refuse_the_start(house) -> None:
    container = house.create("true", gpus=99)
    with pytest.raises(LimitError, match="99 GPU"):
        container.start()
    container.remove()


@pytest.mark.parametrize("left", [2, 7])
def test_too_few_open_files_are_told_and_leave_nothing(house, left: int) -> None:
    house.start("true").wait(60)  # what is opened once is open
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = max(map(int, os.listdir("/proc/self/fd")))
    fillers = [os.open("/dev/null", os.O_RDONLY) for _ in range(highest + 1 - len(os.listdir("/proc/self/fd")))]
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(map(int, os.listdir("/proc/self/fd"))) + 1 + left, hard))
    started = []
    try:
        with pytest.raises(HostError, match="no more containers: this process has as many files open") as told:
            for _ in range(10):
                started.append(house.start("sleep 60"))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for filler in fillers:
            os.close(filler)
    assert "ulimit -n" in told.value.hint
    assert {state.id for state in house.runtime.list()} == {container.id for container in started}
    for container in started:
        container.remove(force=True)
    assert house.run("echo again") == (0, "again\n")
