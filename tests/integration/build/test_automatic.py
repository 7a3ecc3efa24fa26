"""A kernel writes what its environment is built from, and starts anew: the build that follows gets it nothing."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from jupyter_containers.build.ensure import Built, ensure_built
from jupyter_containers.errors import InputError
from jupyter_containers.paths import Paths
from jupyter_containers.spec.catalog import find_record

Run = Callable[..., str]
Project = Callable[..., Path]
pytestmark = [pytest.mark.network, pytest.mark.slow, pytest.mark.usefixtures("small_environment")]


@pytest.fixture
def asked() -> Iterator[list[str]]:
    """Paths that a server on this host's localhost was asked for; its port is the first entry."""
    paths: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            paths.append(self.path)
            self.send_error(404)

        def log_message(self, *args: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        paths.append(str(server.server_port))
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield paths
        server.shutdown()
        thread.join()


@pytest.fixture
def start(shared_home: Paths) -> Callable[[Path], Built]:
    """What a kernel's start does."""
    return lambda folder: ensure_built(folder, paths=shared_home, automatic=True)


def add_package(folder: Path, text: str = "VALUE = 1\n") -> None:
    (folder / "thing").mkdir(exist_ok=True)
    (folder / "thing/thing.py").write_text(text)
    (folder / "thing/pyproject.toml").write_text(
        '[build-system]\nrequires = ["flit-core"]\nbuild-backend = "flit_core.buildapi"\n'
        '[project]\nname = "thing"\nversion = "1"\ndescription = "x"\n'
    )


def test_the_code_of_a_package_beside_the_spec(project: Project, shared_home: Paths, start, run: Run):
    folder = project("own-package", '\n[packages]\npip = ["./thing"]\n')
    add_package(folder)
    ensure_built(folder, paths=shared_home)
    start(folder)  # nothing has changed
    value = os.urandom(8).hex()  # a wheel that was built of the same files before would do
    add_package(folder, f"VALUE = {value!r}\n")
    with pytest.raises(InputError, match=r"\./thing as it is now, which is built from source") as caught:
        start(folder)
    assert "`jupyter containers build test-own-package`" in caught.value.hint
    image = ensure_built(folder, paths=shared_home).image
    assert run(image, shared_home, "/opt/venv/bin/python", "-c", "import thing; print(thing.VALUE)") == f"{value}\n"
    assert start(folder).image.digest == image.digest


def test_a_script_that_a_step_runs(project: Project, shared_home: Paths, start, asked: list[str]):
    spec = '\n[build]\ncopy = [{ source = "setup.sh", target = "setup.sh" }]\nrun = ["sh /home/jovyan/setup.sh"]\n'
    folder = project("script", spec)
    (folder / "setup.sh").write_text("true\n")
    ensure_built(folder, paths=shared_home)
    fetch = f"import urllib.request; urllib.request.urlopen('http://127.0.0.1:{asked[0]}/what-i-have-read')"
    (folder / "setup.sh").write_text(f'python3 -c "{fetch}"\n')
    with pytest.raises(InputError, match="setup"):
        start(folder)
    assert len(asked) == 1


def test_the_lock(project: Project, shared_home: Paths, start, asked: list[str]):
    folder = project("lock", '\n[packages]\npip = ["iniconfig==2.1.0"]\n')
    ensure_built(folder, paths=shared_home)
    lock = folder / "jupyter-container.lock"
    text = lock.read_text()
    own = text.replace("https://files.pythonhosted.org/", f"http://127.0.0.1:{asked[0]}/what-i-have-read/")
    lock.write_text(re.sub(r'sha256 = "[0-9a-f]{8}', 'sha256 = "00000000', own))
    with pytest.raises(InputError, match="not written by a build of yours"):
        start(folder)
    assert len(asked) == 1
    lock.write_text(text)
    start(folder)


@pytest.mark.parametrize("part", ["package", "index", "dependency"])
def test_an_address_with_what_was_read(project: Project, shared_home: Paths, start, asked: list[str], part: str):
    folder = project(f"address-{part}", '\n[packages]\npip = ["six"]\n')
    ensure_built(folder, paths=shared_home)
    address = f"http://127.0.0.1:{asked[0]}/what-i-have-read"
    if part == "package":
        project(f"address-{part}", f'\n[packages]\npip = ["six", "x @ {address}/x-1-py3-none-any.whl"]\n')
    elif part == "index":
        project(f"address-{part}", f'\n[packages]\npip = ["six"]\nindex-url = "{address}"\n')
    else:
        project(f"address-{part}", '\n[packages]\npip = ["six", "./thing"]\n')
        add_package(folder)
        file = folder / "thing/pyproject.toml"
        file.write_text(file.read_text() + f'dependencies = ["x @ {address}/x-1-py3-none-any.whl"]\n')
    with pytest.raises(InputError, match="when you built it last"):
        start(folder)
    assert len(asked) == 1


def test_other_packages_of_the_archives_need_no_word(project: Project, shared_home: Paths, start, run: Run):
    folder = project("packages", '\n[packages]\npip = ["six"]\n')
    ensure_built(folder, paths=shared_home)
    before = find_record(shared_home, "test-packages").granted
    project("packages", '\n[packages]\npip = ["six", "iniconfig"]\n')
    image = start(folder).image
    assert run(image, shared_home, "/opt/venv/bin/python", "-c", "import iniconfig; print('here')") == "here\n"
    after = find_record(shared_home, "test-packages").granted
    assert before is not None and after is not None and before.split('"lock"')[0] == after.split('"lock"')[0]
    project("packages", '\n[packages]\npip = ["six"]\n')
    start(folder)  # on the lock that the start before has left


def test_a_stranger_s_spec(project: Project, shared_home: Paths, start, small_environment: Built):
    lock = small_environment.loaded.lock_file.read_bytes()
    with pytest.raises(InputError, match="has not been built by you"):
        start(project("stranger-lock", '\n[packages]\npip = ["six"]\n', lock=lock))
    with pytest.raises(InputError, match="has not been built by you"):
        start(project("stranger-step", '\n[build]\nrun = ["true"]\n'))
    with pytest.raises(InputError, match="has not been built by you"):
        start(project("stranger-network", 'network = "full"\n'))
    start(project("stranger", '\n[packages]\npip = ["six"]\n'))
