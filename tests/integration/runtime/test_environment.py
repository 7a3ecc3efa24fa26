"""Containers of an environment that was really built: Debian, Python, a virtual environment."""

from __future__ import annotations

import pytest

from jupyter_containers.image.store import Store
from jupyter_containers.runtime.base import ContainerConfig
from jupyter_containers.runtime.bundled import BundledRuntime

pytestmark = [pytest.mark.network, pytest.mark.slow]


@pytest.fixture
def run(shared_home, small_environment):
    runtime = BundledRuntime(shared_home, Store(shared_home.store))

    def call(*argv: str, **fields: object) -> tuple[int, str]:
        values: dict[str, object] = {"image": small_environment.image.digest, "die_with_parent": True, **fields}
        container = runtime.create(ContainerConfig(argv=argv, **values))
        try:
            container.start()
            return container.wait(60), container.logs()
        finally:
            container.remove(force=True)

    return call


def test_its_python_and_packages(run) -> None:
    code, text = run("python", "-c", "import six, sys; print(six.__name__, sys.prefix)")
    assert (code, text) == (0, "six /opt/venv\n")


def test_packages_can_be_added_in_the_containers_own_layer(run) -> None:
    folder = "$(python -c 'import six,os; print(os.path.dirname(six.__file__))')"
    script = f"echo 'x = 5' > {folder}/mine.py; python -c 'import mine; print(mine.x)'"
    assert run("sh", "-c", script) == (0, "5\n")
    assert run("python", "-c", "import mine")[0] == 1


def test_the_system_is_read_only_and_the_rest_is_not(run) -> None:
    assert run("sh", "-c", "touch /usr/bin/x")[0] != 0
    assert run("sh", "-c", "touch /tmp/x ~/x /opt/venv/x && df -P / | tail -1 | cut -d' ' -f1") == (0, "overlay\n")


def test_shared_memory_and_processes_of_python(run) -> None:
    script = """
import multiprocessing as mp
def double(x): return 2 * x
if __name__ == "__main__":
    with mp.get_context("fork").Pool(2) as pool: print(pool.map(double, range(3)))
    block = mp.shared_memory.SharedMemory(create=True, size=1 << 20) if hasattr(mp, "shared_memory") else None
    import getpass, os; print(getpass.getuser(), os.path.expanduser("~"))
"""
    code, text = run("python", "-c", script)
    assert (code, text) == (0, "[0, 2, 4]\njovyan /home/jovyan\n")


def test_many_layers_start(run, small_environment) -> None:
    assert len(small_environment.image.layers) >= 2
    assert run("true") == (0, "")
