"""A real registry (Debian's docker-registry) on a loopback port, open and with a login."""

from __future__ import annotations

import shutil
import socket
import subprocess
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


@pytest.fixture
def docker(docker_engine: None) -> Callable[..., str]:
    def run(*argv: str) -> str:
        done = subprocess.run(["docker", *argv], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    return run


@pytest.fixture
def busybox() -> Path:
    for name in ("/bin/busybox", "/usr/bin/busybox"):
        path = Path(name)
        if path.exists() and b"ld-linux" not in path.read_bytes()[:4096]:
            return path
    pytest.skip("needs a static busybox (apt-get install busybox-static)")
