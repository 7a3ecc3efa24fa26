"""What is left of containers when those who keep them are killed: nothing that runs, nothing that holds resources."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

OWNER = """
    import sys, time
    from pathlib import Path
    from jupyter_containers.image.store import Store
    from jupyter_containers.paths import Paths
    from jupyter_containers.runtime.base import ContainerConfig
    from jupyter_containers.runtime.bundled import BundledRuntime

    home, run, image, count, kind, remove = sys.argv[1:]
    paths = Paths(Path(home), Path(run))
    runtime = BundledRuntime(paths, Store(paths.store))
    for number in range(int(count)):
        scratch = paths.runtime / f"k-{number}"
        scratch.mkdir()
        container = runtime.create(ContainerConfig(
            image=image, argv=("sh", "-c", "sleep 1000 & sleep 1000"), kind=kind, die_with_parent=True,
            remove=remove == "yes", scratch=(str(scratch),)))
        container.start()
        print(container.id, container.state().pid, flush=True)
    print("ready", flush=True)
    time.sleep(1000)
"""


def start_owner(
    house, *, count: int = 1, kind: str = "kernel", remove: bool = False
) -> tuple[subprocess.Popen, dict[str, int]]:
    arguments = [house.paths.home, house.paths.runtime, house.image, count, kind, "yes" if remove else "no"]
    owner = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(OWNER), *map(str, arguments)], stdout=subprocess.PIPE, text=True
    )
    found = {}
    for line in owner.stdout:
        if line == "ready\n":
            return owner, found
        container_id, pid = line.split()
        found[container_id] = int(pid)
    raise AssertionError("the owner ended before it was ready")


def groups_of(container_id: str) -> list[Path]:
    found = subprocess.run(
        ["find", "/sys/fs/cgroup", "-type", "d", "-name", f"*jc-{container_id}*"],
        capture_output=True,
        text=True,
        check=False,
    )
    return [Path(line) for line in found.stdout.splitlines()]


@pytest.mark.parametrize(("count", "kind", "remove"), [(3, "kernel", False), (2, "command", True)])
def test_kill_9_of_the_owner_leaves_nothing(house, count: int, kind: str, remove: bool) -> None:
    owner, containers = start_owner(house, count=count, kind=kind, remove=remove)
    owner.kill()
    owner.wait()
    for container_id, pid in containers.items():
        house.eventually(lambda pid=pid: not Path(f"/proc/{pid}").exists(), timeout=10)
        house.eventually(lambda name=container_id: not (house.paths.containers / name).exists(), timeout=10)
        house.eventually(lambda name=container_id: not groups_of(name), timeout=10)
    house.eventually(lambda: not list(house.paths.runtime.glob("k-*")), timeout=10)
    assert not [entry for entry in (house.paths.containers / "names").iterdir() if os.readlink(entry) in containers]


def test_paused_ones_go_with_their_owner(house) -> None:
    owner, containers = start_owner(house, count=2)
    for container_id in containers:
        house.runtime.find(container_id).pause()
    owner.kill()
    owner.wait()
    for container_id, pid in containers.items():
        house.eventually(lambda pid=pid: not Path(f"/proc/{pid}").exists(), timeout=10)
        house.eventually(lambda name=container_id: not (house.paths.containers / name).exists(), timeout=10)
        house.eventually(lambda name=container_id: not groups_of(name), timeout=10)


def test_a_command_that_was_to_stay_stays_as_an_ended_one(house) -> None:
    owner, containers = start_owner(house, kind="command")
    owner.kill()
    owner.wait()
    (container_id,) = containers
    container = house.runtime.find(container_id)
    house.eventually(lambda: container.state().exit_code == 137, timeout=10)
    assert container.state().cause == "its owner was killed"
    house.eventually(lambda: not groups_of(container_id), timeout=10)
    container.remove()


def test_a_killed_reaper_is_replaced_by_reap(house) -> None:
    owner, containers = start_owner(house, kind="kernel")
    reaper = int(
        subprocess.run(
            ["pgrep", "-P", str(owner.pid), "-f", "reaper.py"], capture_output=True, text=True, check=True
        ).stdout
    )
    os.kill(reaper, signal.SIGKILL)
    owner.kill()
    owner.wait()
    (container_id,) = containers
    house.eventually(lambda: not Path(f"/proc/{containers[container_id]}").exists(), timeout=10)
    assert container_id in house.runtime.reap()
    assert not (house.paths.containers / container_id).exists() and not groups_of(container_id)
    for left in house.paths.runtime.glob("k-*"):
        pytest.fail(f"{left} is left")


def test_an_ended_kernel_of_a_killed_owner_is_reaped_and_containers_at_rest_are_not(house) -> None:
    code = """
        import os, sys
        from pathlib import Path
        from jupyter_containers.image.store import Store
        from jupyter_containers.paths import Paths
        from jupyter_containers.runtime.base import ContainerConfig
        from jupyter_containers.runtime.bundled import BundledRuntime

        paths = Paths(Path(sys.argv[1]), Path(sys.argv[2]))
        runtime = BundledRuntime(paths, Store(paths.store))
        for kind, start in (("kernel", True), ("kernel", False), ("command", False), ("command", True)):
            container = runtime.create(
                ContainerConfig(image=sys.argv[3], argv=("true",), kind=kind, die_with_parent=True))
            if start:
                container.start()
                container.wait()
            print(container.id, flush=True)
        os.kill(os.getpid(), 9)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), *map(str, (house.paths.home, house.paths.runtime, house.image))],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    ended, never, created, rested = done.stdout.split()
    house.eventually(lambda: not (house.paths.containers / ended).exists())
    assert never in house.runtime.reap()
    assert not {created, rested} & set(house.runtime.reap())
    assert house.runtime.find(created).state().status == "created"
    for container_id in (created, rested):
        house.runtime.find(container_id).remove()


