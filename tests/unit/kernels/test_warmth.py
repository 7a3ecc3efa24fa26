"""How a kernel is to be started, and what it can be told later."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from jupyter_containers.kernels.launch import Target
from jupyter_containers.kernels.options import KernelOptions
from jupyter_containers.kernels.warmth import Choice, choose_start, late_code, split_late
from jupyter_containers.runtime.base import ContainerConfig, Warm
from jupyter_containers.spec.model import Kernel

PYTHON = Target(name="x", image="sha256:0")
R = Target(name="x", image="sha256:0", kernel=Kernel(language="R"))
WARM = Warm(python="python3", module="m")


def config(**fields) -> ContainerConfig:
    return ContainerConfig(**{"image": "sha256:0", "argv": ("k",), "warm": WARM, **fields})


def options(**fields) -> KernelOptions:
    return KernelOptions(**{"image": "x", "warm": "on", **fields})


def test_nothing_is_said_where_nothing_was_asked_for():
    assert choose_start(PYTHON, options(warm="off"), config(warm=None)) == Choice("fresh")


def test_a_fork_where_it_can_be_one():
    assert choose_start(PYTHON, options(), config()) == Choice("fork", waits=True)


@pytest.mark.parametrize(
    ("target", "asked", "made", "reason"),
    [
        (PYTHON, {"isolate": True}, {}, "share nothing"),
        (PYTHON, {}, {"outlive": 60}, "outlive"),
        (PYTHON, {"entrypoint": True}, {"warm": None}, "Entrypoint"),
        (Target(name="x", image="y", layers=(("sha256:1", "/kernel"),)), {}, {"warm": None}, "an injected kernel"),
        (R, {}, {"warm": None}, "a kernel of R can't be a fork"),
        (Target(name="x", image="y", kernel=Kernel(argv=("/k",))), {}, {"warm": None}, "its spec's own"),
    ],
)
def test_the_pool_where_it_can_be_none(target, asked, made, reason):
    kind, told, _ = choose_start(target, options(**asked), config(**made))
    assert kind == "pool" and reason in told


def test_what_the_runtime_refuses_is_in_the_pool():
    assert choose_start(PYTHON, options(), config(), refused="threads") == Choice("pool", "threads", waits=True)


@pytest.mark.parametrize(
    ("asked", "made", "restored", "reason"),
    [
        ({"restart": "keep"}, {}, False, "outlives it"),
        ({"pool": 0}, {}, False, "`pool` is 0"),
        ({}, {}, True, "has saved"),
        ({}, {"gpus": 1}, False, "GPUs"),
        ({}, {"outlive": 9, "time": 60}, False, "its time counts"),
    ],
)
def test_what_can_be_neither_is_told_why(asked, made, restored, reason):
    kind, told, waits = choose_start(R, options(**asked), config(warm=None, **made), restored=restored)
    assert kind == "fresh" and not waits and ", and none can wait in the pool: " in told and reason in told


def test_no_fork_waits_where_none_is_to():
    assert choose_start(PYTHON, options(pool=0), config()) == Choice("fork")


def test_only_what_a_language_can_be_told_is_late():
    env = {"JPY_SESSION_NAME": "/n.ipynb", "TZ": "UTC"}
    assert split_late("Python", env) == ({"TZ": "UTC"}, {"JPY_SESSION_NAME": "/n.ipynb"})
    assert split_late("julia", env) == (env, {})


@pytest.mark.parametrize("name", ["/a b.ipynb", '/it\'s "so"\\n.ipynb', "/ü\n.ipynb"])
def test_a_python_kernel_is_told_its_notebook_and_keeps_no_trace(name):
    code = late_code("python", {"JPY_SESSION_NAME": name})
    program = (
        f"scope = {{}}; exec({code!r}, scope); import os\n"
        f"assert os.environ['JPY_SESSION_NAME'] == {name!r}, os.environ['JPY_SESSION_NAME']\n"
        f"assert scope.pop('__session__') == {name!r} and set(scope) == {{'__builtins__'}}"
    )
    env = {key: value for key, value in os.environ.items() if key != "JPY_SESSION_NAME"}
    subprocess.run([sys.executable, "-c", program], check=True, env=env)
