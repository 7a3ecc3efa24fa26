"""The programs that run notebooks, unchanged."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest

from jupyter_containers.kernels.execute import execute_notebooks

pytestmark = [pytest.mark.network, pytest.mark.slow]


@pytest.fixture
def notebook(environment, folder):
    cells = [
        nbformat.v4.new_code_cell("who = 'nobody'", metadata={"tags": ["parameters"]}),
        nbformat.v4.new_code_cell("import os; print(who, os.getuid(), os.getcwd())"),
    ]
    made = nbformat.v4.new_notebook(cells=cells)
    made.metadata["kernelspec"] = {"name": "jc-kernels", "display_name": "Kernels (container)", "language": "python"}
    nbformat.write(made, folder / "a.ipynb")
    return folder / "a.ipynb"


def printed(path) -> str:
    """What the last cell of the notebook has printed."""
    return "".join(item.get("text", "") for item in nbformat.read(path, as_version=4).cells[-1].outputs).strip()


def run(*argv: str) -> subprocess.CompletedProcess:
    result = subprocess.run([sys.executable, *argv], capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stderr
    return result


def test_nbclient(notebook, folder):
    from nbclient import NotebookClient

    made = nbformat.read(notebook, as_version=4)
    NotebookClient(made, kernel_name="jc-kernels", resources={"metadata": {"path": str(folder)}}).execute()
    assert made.cells[-1].outputs[0].text == f"nobody 1000 {folder}\n"


def test_papermill(notebook, folder):
    import papermill

    papermill.execute_notebook(
        str(notebook), "out.ipynb", parameters={"who": "papermill"}, cwd=str(folder), progress_bar=False
    )
    assert printed("out.ipynb") == f"papermill 1000 {folder}"


def test_nbconvert(notebook, folder):
    run("-m", "nbconvert", "--to", "notebook", "--execute", "a.ipynb", "--output", "out.ipynb")
    assert printed("out.ipynb") == f"nobody 1000 {folder}"


def test_the_run_command_of_jupyter_client(environment, folder):
    (folder / "a.py").write_text("import os; print('uid', os.getuid())\n")
    assert run("-m", "jupyter_client.runapp", "--kernel", "jc-kernels", "a.py").stdout.strip() == "uid 1000"


def test_execute_side_by_side(notebook, folder):
    made = nbformat.read(notebook, as_version=4)
    for name in ("b", "c"):
        nbformat.write(made, folder / f"{name}.ipynb")
    paths = [folder / f"{name}.ipynb" for name in "abc"]
    results = execute_notebooks(paths, env="kernels", jobs=3, output_dir=folder / "out")
    assert [item.status for item in results] == ["ok"] * 3
    assert all(printed(item.output) == f"nobody 1000 {folder}" for item in results)
    assert all(item.memory_peak > 10 << 20 for item in results)


def test_a_client_that_ignores_provisioners(environment, folder):
    """As VS Code does it: the kernelspec's argv with ports of its own."""
    from jupyter_client.blocking import BlockingKernelClient
    from jupyter_client.connect import write_connection_file
    from jupyter_client.kernelspec import KernelSpecManager

    file, _ = write_connection_file(str(folder / "c.json"), key=b"secret")
    argv = [word.format(connection_file=file) if word == "{connection_file}" else word
            for word in KernelSpecManager().get_kernel_spec("jc-kernels").argv]  # fmt: skip
    kernel = subprocess.Popen(argv, cwd=folder)
    client = BlockingKernelClient(connection_file=file)
    try:
        client.load_connection_file()
        client.start_channels()
        while True:
            try:
                client.wait_for_ready(timeout=60)
                break
            except RuntimeError:  # a busy host misses a heartbeat; the client gives one second
                assert kernel.poll() is None
        found = []

        def keep(message) -> None:
            found.append(message["content"].get("text", ""))

        client.execute_interactive("import os; print(os.getuid())", timeout=60, output_hook=keep)
        assert "".join(found) == "1000\n"
        client.shutdown()
        assert kernel.wait(30) == 0
    finally:
        client.stop_channels()
        kernel.kill()
        kernel.wait()


