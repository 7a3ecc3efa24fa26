"""What a fork mounts: decided here, done elsewhere (tests/integration/sandbox/test_isolation.py)."""

from __future__ import annotations

from pathlib import Path

import pytest

from jupyter_containers.errors import HostError
from jupyter_containers.sandbox.bwrap import Host
from jupyter_containers.sandbox.filters import sections
from jupyter_containers.sandbox.fork.inside import _Root
from jupyter_containers.sandbox.fork.plan import make_plan
from jupyter_containers.sandbox.model import Bind, Overlay, Sandbox, Tmpfs, Volume

HOST = Host(masked=("/proc/kcore",), read_only=("/proc/sys",), message_queues=True)


def sandbox(tmp_path: Path, **options: object) -> Sandbox:
    store = tmp_path / "store"
    root = Overlay((store / "low", store / "high"), store / "upper", store / "work")
    return Sandbox(argv=("python",), root=root, store=store)._replace(**options)


def test_the_root_comes_first_and_every_source_is_attached_once(tmp_path: Path) -> None:
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "file").touch()
    plan = make_plan(
        sandbox(
            tmp_path,
            binds=(
                Bind(tmp_path / "notebooks", "/work/notebooks", writable=True, resolved=True),
                Bind(tmp_path / "file", "/work/file"),
                Bind(tmp_path / "missing", "/work/missing", optional=True),
            ),
            volumes=(Volume("/data", tmp_path / "v", tmp_path / "w"),),
            tmpfs=(Tmpfs("/work", 1 << 20),),
            files={"/etc/hosts": b"127.0.0.1 localhost\n"},
        ),
        HOST,
    )
    store = tmp_path / "store"
    assert plan.sources[0] == (
        "overlay", [str(store / "low"), str(store / "high")], str(store / "upper"), str(store / "work")
    )  # fmt: skip
    attached = {step[2]: (plan.sources[step[1]], step[3]) for step in plan.steps if step[0] == "attach"}
    assert len(attached) == len(plan.sources)
    assert attached["/work/notebooks"] == (("bind", str(tmp_path / "notebooks"), True, False, True), True)
    assert attached["/work/file"] == (("bind", str(tmp_path / "file"), False, False, False), False)
    assert "/work/missing" not in attached
    names = [step[:2] for step in plan.steps]
    assert names[0] == ("attach", 0)
    assert names.index(("tmpfs", "/work")) < names.index(("attach", attached_index(plan, "/work/notebooks")))
    assert plan.steps[-1] == ("file", "/etc/hosts", b"127.0.0.1 localhost\n")


def attached_index(plan: object, target: str) -> int:
    return next(step[1] for step in plan.steps if step[0] == "attach" and step[2] == target)  # type: ignore[attr-defined]


def test_every_step_is_one_that_a_fork_knows(tmp_path: Path) -> None:
    steps = make_plan(sandbox(tmp_path, tmpfs=(Tmpfs("/a"),), files={"/b": b""}), HOST).steps
    assert {step[0] for step in steps} <= set(vars(_Root))


def test_system_folders_of_one_part_are_bound_and_of_more_are_overlays(tmp_path: Path) -> None:
    root = sandbox(tmp_path).root._replace(
        read_only={"/usr": (Path("/l/usr"), Path("/h/usr")), "/opt": (Path("/l/opt"),)}
    )
    sources = make_plan(sandbox(tmp_path, root=root), Host()).sources
    assert sources[1:] == (("overlay", ["/l/usr", "/h/usr"], "", ""), ("bind", "/l/opt", False, False, False))


def test_what_can_not_be_forked_is_told(tmp_path: Path) -> None:
    with pytest.raises(HostError, match="root inside"):
        make_plan(sandbox(tmp_path, uid=0), Host())
    with pytest.raises(HostError, match="writable layer"):
        make_plan(sandbox(tmp_path, root=Overlay((tmp_path,))), Host())
    with pytest.raises(HostError, match="missing"):
        make_plan(sandbox(tmp_path, binds=(Bind(tmp_path / "missing", "/x"),)), Host())


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_a_fork_server_may_no_more_than_make_namespaces(machine: str) -> None:
    """Its filter is that of containers but for six calls."""
    (container,), (server,) = sections("container", machine), sections("forkserver", machine)
    missing = {rule.name for rule in container.rules} - {rule.name for rule in server.rules}
    assert missing == {"mount", "move_mount", "pivot_root", "sethostname", "umount2", "unshare"}
    assert set(server.rules) <= set(container.rules)
