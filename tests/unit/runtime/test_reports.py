from __future__ import annotations

from jupyter_containers.runtime.base import ContainerConfig, ContainerState
from jupyter_containers.runtime.limits import report_limits
from jupyter_containers.runtime.usage import Sample
from jupyter_containers.sandbox.cgroup import Group
from jupyter_containers.sandbox.controllers import Enforcement
from jupyter_containers.sandbox.model import Limits


def config(**fields) -> ContainerConfig:
    return ContainerConfig(image="sha256:" + "0" * 64, argv=("true",), **fields)


def test_each_limit_is_told_with_what_enforces_it() -> None:
    limits = Limits(memory=1 << 29, pids=10)
    group = Group(
        "jc-x", limits, Enforcement(means={"memory": "cgroup v2", "pids": "rlimit"}, notes={"pids": "why"}), {}
    )
    rows = {row.limit: row for row in report_limits(config(memory=1 << 29, pids=10, disk=5, gpus=2), group)}
    assert list(rows) == ["memory", "pids", "disk", "gpus"]
    assert rows["memory"].enforced_by == "cgroup v2" and rows["memory"].asked == float(1 << 29)
    assert (rows["pids"].enforced_by, rows["pids"].note) == ("rlimit", "why")
    assert rows["disk"].enforced_by == "watcher" and rows["gpus"].enforced_by == "device nodes"


def test_a_limit_that_nothing_enforces_is_told_as_such() -> None:
    (row,) = report_limits(config(cpus=1.5, accept_unenforced=("cpus",)), None)
    assert (row.limit, row.enforced_by) == ("cpus", "") and "not enforced" in row.note
    assert report_limits(config(), None) == ()


def test_cpu_per_cent_is_a_difference() -> None:
    def sample(at: float, cpu: float) -> Sample:
        return Sample(at, cpu, 1, None, None, 1, 0, 0)

    first = sample(10.0, 1.0)
    assert first.share(None) == 0
    assert sample(12.0, 2.0).share(first) == 50
    assert sample(12.0, 0.5).share(first) == 0


def test_states_in_words() -> None:
    from jupyter_containers.cli.containers_list import describe

    def state(**fields) -> ContainerState:
        base = {
            "id": "0",
            "name": "n",
            "image": "i",
            "image_name": "",
            "kind": "command",
            "argv": ("x",),
            "created_at": 0.0,
        }
        return ContainerState(**base, **fields)

    assert describe(state(status="running", started_at=100.0), now=400.0) == "running 5m"
    assert (
        describe(state(status="exited", exit_code=3, ended_at=390.0, cause="exit code 3"), now=400.0)
        == "exited (3) 10s ago"
    )
    assert (
        describe(state(status="exited", exit_code=137, ended_at=390.0, cause="out of memory"), now=400.0)
        == "exited (137) 10s ago: out of memory"
    )
    assert describe(state(status="created"), now=1.0) == "created"
