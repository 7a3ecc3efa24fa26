"""Builds that are stopped, killed, or run twice at once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from jupyter_containers.build import history
from jupyter_containers.build.ensure import Built, ensure_built
from jupyter_containers.build.monitor import Event
from jupyter_containers.errors import BuildError, CancelledError
from jupyter_containers.paths import Paths

pytestmark = [pytest.mark.network, pytest.mark.slow]


def spec(*lines: str) -> str:
    commands = ", ".join(f"'''{line}'''" for line in lines)
    return f'[packages]\npip = ["six"]\n[build]\nrun = [{commands}]\n'


def cached(events: list[Event]) -> list[bool]:
    return [event.cached for event in events if event.kind == "step" and event.phase == "done"]


def running_in_sandboxes(mark: str) -> bool:
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if mark.encode() in process.read_bytes() and process.parent.name != str(os.getpid()):
                return True
        except OSError:
            continue
    return False


def wait_until(condition, seconds: float = 20.0) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.05)
    return False


def unique(line: str) -> str:
    """*line*, in a form that no earlier run of the tests has built."""
    return f"{line} # {time.time_ns()}"


def test_cancelling_ends_the_sandbox_and_keeps_finished_steps(shared_home: Paths, small_environment: Built, project):
    mark = f"sleep 61{time.time_ns() % 1000:03}"
    folder = project("cancelled", spec(unique("echo one"), mark), lock=small_environment.loaded.lock_file.read_bytes())
    cancel = threading.Event()

    def stop(event: Event) -> None:
        if event.phase == "running" and event.kind == "phase" and "sleep" in event.step:
            threading.Timer(0.3, cancel.set).start()

    with pytest.raises(CancelledError):
        ensure_built(folder, paths=shared_home, monitor=stop, cancel=cancel)
    assert history.list_builds(shared_home)[0].state == "cancelled"
    assert wait_until(lambda: not running_in_sandboxes(mark))
    events: list[Event] = []
    cancel.clear()
    (folder / "jupyter-container.toml").write_text(
        (folder / "jupyter-container.toml").read_text().replace(f", '''{mark}'''", "")
    )
    ensure_built(folder, paths=shared_home, monitor=events.append)
    assert cached(events) == [True, True, True]


def test_two_builders_of_one_step_share_it(shared_home: Paths, small_environment: Built, project):
    line = unique("sleep 1; cat /proc/sys/kernel/random/uuid > /id")
    lock = small_environment.loaded.lock_file.read_bytes()
    folders = [project(f"twin-{number}", spec(line), lock=lock) for number in range(2)]
    heard: list[list[Event]] = [[], []]
    with ThreadPoolExecutor(2) as pool:
        jobs = [
            pool.submit(ensure_built, folder, paths=shared_home, monitor=events.append)
            for folder, events in zip(folders, heard, strict=True)
        ]
        first, second = (job.result() for job in jobs)
    assert first.image.layers[-1].diff_id == second.image.layers[-1].diff_id
    waited = [any(event.phase == "waiting" for event in events) for events in heard]
    assert sorted(waited) == [False, True]


def test_a_builder_that_waits_takes_over_where_the_other_fails(shared_home: Paths, small_environment: Built, project):
    line = unique("sleep 1; exit 3")
    lock = small_environment.loaded.lock_file.read_bytes()
    folders = [project(f"failing-twin-{number}", spec(line), lock=lock) for number in range(2)]
    with ThreadPoolExecutor(2) as pool:
        jobs = [pool.submit(ensure_built, folder, paths=shared_home) for folder in folders]
        errors = [job.exception() for job in jobs]
    assert all(isinstance(error, BuildError) and "exit status 3" in str(error) for error in errors)


BUILDER = """
import sys
from pathlib import Path
from jupyter_containers.build.ensure import ensure_built
from jupyter_containers.paths import Paths
def say(event):
    if event.kind == "output": print(event.text, flush=True)
ensure_built(Path(sys.argv[1]), paths=Paths(Path(sys.argv[2]), Path(sys.argv[3])), monitor=say)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_builder_that_is_killed_leaves_nothing_and_the_next_goes_on(
    shared_home: Paths, small_environment: Built, project, number
):
    mark = f"sleep 62{time.time_ns() % 1000:03}"
    first = unique("echo kept > /kept")
    folder = project(
        "killed", spec(first, f"echo started; {mark}"), lock=small_environment.loaded.lock_file.read_bytes()
    )
    argv = [sys.executable, "-c", BUILDER, str(folder), str(shared_home.home), str(shared_home.runtime)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert any(line == "started\n" for line in process.stdout)
        assert running_in_sandboxes(mark)
        process.send_signal(number)
        process.wait(20)
    assert wait_until(lambda: not running_in_sandboxes(mark))
    state = "interrupted" if number == signal.SIGKILL else "cancelled"
    assert next(build for build in history.list_builds(shared_home) if build.name == "test-killed").state == state

    (folder / "jupyter-container.toml").write_text(f'name = "test-killed"\n{spec(first, "echo second")}')
    events: list[Event] = []
    built = ensure_built(folder, paths=shared_home, monitor=events.append)
    assert cached(events)[:3] == [True, True, True]
    assert (built.image.layer_paths[2] / "kept").read_text() == "kept\n"


def test_a_builder_killed_while_packages_are_unpacked(shared_home: Paths, small_environment: Built, project, tmp_path):
    """The store has nothing of the base that was half there, and builds it again."""
    paths = Paths(tmp_path / "home", tmp_path / "run").made()
    (paths.store / "cache").mkdir(mode=0o700, parents=True, exist_ok=True)
    subprocess.run(["cp", "-al", shared_home.store / "cache/archives", paths.store / "cache/archives"], check=True)
    folder = project("half", '[packages]\npip = ["six"]\n', lock=small_environment.loaded.lock_file.read_bytes())
    argv = [sys.executable, "-c", BUILDER, str(folder), str(paths.home), str(paths.runtime)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        unpacking = wait_until(lambda: any((paths.store / "tmp").glob("*/fs/usr/lib/*")))
        process.kill()
    assert unpacking
    built = ensure_built(folder, paths=paths)
    assert built.image.layers[0].diff_id == small_environment.image.layers[0].diff_id
