"""Other people's engines and registries that tests of several rooms compare with."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ANN = "ann:$2y$05$G1Vf4lJt5DRiM1KJofaDtOeSadnCX2QDVmEaUF5XGl9Pixb0dGaxu"
"""Of ``htpasswd -B``: the password is "word"."""
_CONFIG = """\
version: 0.1
log: {{level: warn}}
storage:
  filesystem: {{rootdirectory: {folder}/data}}
http:
  addr: "127.0.0.1:{port}"
{auth}"""


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
            # What `--network=host` leaves mounted.
            subprocess.run(["umount", folder / "exec/netns/default"], capture_output=True, check=False)
            if before is None:
                del os.environ["DOCKER_HOST"]
            else:
                os.environ["DOCKER_HOST"] = before


@pytest.fixture(scope="session")
def start_registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., str]]:
    program = shutil.which("docker-registry")
    if program is None:
        pytest.skip("needs docker-registry (apt-get install docker-registry)")
    running: list[subprocess.Popen[bytes]] = []

    def started(*, login: bool = False) -> str:
        folder = tmp_path_factory.mktemp("registry")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        (folder / "htpasswd").write_text(ANN)
        auth = f"auth: {{htpasswd: {{realm: test, path: {folder}/htpasswd}}}}\n" if login else ""
        (folder / "config.yml").write_text(_CONFIG.format(folder=folder, port=port, auth=auth))
        log = (folder / "log").open("wb")
        process = subprocess.Popen([program, "serve", str(folder / "config.yml")], stdout=log, stderr=log, cwd=folder)
        running.append(process)
        for _ in range(200):
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                return f"localhost:{port}"
            except OSError:
                assert process.poll() is None, (folder / "log").read_text()
                time.sleep(0.05)
        raise AssertionError("docker-registry did not start: " + (folder / "log").read_text())

    yield started
    for process in running:
        process.kill()
        process.wait()


@pytest.fixture(scope="session")
def registry(start_registry: Callable[..., str]) -> str:
    """``localhost:PORT``. Tests use repositories of their own."""
    return start_registry()


@pytest.fixture(scope="session")
def locked_registry(start_registry: Callable[..., str]) -> str:
    """One that lets in ann with the password "word"."""
    return start_registry(login=True)


@pytest.fixture
def skopeo() -> Callable[..., str]:
    program = shutil.which("skopeo")
    if program is None:
        pytest.skip("needs skopeo (apt-get install skopeo)")

    def run(*argv: str) -> str:
        # The policy of the host says which signatures are wanted; tests want none.
        done = subprocess.run([program, "--insecure-policy", *argv], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run
