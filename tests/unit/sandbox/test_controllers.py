"""Which control groups can be had, decided on the texts of real hosts."""

from __future__ import annotations

from pathlib import Path

import pytest

from jupyter_containers.errors import LimitError
from jupyter_containers.sandbox import cgroup
from jupyter_containers.sandbox.controllers import Facts, Hierarchy, decide, find_hierarchies, remedy
from jupyter_containers.sandbox.model import Limits
from jupyter_containers.sandbox.usage import Gauge

ALL = Limits(memory=512 << 20, cpus=1.5, pids=100)

DEBIAN_12 = """\
22 29 0:20 / /sys rw,nosuid,nodev,noexec,relatime shared:7 - sysfs sysfs rw
26 22 0:23 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime shared:9 - cgroup2 cgroup2 rw,nsdelegate
"""
HYBRID = """\
30 25 0:26 / /sys/fs/cgroup ro,nosuid,nodev,noexec shared:9 - tmpfs tmpfs ro,mode=755
31 30 0:27 / /sys/fs/cgroup/unified rw,nosuid shared:10 - cgroup2 cgroup2 rw,nsdelegate
32 30 0:28 / /sys/fs/cgroup/systemd rw,nosuid shared:11 - cgroup cgroup rw,xattr,name=systemd
36 30 0:32 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid shared:15 - cgroup cgroup rw,cpu,cpuacct
37 30 0:33 / /sys/fs/cgroup/memory rw,nosuid shared:16 - cgroup cgroup rw,memory
38 30 0:34 / /sys/fs/cgroup/pids rw,nosuid shared:17 - cgroup cgroup rw,pids
"""
HYBRID_OWN = """\
12:pids:/user.slice/user-1000.slice/session-3.scope
11:memory:/user.slice/user-1000.slice
4:cpu,cpuacct:/user.slice
1:name=systemd:/user.slice/user-1000.slice/session-3.scope
0::/user.slice/user-1000.slice/session-3.scope
"""
IN_DOCKER = "700 699 0:33 /docker/0123abc /sys/fs/cgroup/memory ro,nosuid - cgroup cgroup rw,memory\n"


def nothing(path: Path) -> str:
    return ""


def everywhere(path: Path) -> bool:
    return True


def test_v2() -> None:
    texts = {"/sys/fs/cgroup/user.slice/cgroup.subtree_control": "cpu memory pids\n"}
    (found,) = find_hierarchies(DEBIAN_12, "0::/user.slice\n", read=lambda path: texts[str(path)], writable=everywhere)
    assert found == Hierarchy(2, Path("/sys/fs/cgroup/user.slice"), frozenset({"cpu", "memory", "pids"}), True)


def test_hybrid() -> None:
    found = find_hierarchies(HYBRID, HYBRID_OWN, read=nothing, writable=everywhere)
    by_controller = {name: each.own for each in found if each.version == 1 for name in each.controllers}
    assert by_controller["memory"] == Path("/sys/fs/cgroup/memory/user.slice/user-1000.slice")
    assert by_controller["cpu"] == by_controller["cpuacct"] == Path("/sys/fs/cgroup/cpu,cpuacct/user.slice")
    (unified,) = [each for each in found if each.version == 2]
    assert unified.controllers == frozenset()


def test_a_container_sees_its_own_group_as_the_root() -> None:
    (found,) = find_hierarchies(IN_DOCKER, "5:memory:/docker/0123abc\n", read=nothing, writable=everywhere)
    assert found.own == Path("/sys/fs/cgroup/memory")


def test_names_with_spaces() -> None:
    text = r"36 30 0:32 / /mnt/a\040b rw - cgroup cgroup rw,memory" + "\n"
    (found,) = find_hierarchies(text, "5:memory:/\n", read=nothing, writable=everywhere)
    assert found.own == Path("/mnt/a b")


def v1(*controllers: str, writable: bool = True) -> tuple[Hierarchy, ...]:
    return tuple(Hierarchy(1, Path("/cg", name), frozenset({name}), writable) for name in controllers)


