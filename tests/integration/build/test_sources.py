"""Packages built from source: what builds them comes first, and then their code has no network."""

from __future__ import annotations

import json
import socket
import textwrap
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from jupyter_containers.build.ensure import ensure_built
from jupyter_containers.errors import BuildError
from jupyter_containers.paths import Paths

Run = Callable[..., str]
Project = Callable[..., Path]
pytestmark = [pytest.mark.network, pytest.mark.slow, pytest.mark.usefixtures("small_environment")]

SPEC = """
[packages]
pip = ["./thing"]
"""
BACKEND = """
import base64, hashlib, json, os, socket, sys, zipfile

def get_requires_for_build_wheel(settings=None):
    return {asked!r}

def build_wheel(folder, settings=None, metadata=None):
    found = {{"path": sys.path, "name": __file__}}
{code}
    with zipfile.ZipFile(os.path.join(folder, "thing-1-py3-none-any.whl"), "w") as wheel:
        files = {{
            "thing.py": "FOUND = " + repr(found),
            "thing-1.dist-info/METADATA": "Metadata-Version: 2.1\\nName: thing\\nVersion: 1\\n",
            "thing-1.dist-info/WHEEL": "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
        }}
        for name, text in files.items():
            wheel.writestr(name, text)
        lines = [name + ",," for name in files] + ["thing-1.dist-info/RECORD,,"]
        wheel.writestr("thing-1.dist-info/RECORD", "\\n".join(lines))
    return "thing-1-py3-none-any.whl"
"""


@pytest.fixture
def package(project: Project) -> Callable[..., Path]:
    """``package(name, code, asked=, requires=)`` → a project with a package whose build runs *code*."""

    def make(name: str, code: str = "", *, asked: tuple[str, ...] = (), requires: tuple[str, ...] = ()) -> Path:
        folder = project(name, SPEC)
        (folder / "thing").mkdir()
        (folder / "thing/pyproject.toml").write_text(
            f'[build-system]\nrequires = {json.dumps(requires)}\nbuild-backend = "backend"\nbackend-path = ["."]\n'
            '[project]\nname = "thing"\nversion = "1"\n'
        )
        body = textwrap.indent(code or "pass", "    ")
        (folder / "thing/backend.py").write_text(BACKEND.format(code=body, asked=list(asked)))
        return folder

    return make


@pytest.fixture
def found(shared_home: Paths, run: Run) -> Callable[..., dict[str, object]]:
    """Build, and what the package's build found."""

    def build(folder: Path) -> dict[str, object]:
        image = ensure_built(folder, paths=shared_home).image
        code = "import json, thing; print(json.dumps(thing.FOUND))"
        return json.loads(run(image, shared_home, "/opt/venv/bin/python", "-c", code))

    return build


@pytest.fixture
def service() -> Iterator[int]:
    """The port of a service on this host's localhost, where databases and notebook servers listen."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = server.accept()
                    connection.sendall(b"secret of the host")
                    connection.close()

        threading.Thread(target=answer, daemon=True).start()
        yield server.getsockname()[1]


def test_a_build_does_not_reach_the_host_s_services(package, found, service: int):
    code = f"""
try:
    found["said"] = socket.create_connection(("127.0.0.1", {service}), 5).recv(99).decode()
except OSError as error:
    found["said"] = type(error).__name__
found["links"] = sorted(os.listdir("/sys/class/net")) if os.path.isdir("/sys/class/net") else []
found["addresses"] = open("/proc/net/fib_trie").read().count("/32 host LOCAL")
try:
    socket.getaddrinfo("pypi.org", 443)
    found["names"] = "resolved"
except OSError:
    found["names"] = "none"
"""
    told = found(package("no-network", code))
    assert told["said"] == "ConnectionRefusedError"
    assert told["names"] == "none"


def test_what_builds_it_is_there_and_cannot_be_written(package, found):
    code = """
import packaging.version
found["packaging"] = packaging.version.__file__
try:
    open(os.path.join(os.path.dirname(packaging.version.__file__), "evil.py"), "w")
    found["written"] = True
except OSError as error:
    found["written"] = type(error).__name__
"""
    told = found(package("requires", code, requires=("packaging>=24",)))
    assert str(told["packaging"]).startswith("/run/jc/environment/lib/python3.")
    assert told["written"] == "OSError"


def test_what_the_backend_asks_for_is_fetched_too(package, found):
    told = found(package("asks", "import iniconfig; found['asked'] = iniconfig.__name__", asked=("iniconfig",)))
    assert told["asked"] == "iniconfig"


@pytest.mark.parametrize(
    "asked",
    ["x @ https://localhost/x.whl", "x @ file:///etc/passwd", "--index-url=https://localhost", "-r /etc/passwd"],
)
def test_an_address_is_not_fetched_for_a_build(package, shared_home: Paths, asked: str):
    with pytest.raises(BuildError, match="to be built"):
        ensure_built(package("address", asked=(asked,)), paths=shared_home)


def test_a_build_that_wants_the_network_is_told_what_to_do(package, shared_home: Paths):
    with pytest.raises(BuildError, match="failed") as caught:
        ensure_built(package("wants", "socket.getaddrinfo('pypi.org', 443)"), paths=shared_home)
    assert "`build.run`" in caught.value.hint


def test_a_source_archive_of_the_index(project: Project, shared_home: Paths, run: Run):
    image = ensure_built(project("archive", '\n[packages]\npip = ["docopt==0.6.2"]\n'), paths=shared_home).image
    code = "import docopt; print(docopt.__version__)"
    assert run(image, shared_home, "/opt/venv/bin/python", "-c", code) == "0.6.2\n"