def test_reap_leaves_alone_what_is_kept(house) -> None:
    container = house.start("sleep 1000")
    detached = house.start("sleep 1000", die_with_parent=False)
    assert not {container.id, detached.id} & set(house.runtime.reap())
    assert container.state().status == detached.state().status == "running"
    container.remove(force=True)
    detached.remove(force=True)


def test_a_detached_container_outlives_its_starter(house) -> None:
    code = """
        import sys
        from pathlib import Path
        from jupyter_containers.image.store import Store
        from jupyter_containers.paths import Paths
        from jupyter_containers.runtime.base import ContainerConfig
        from jupyter_containers.runtime.bundled import BundledRuntime

        paths = Paths(Path(sys.argv[1]), Path(sys.argv[2]))
        container = BundledRuntime(paths, Store(paths.store)).create(
            ContainerConfig(image=sys.argv[3], argv=("sh", "-c", "echo out; sleep 0.5; echo more; exit 5")))
        container.start()
        print(container.id)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), *map(str, (house.paths.home, house.paths.runtime, house.image))],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    container = house.runtime.find(done.stdout.strip())
    assert container.wait(30) == 5
    assert (container.logs(), container.state().cause) == ("out\nmore\n", "exit code 5")
    container.remove()


def test_a_detached_container_dies_with_its_monitor_and_is_reaped(house) -> None:
    container = house.start("sleep 1000", die_with_parent=False, remove=True)
    kept = container._folder.kept()
    os.kill(kept.keeper.pid, signal.SIGKILL)
    house.eventually(lambda: not Path(f"/proc/{kept.pid}").exists(), timeout=10)
    house.eventually(lambda: container.id in house.runtime.reap(), timeout=10)
    assert not (house.paths.containers / container.id).exists() and not groups_of(container.id)


def test_the_end_of_a_detached_container_that_removes_itself_can_be_read(house) -> None:
    container = house.start("sleep 0.3; exit 6", die_with_parent=False, remove=True)
    assert container.wait(30) == 6
    house.eventually(lambda: not (house.paths.containers / container.id).exists())


def test_the_monitor_is_small(house) -> None:
    container = house.start("sleep 1000", die_with_parent=False)
    kept = container._folder.kept()

    def private() -> int:
        rows = Path(f"/proc/{kept.keeper.pid}/smaps_rollup").read_text().splitlines()
        return sum(int(row.split()[1]) for row in rows if row.startswith("Private_"))

    house.eventually(lambda: "monitor.py" in Path(f"/proc/{kept.keeper.pid}/cmdline").read_text())
    house.eventually(lambda: private() < 12 * 1024)
    container.remove(force=True)


def test_errors_of_a_detached_start_are_the_callers(house) -> None:
    from jupyter_containers.errors import ContainerError

    container = house.create("/no/such", die_with_parent=False)
    with pytest.raises(ContainerError, match="/no/such"):
        container.start()
    container.remove()