def v2(*controllers: str, writable: bool = True) -> Hierarchy:
    return Hierarchy(2, Path("/cg2"), frozenset(controllers), writable)


WAY_IN = ("/usr/bin/systemd-run", "--user", "--scope", "--quiet", "--collect", "--")


def delegated(*controllers: str, at: Path = Path("/cg2/user/jc.scope")) -> Hierarchy:
    return Hierarchy(2, at, frozenset(controllers), True)


def test_an_own_v2_group_comes_first() -> None:
    facts = Facts((v2("memory", "cpu", "pids"), *v1("memory")), delegated("memory"), WAY_IN)
    assert set(decide(ALL, facts).means.values()) == {"cgroup v2"}
    assert decide(ALL, facts).parents == {"unified": Path("/cg2")}


def test_then_systemd_for_what_it_can_delegate() -> None:
    facts = Facts((v2(writable=False),), delegated("memory", "pids"), WAY_IN)
    decision = decide(ALL, facts)
    assert decision.means == {"memory": "cgroup v2 (systemd scope)", "pids": "cgroup v2 (systemd scope)"}
    assert decision.parents == {"unified": Path("/cg2/user/jc.scope")}
    assert decision.way_in == WAY_IN
    assert decision.unenforced == ("cpus",)
    assert "no cpu controller" in decision.notes["cpus"]
    text = remedy(decision.unenforced, facts)
    assert "Delegate=cpu" in text
    assert "--accept-unenforced cpus" in text
    assert 'c.ContainerProvisioner.accept_unenforced = ["cpus"]' in text


def test_v1_beside_an_empty_v2() -> None:
    decision = decide(ALL, Facts((v2(), *v1("memory", "cpu", "cpuacct", "pids", "freezer", "blkio", "devices"))))
    assert decision.means == dict.fromkeys(("memory", "cpus", "pids"), "cgroup v1")
    assert set(decision.parents) == {"memory", "cpu", "cpuacct", "pids", "freezer", "blkio"}


def test_figures_are_kept_without_a_limit() -> None:
    decision = decide(Limits(), Facts(v1("memory", "cpu", "cpuacct", "freezer")))
    assert set(decision.parents) == {"memory", "cpuacct", "freezer"}
    assert decision.means == {}


def test_groups_of_others_do_not_count() -> None:
    decision = decide(ALL, Facts(v1("memory", "cpu", "pids", writable=False)))
    assert decision.parents == {}
    assert decision.means == {"memory": "rlimit", "pids": "rlimit"}
    assert decision.unenforced == ("memory", "cpus")  # rlimit on memory is less than what was asked for


def test_old_kernels_count_processes_per_user() -> None:
    assert "pids" in decide(ALL, Facts(pids_per_namespace=False)).unenforced


def test_a_group_in_a_scope_is_one_like_any_other(tmp_path: Path) -> None:
    (tmp_path / "cgroup.subtree_control").write_text("cpu memory pids\n")
    facts = Facts((), delegated("memory", "cpu", "pids", at=tmp_path), WAY_IN)
    group = cgroup.make_group("jc-0123", ALL, facts=facts)
    assert group is not None
    assert group.prefix == WAY_IN
    folder = tmp_path / "jupyter-containers/jc-0123"
    assert (folder / "memory.max").read_text() == "536870912"
    assert group.joins == (folder / "cgroup.procs",)
    assert [row.enforced_by for row in group.report()] == ["cgroup v2 (systemd scope)"] * 3
    restored = cgroup.restore_group(group.describe())
    assert restored.describe() == group.describe()
    assert restored.prefix == WAY_IN


def test_a_scope_that_is_there_is_joined_without_a_limit_too() -> None:
    decision = decide(Limits(), Facts((), delegated("memory"), WAY_IN))
    assert decision.parents == {"unified": Path("/cg2/user/jc.scope")}
    assert decision.way_in == WAY_IN
    assert decision.means == {}


