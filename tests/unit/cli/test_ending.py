"""How the program ends where nobody reads what it says, or nothing more can be written."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

PROGRAM = [sys.executable, "-m", "jupyter_containers"]


@pytest.fixture
def unread():
    """A pipe that nobody reads."""
    read, write = os.pipe()
    os.close(read)
    yield write
    os.close(write)


@pytest.mark.parametrize(
    "argv", [["--help"], ["no-such-command"], ["explain", "/no/such/folder"], ["schema"], ["build", "--help"], ["logs"]]
)
def test_a_reader_that_has_gone_is_no_error_to_tell(argv, unread, tmp_path):
    """As tools that SIGPIPE ends: 141 in a shell. No traceback, no complaint of the interpreter (status 120)."""
    environment = {**os.environ, "JUPYTER_CONTAINERS_HOME": str(tmp_path)}
    for streams in ({"stdout": unread, "stderr": unread}, {"stdout": unread}, {"stderr": unread}):
        given = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **streams}
        done = subprocess.run([*PROGRAM, *argv], text=True, env=environment, **given)
        assert done.returncode in (0, 1, 2, 141)
        for text in (done.stdout, done.stderr):
            assert text is None or ("Traceback" not in text and "BrokenPipeError" not in text)
    if argv not in (["build", "--help"], ["logs"]):  # argparse forgets what it could not write
        done = subprocess.run([*PROGRAM, *argv], stdout=unread, stderr=unread, env=environment)
        assert done.returncode == 141


def test_a_full_device_is_told(tmp_path):
    with open("/dev/full", "w") as full:
        done = subprocess.run([*PROGRAM, "schema"], stdout=full, stderr=subprocess.PIPE, text=True)
        assert subprocess.run([*PROGRAM, "explain", "/no/such"], stdout=full, stderr=full).returncode == 1
    assert done.returncode == 1
    assert done.stderr.startswith("error: cannot write: No space left on device\nhint: ")
    assert "Traceback" not in done.stderr


WAITING = """
import threading, time
from concurrent.futures import ThreadPoolExecutor
from jupyter_containers.cli.base import Command, execute
from jupyter_containers.cli.ending import end_with
from jupyter_containers.errors import CancelledError

class Stopped(Command):
    name = summary = "stopped"

    def run(self, options):
        threading.Thread(target=self.wait, daemon=True).start()
        time.sleep(0.1)
        raise CancelledError("stopped")

    def wait(self):  # as the threads of a resolution do, which is left
        with ThreadPoolExecutor(1) as pool:
            pool.submit(time.sleep, 3600)

end_with(lambda: execute(Stopped(), []))
"""


def test_an_interrupted_command_waits_for_no_thread():
    done = subprocess.run([sys.executable, "-c", WAITING], timeout=60, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (130, "error: stopped\n")
