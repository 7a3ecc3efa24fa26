"""Limits changed while a container runs: by its control group, or told why not."""

from __future__ import annotations

import subprocess
import sys

import pytest

from jupyter_containers.errors import ContainerError, InputError, LimitError
from jupyter_containers.sandbox.cgroup import find_facts, this_host
from jupyter_containers.sandbox.controllers import decide
from jupyter_containers.sandbox.model import Limits

WANTED = {"memory": float(256 << 20), "cpus": 1.0, "pids": 20.0}
ALL = Limits(memory=1, cpus=1, pids=1)
MEANS = decide(ALL, find_facts(ALL)).means
UNASKED = decide(ALL, this_host()).means
"""Where no service manager has to be asked, which is done for limits that take it alone."""
groups = pytest.mark.skipif(
    not all(MEANS.get(name, "").startswith("cgroup") for name in WANTED), reason="this host lets us make no groups"
)


def asked(container) -> dict[str, float]:
    return {row.limit: row.asked for row in container.state().limits}


@groups
def test_new_limits_hold_and_are_told(house):
    container = house.start("sleep 1000", memory=512 << 20, cpus=0.5, pids=10)
    container.update(WANTED)
    assert asked(container) == WANTED
    assert container.stats().memory_limit == 256 << 20
    command = container.exec_argv(["sh", "-c", "for i in $(seq 40); do sleep 5 & done"])
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "fork" in done.stderr
    assert container.stats().pids <= 20
    container.update({"memory": float(1 << 30)})
    assert asked(container)["memory"] == 1 << 30
    container.remove(force=True)


@groups
def test_memory_that_is_in_use_is_not_taken(house):
    container = house.start("x=$(head -c 60000000 /dev/zero | tr '\\0' x); echo ready; sleep 1000; :", memory=512 << 20)
    house.eventually(lambda: "ready" in container.logs(), timeout=300)
    assert container.stats().memory > 48 << 20
    with pytest.raises(LimitError, match="in use"):
        container.update({"pids": 30.0, "memory": float(16 << 20)})
    assert container.poll() is None
    assert asked(container) == {"memory": 512 << 20}
    container.remove(force=True)


@pytest.mark.skipif(
    not UNASKED.get("pids", "").startswith("cgroup"), reason="it has none without a limit that takes one"
)
def test_what_ran_without_a_limit_gets_one_where_it_has_a_group(house):
    container = house.start("sleep 1000")
    container.update({"pids": 30.0})
    assert asked(container) == {"pids": 30}
    container.remove(force=True)


def test_the_maximum_is_not_passed(house):
    container = house.start("sleep 1000", maximum={"pids": 50.0})
    with pytest.raises(InputError, match="limits") as refused:
        container.update({"pids": 51.0})
    assert "administrator" in refused.value.problems[0].cause
    container.kill()
    with pytest.raises(ContainerError, match="does not run"):
        container.update({"pids": 5.0})
    container.remove()


@pytest.mark.skipif(bool(UNASKED.get("memory", "").startswith("cgroup")), reason="this host lets us make groups")
def test_without_a_group_it_says_so(house):
    container = house.start("sleep 1000", pids=50)
    with pytest.raises(LimitError, match="can't be changed while it runs"):
        container.update({"pids": 30.0})
    assert asked(container) == {"pids": 50}
    container.remove(force=True)


def test_the_command(house):
    container = house.start("sleep 1000", pids=50)
    command = [sys.executable, "-m", "jupyter_containers", "update", container.id, "--pids", "40"]
    done = subprocess.run(command, env=house.env, capture_output=True, text=True, check=False)
    if UNASKED.get("pids", "").startswith("cgroup"):
        assert (done.returncode, asked(container)) == (0, {"pids": 40})
    else:
        assert (done.returncode, "can't be changed" in done.stderr) == (1, True), done.stderr
    container.remove(force=True)