class TestFiles:
    """The files that are written, in folders that stand for hierarchies."""

    def test_v2(self, tmp_path: Path) -> None:
        (tmp_path / "cgroup.subtree_control").write_text("cpu memory pids\n")
        facts = Facts((Hierarchy(2, tmp_path, frozenset({"cpu", "memory", "pids"}), True),))
        group = cgroup.make_group("jc-1", ALL, facts=facts)
        assert group is not None
        folder = tmp_path / "jupyter-containers/jc-1"
        assert (folder / "memory.max").read_text() == "536870912"
        assert (folder / "cpu.max").read_text() == "150000 100000"
        assert (folder / "pids.max").read_text() == "100"
        assert not (folder / "memory.swap.max").exists()  # no swap accounting on this host
        assert (folder.parent / "cgroup.subtree_control").read_text() == "+cpu +memory +pids"
        assert group.joins == (folder / "cgroup.procs",)
        assert [row.enforced_by for row in group.report()] == ["cgroup v2"] * 3

    def test_v1(self, tmp_path: Path) -> None:
        for name in ("memory", "cpu", "pids"):
            (tmp_path / name).mkdir()
        facts = Facts(tuple(Hierarchy(1, tmp_path / n, frozenset({n}), True) for n in ("memory", "cpu", "pids")))
        group = cgroup.make_group("jc-1", ALL, facts=facts)
        assert group is not None
        own = {name: tmp_path / name / "jupyter-containers/jc-1" for name in ("memory", "cpu", "pids")}
        assert (own["memory"] / "memory.limit_in_bytes").read_text() == "536870912"
        assert (own["cpu"] / "cpu.cfs_quota_us").read_text() == "150000"
        assert (own["pids"] / "pids.max").read_text() == "100"
        assert group.joins == tuple(own[name] / "tasks" for name in group.folders)

    def test_a_failure_leaves_nothing_and_is_told(self, tmp_path: Path) -> None:
        facts = Facts((Hierarchy(1, tmp_path / "gone", frozenset({"memory"}), True),))
        with pytest.raises(LimitError, match="gone"):
            cgroup.make_group("jc-1", Limits(memory=1 << 20), facts=facts)
        assert list(tmp_path.iterdir()) == []


def test_figures_of_v2(tmp_path: Path) -> None:
    for name, text in {
        "memory.current": "1000\n", "memory.max": "max\n", "memory.peak": "2000\n",
        "memory.events": "low 0\nhigh 0\nmax 3\noom 1\noom_kill 2\n", "pids.current": "7\n",
        "cpu.stat": "usage_usec 1500000\nuser_usec 1\n",
        "io.stat": "8:0 rbytes=10 wbytes=20 rios=1\n8:16 rbytes=1 wbytes=2\n",
    }.items():  # fmt: skip
        (tmp_path / name).write_text(text)
    usage = Gauge({"unified": tmp_path}).read()
    assert (usage.memory, usage.memory_limit, usage.memory_peak, usage.oom_kills) == (1000, None, 2000, 2)
    assert (usage.cpu_seconds, usage.pids, usage.read_bytes, usage.write_bytes) == (1.5, 7, 11, 22)


def test_figures_of_v1(tmp_path: Path) -> None:
    for name, text in {
        "memory/memory.usage_in_bytes": "1000\n", "memory/memory.limit_in_bytes": "9223372036854771712\n",
        "memory/memory.max_usage_in_bytes": "2000\n",
        "memory/memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n",
        "pids/pids.current": "7\n", "cpuacct/cpuacct.usage": "1500000000\n",
        "blkio/blkio.throttle.io_service_bytes_recursive": "8:0 Read 10\n8:0 Write 20\n8:0 Total 30\nTotal 30\n",
    }.items():  # fmt: skip
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    usage = Gauge({name: tmp_path / name for name in ("memory", "pids", "cpuacct", "blkio")}).read()
    assert (usage.memory, usage.memory_limit, usage.memory_peak, usage.oom_kills) == (1000, None, 2000, 2)
    assert (usage.cpu_seconds, usage.pids, usage.read_bytes, usage.write_bytes) == (1.5, 7, 10, 20)


def test_what_is_not_counted_is_none(tmp_path: Path) -> None:
    assert Gauge({"unified": tmp_path}).read().memory is None
    assert Gauge({}).read().cpu_seconds is None
