"""What modules of `[kernel] preload` do to forks: with some there are none, and with none have two the same chance."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from jupyter_client.manager import KernelManager
from startkinds import how, run

from jupyter_containers.build.ensure import ensure_built
from jupyter_containers.image.store import Store
from jupyter_containers.kernels import kernelspec, pool
from jupyter_containers.paths import Paths
from jupyter_containers.runtime import warm
from jupyter_containers.runtime.bundled import BundledRuntime
from jupyter_containers.starts import Starts

pytestmark = [pytest.mark.network, pytest.mark.slow]

MODULES = {
    "has_thread": "import threading\nthreading.Thread(target=threading.Event().wait, name='saver').start()",
    "has_nameless_thread": "import _thread, time\n_thread.start_new_thread(time.sleep, (1e6,))",
    "has_context": "import zmq\nsocket = zmq.Context.instance().socket(zmq.PUB)",
    "has_drawn": """
import random, ssl, tempfile, uuid
import numpy

def draw():
    numbers = [random.random(), random.Random().random(), numpy.random.rand(), numpy.random.default_rng().random()]
    names = [tempfile.mktemp(), str(uuid.uuid4()), str(uuid.uuid1())]
    return [*map(str, numbers), *names, ssl.RAND_bytes(8).hex()]

first = draw()
""",
}
SPEC = """\
name = "{name}"

[packages]
pip = ["ipykernel", "ipywidgets", "matplotlib", "numpy", "pip"]

[build]
copy = [{{ source = "{module}.py", target = "modules/{module}.py" }}]

[kernel]
preload = ["{module}"]
env = {{ PYTHONPATH = "/home/jovyan/modules" }}
"""
"""Of the packages that the other tests have, so that there is a layer of one file to be built."""


@pytest.fixture
def preloading(user: Paths, environment, folder, launched, monkeypatch):
    """Start a kernel that forks, of an environment which preloads one of :data:`MODULES`."""
    monkeypatch.setattr(pool, "QUIET", 3600.0)
    monkeypatch.setattr(pool, "QUIET_FORK", 3600.0)

    def start(module: str) -> KernelManager:
        name = f"preload-{module.replace('_', '-')}"
        place = user.home / "specs" / name
        place.mkdir(parents=True, exist_ok=True)
        for file, text in {f"{module}.py": MODULES[module], "jupyter-container.toml": SPEC}.items():
            text = text if text is not SPEC else SPEC.format(name=name, module=module)
            if not (place / file).exists() or (place / file).read_text() != text:
                (place / file).write_text(text)
        ensure_built(place, paths=user)
        kernelspec.install(name, paths=user, warm="wait")
        manager = KernelManager(kernel_name=f"jc-{name}")
        manager.start_kernel(cwd=str(folder))
        launched.append(manager)
        return manager

    yield start
    warm.close_servers()


@pytest.mark.parametrize(
    ("module", "reason"),
    [
        ("has_thread", "what is imported has started threads, which no fork has: saver"),
        ("has_nameless_thread", "what is imported has started threads, which no fork has: 1 without a name"),
        ("has_context", "what is imported has left a ZMQ context, which no fork can use"),
    ],
)
def test_what_a_fork_would_not_have_is_no_fork_and_why_is_told(preloading, user, module, reason) -> None:
    told = f"the fork server could not get ready: RuntimeError('{reason}')"
    first, second = preloading(module), preloading(module)
    assert (how(first), how(second)) == (f"fresh: {told}", f"pool: {told}")
    container = second.provisioner.container
    done = subprocess.run(
        [sys.executable, "-m", "jupyter_containers", "inspect", container.id],
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout)[0]["state"]["start"] == f"pool: {told}"
    runtime = BundledRuntime(user, Store(user.store))
    found = Starts(user, runtime.store, runtime=lambda: runtime).find(f"preload-{module.replace('_', '-')}")
    assert found.last == f"pool: {told}"
    assert run(second, f"import sys; print({module!r} in sys.modules); import {module}") == "False"


def test_forks_share_no_chance_though_what_they_come_from_has_drawn(preloading) -> None:
    code = "import has_drawn; print(*has_drawn.first, *has_drawn.draw())"
    one, other = preloading("has_drawn"), preloading("has_drawn")
    assert how(one) == how(other) == "fork"
    drawn = [run(manager, code).split() for manager in (one, other)]
    before, after = [set(each[:8]) for each in drawn], [set(each[8:]) for each in drawn]
    assert before[0] == before[1]  # it was there before the fork
    assert len(after[0]) == len(after[1]) == 8
    assert not after[0] & after[1]
    assert not (after[0] | after[1]) & before[0]