OWNER = """
import sys, json, time
from jupyter_client.manager import KernelManager
manager = KernelManager(kernel_name="jc-kernels")
manager.start_kernel()
state = manager.provisioner.container.state()
print(json.dumps([state.id, state.pid]), flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP])
def test_nothing_is_left_when_the_owner_is_killed(environment, folder, user, is_alive, number):
    owner = subprocess.Popen([sys.executable, "-c", OWNER], stdout=subprocess.PIPE, text=True)
    container, pid = json.loads(owner.stdout.readline())
    assert (user.containers / container).exists() and list(user.runtime.glob("k/*"))
    owner.send_signal(number)
    owner.wait(30)
    deadline = time.monotonic() + 10

    def left() -> list[str]:
        found = [str(path) for path in [user.containers / container, *user.runtime.glob("k/*")] if path.exists()]
        return found + ([f"process {pid}"] if is_alive(pid) else [])

    while left() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert left() == []
    assert container not in Path("/proc/self/mountinfo").read_text()


def test_the_last_words_of_a_python_that_is_not_there(user, folder):
    """An environment without Python, whose kernel is a program that is not in the image."""
    from jupyter_containers.build.ensure import ensure_built
    from jupyter_containers.errors import KernelError
    from jupyter_containers.kernels import kernelspec

    spec = user.home / "specs" / "no-kernel"
    spec.mkdir(parents=True, exist_ok=True)
    (spec / "jupyter-container.toml").write_text(
        'name = "no-kernel"\npython = "none"\n[kernel]\nlanguage = "cobol"\n'
        'argv = ["/usr/bin/cobol-kernel", "{connection_file}"]\n'
    )
    ensure_built(spec, paths=user)
    kernelspec.install("no-kernel", paths=user)
    from jupyter_client.manager import KernelManager

    with pytest.raises(KernelError, match="the kernel of no-kernel could not start") as error:
        KernelManager(kernel_name="jc-no-kernel").start_kernel(cwd=str(folder))
    assert "cobol-kernel" in error.value.message and "kernel.argv" in error.value.hint
    assert not os.listdir(user.runtime / "k")


def test_a_build_does_not_time_a_kernels_start_out(user, folder, monkeypatch):
    """nbclient gives a kernel ``startup_timeout`` seconds: what is built first does not count."""
    from nbclient import NotebookClient

    from jupyter_containers.build import ensure
    from jupyter_containers.kernels import kernelspec
    from jupyter_containers.spec.catalog import Record, record

    name = f"slow-{os.getpid()}"
    spec = user.home / "specs" / name
    spec.mkdir()
    (spec / "jupyter-container.toml").write_text(f'name = "{name}"\n[packages]\npip = ["six"]\n')
    record(user, Record(name=name, display_name=name, spec_file=str(spec)))
    kernelspec.install(name, paths=user)
    build = ensure.ensure_built

    def build_slowly(*given, **options):
        time.sleep(6)
        return build(*given, **options)

    monkeypatch.setattr(ensure, "ensure_built", build_slowly)
    made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("import six; print('built')")])
    started = time.monotonic()
    NotebookClient(
        made, kernel_name=f"jc-{name}", startup_timeout=5, resources={"metadata": {"path": str(folder)}}
    ).execute()
    assert time.monotonic() - started > 6
    assert made.cells[0].outputs[0].text == "built\n"


def test_ctrl_c_ends_the_kernels_and_keeps_what_was_executed(environment, folder, user):
    cells = [nbformat.v4.new_code_cell("print('done')"), nbformat.v4.new_code_cell("import time; time.sleep(600)")]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), folder / "a.ipynb")
    command = [sys.executable, "-m", "jupyter_containers", "execute", "a.ipynb", "--env", environment]
    process = subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, text=True)
    while "1 of 2 cells" not in (line := process.stderr.readline()):
        assert line
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130 and "Traceback" not in errors
    first, second = nbformat.read(folder / "a.executed.ipynb", as_version=4).cells
    assert first.outputs[0].text == "done\n" and not second.outputs
    assert not list(user.runtime.glob("k/*"))
