"""Other people's engines that tests of several rooms compare with."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest


def _answers() -> bool:
    return subprocess.run(["docker", "info"], capture_output=True, check=False).returncode == 0


@pytest.fixture(scope="session")
def docker_engine() -> Iterator[None]:
    """An engine that `docker` reaches: the host's, else, as root, one of the tests' own that makes no network."""
    if shutil.which("docker") is None:
        pytest.skip("needs docker (apt-get install docker.io)")
    if _answers():
        yield
        return
    daemon = shutil.which("dockerd") or shutil.which("dockerd", path="/usr/sbin:/sbin")
    if daemon is None or os.geteuid() != 0:
        pytest.skip("no docker engine answers, and only root can start one")
    # Not on an overlay: its own layers are overlays, and those are not stacked.
    with tempfile.TemporaryDirectory(prefix="jc-docker-", dir="/var/tmp") as name:
        folder = Path(name)
        host = f"unix://{folder}/docker.sock"
        options = ["--iptables=false", "--bridge=none", f"--data-root={folder}/data", f"--exec-root={folder}/exec"]
        before = os.environ.get("DOCKER_HOST")
        os.environ["DOCKER_HOST"] = host
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                [daemon, *options, f"--host={host}", f"--pidfile={folder}/pid"], stdout=log, stderr=log
            )
        try:
            deadline = time.monotonic() + 60
            while not _answers():
                if process.poll() is not None or time.monotonic() > deadline:
                    pytest.skip("dockerd does not start here: " + (folder / "log").read_text()[-500:])
                time.sleep(0.2)
            yield
        finally:
            process.terminate()
            process.wait(60)
            if before is None:
                del os.environ["DOCKER_HOST"]
            else:
                os.environ["DOCKER_HOST"] = before
