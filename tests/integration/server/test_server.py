"""From the launcher to a running kernel, and builds through REST, for real."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from jupyter_containers.build import ensure

pytestmark = [pytest.mark.network, pytest.mark.slow]


async def test_kernel_from_the_launcher(small_environment, ask, execute, server):
    """No kernelspec was installed; the notebook's folder is the working directory; the container is listed."""
    root = Path(server.root_dir)
    (root / "work").mkdir()
    (root / "work" / "data.txt").write_text("from the host")
    specs = await ask("GET", "api/kernelspecs")
    assert specs["kernelspecs"]["jc-small"]["spec"]["display_name"].startswith("Small")
    body = {"path": "work/a.ipynb", "type": "notebook", "name": "a", "kernel": {"name": "jc-small"}}
    session = await ask("POST", "api/sessions", body)
    kernel = session["kernel"]["id"]
    code = "import os, six; print(open('data.txt').read(), os.getuid(), six.__name__); open('made.txt', 'w').write('x')"
    assert await execute(kernel, code) == ["from the host 1000 six\n"]
    assert (root / "work" / "made.txt").stat().st_uid == os.getuid()
    (container,) = await ask("GET", "jupyter-containers/api/containers")
    assert (container["kind"], container["image_name"]) == ("kernel", "small")
    stats = await ask("GET", f"jupyter-containers/api/containers/{container['id']}/stats")
    assert stats["memory"] > 10 << 20
    await ask("DELETE", f"api/sessions/{session['id']}")
    while await ask("GET", "jupyter-containers/api/containers"):  # a session's end does not wait for its kernel's
        await asyncio.sleep(0.05)


async def test_cells_wait_for_a_build(small_environment, ask, execute, server, monkeypatch):
    """The kernel of a spec that was never built: its start is answered at once, its cells run when it is there."""
    monkeypatch.setattr(server.kernel_manager, "start_patience", 0.2)
    build = ensure.ensure_built

    def build_slowly(*given, **options):
        time.sleep(2)
        return build(*given, **options)

    monkeypatch.setattr(ensure, "ensure_built", build_slowly)
    name = _write_spec(server, 'env = { MADE = "{name}" }')
    try:
        model = await ask("POST", "api/kernels", {"name": f"jc-{name}"})
        assert model["execution_state"] == "starting"
        assert await execute(model["id"], "a = 1", "import os; print(a, os.environ['MADE'])") == ["", f"1 {name}\n"]
        await ask("DELETE", f"api/kernels/{model['id']}")
        while await ask("GET", "jupyter-containers/api/containers"):
            await asyncio.sleep(0.05)
    finally:
        await ask("DELETE", f"jupyter-containers/api/environments/{name}", image="true")


async def test_kernel_of_a_failing_build_says_why(small_environment, ask, server, jp_fetch):
    name = _write_spec(server, "", pip="no-such-package-at-all")
    body = json.dumps({"path": "a.ipynb", "type": "notebook", "name": "a", "kernel": {"name": f"jc-{name}"}})
    response = await jp_fetch("api", "sessions", method="POST", body=body, raise_error=False, request_timeout=300)
    message = json.loads(response.body)["message"]
    assert response.code == 500  # the answer of jupyter_server's own handler
    assert "no-such-package-at-all" in message
    assert await ask("GET", "api/kernels") == []


async def test_lists_are_answered_during_a_real_build_and_it_is_cancelled(small_environment, ask, server, jp_fetch):
    name = _write_spec(server, 'run = ["echo at work; sleep 600"]')
    build = await ask("POST", "jupyter-containers/api/builds", {"path": name})
    read = asyncio.Event()
    kinds: list[str] = []

    def hear(chunk: bytes) -> None:
        kinds.extend(line[7:] for line in chunk.decode().splitlines() if line.startswith("event: "))
        if b"at work" in chunk:
            read.set()

    follower = asyncio.ensure_future(
        jp_fetch(
            "jupyter-containers", "api", "builds", build["id"], "events", streaming_callback=hear, request_timeout=300
        )
    )
    await read.wait()
    assert "small" in [view["name"] for view in await ask("GET", "jupyter-containers/api/environments")]
    assert (await ask("GET", f"jupyter-containers/api/builds/{build['id']}"))["state"] == "running"
    assert not follower.done()
    await ask("DELETE", f"jupyter-containers/api/builds/{build['id']}")
    await follower
    assert kinds[-2:] == ["result", "end"]
    view = await ask("GET", f"jupyter-containers/api/builds/{build['id']}")
    assert view["state"] == "cancelled"
    assert not _processes("sleep 600")


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGKILL])
def test_no_container_outlives_the_server(small_environment, home, tmp_path, signum, jp_environ):
    with _running_server(tmp_path) as (process, request):
        kernel = request("POST", "/api/kernels", {"name": "jc-small"})
        (container,) = request("GET", "/jupyter-containers/api/containers")
        pid = container["pid"]
        assert psutil.pid_exists(pid)
        process.send_signal(signum)
        process.wait(30)
    deadline = time.monotonic() + 10
    while psutil.pid_exists(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not psutil.pid_exists(pid)
    while (home.containers / container["id"]).exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not (home.containers / container["id"]).exists()
    assert kernel["name"] == "jc-small"


@contextlib.contextmanager
def _running_server(folder: Path):
    """A server in a process of its own, and a function that asks it."""
    command = [
        sys.executable, "-m", "jupyter_server", "--allow-root", "--no-browser", "--IdentityProvider.token=secret",
        f"--ServerApp.root_dir={folder}", f"--ServerApp.sock={folder}/server.sock",
    ]  # fmt: skip
    config = folder / "jupyter_server_config.json"
    config.write_text(json.dumps({"ServerApp": {"jpserver_extensions": {"jupyter_containers": True}}}))
    command += [f"--config={config}"]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL)

    def request(method: str, path: str, body: object = None):
        import httpx

        with httpx.Client(transport=httpx.HTTPTransport(uds=f"{folder}/server.sock"), timeout=60) as client:
            answer = client.request(
                method, f"http://localhost{path}", json=body, headers={"Authorization": "token secret"}
            )
        answer.raise_for_status()
        return answer.json()

    try:
        while not (folder / "server.sock").exists():
            assert process.poll() is None
            time.sleep(0.05)
        yield process, request
    finally:
        process.kill()
        process.wait()


def _write_spec(server, build: str, *, pip: str = "six") -> str:
    """A spec in the server's root folder that adds *build* (``{name}`` stands for its name) to the small
    environment; its name is new, and so is a step with the name in it."""
    name = f"server-{os.getpid()}-{time.monotonic_ns():x}"
    folder = Path(server.root_dir) / name
    folder.mkdir()
    build = build.replace("{name}", name)
    (folder / "jupyter-container.toml").write_text(f'name = "{name}"\n[packages]\npip = ["{pip}"]\n[build]\n{build}\n')
    return name


def _processes(command: str) -> list[int]:
    found = []
    for process in psutil.process_iter(["cmdline"]):
        if command in " ".join(process.info["cmdline"] or ()) and "pytest" not in " ".join(process.info["cmdline"]):
            found.append(process.pid)
    return found
