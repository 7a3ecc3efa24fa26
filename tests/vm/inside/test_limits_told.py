"""Who enforces what on this machine: nothing that was asked for may be left out."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from jupyter_containers.sandbox.cgroup import find_facts, find_groups
from jupyter_containers.sandbox.controllers import decide
from jupyter_containers.sandbox.model import Limits

ALL = Limits(memory=64 << 20, cpus=0.5, pids=20)


def test_control_groups_v2_enforce_every_limit():
    decision = decide(ALL, find_facts(ALL))
    print(Path("/proc/self/cgroup").read_text().strip(), dict(decision.means))
    assert decision.unenforced == ()
    assert set(decision.means.values()) <= {"cgroup v2", "cgroup v2 (systemd scope)"}


def test_a_command_executed_later_counts_as_well(house):
    container = house.start("sleep 60", memory=64 << 20, pids=20)
    argv = container.exec_argv(["cat", "/proc/self/cgroup"])
    found = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert found.returncode == 0, found.stderr
    group = next(group for group in find_groups() if group.name.endswith(container.id))
    assert group.stats().memory_limit == 64 << 20
    eater = container.exec_argv(["sh", "-c", "x=0123456789; while :; do x=$x$x; done"])
    assert subprocess.run(eater, capture_output=True, timeout=60, check=False).returncode == 137
    assert group.stats().oom_kills == 1
    container.remove(force=True)
    assert not any(folder.exists() for folder in group.folders.values())


def test_nothing_is_left_of_an_owner_that_is_killed(house, tmp_path):
    """The scope, its holder and the groups in it go with the process that asked for them."""
    program = tmp_path / "owner.py"
    program.write_text(
        f"""import sys, time
from jupyter_containers.paths import Paths
from jupyter_containers.image.store import Store
from jupyter_containers.runtime.base import ContainerConfig
from jupyter_containers.runtime.bundled import BundledRuntime
from pathlib import Path
paths = Paths(Path({str(house.paths.home)!r}), Path({str(house.paths.runtime)!r}))
runtime = BundledRuntime(paths, Store(paths.store))
container = runtime.create(ContainerConfig(image={house.image!r}, argv=("sleep", "600"), memory=64 << 20,
                                           die_with_parent=True, kind="kernel"))
container.start()
print(container.id, flush=True)
time.sleep(600)
"""
    )
    owner = subprocess.Popen([sys.executable, str(program)], stdout=subprocess.PIPE, text=True)
    assert owner.stdout is not None
    name = owner.stdout.readline().strip()
    (group,) = [group for group in find_groups() if group.name.endswith(name)]
    (scope,) = {folder.parents[1] for folder in group.folders.values()}
    assert scope.name.endswith(".scope") and scope.exists()
    owner.kill()
    owner.wait()
    house.eventually(lambda: not scope.exists(), timeout=30)
