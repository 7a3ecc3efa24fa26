"""What a notebook does, in a container."""

from __future__ import annotations

import os
import signal
import time

import pytest

from jupyter_containers.errors import KernelError, LimitError

pytestmark = [pytest.mark.network, pytest.mark.slow]


def test_the_notebooks_folder_is_the_working_directory_and_writable(session, folder):
    (folder / "data.csv").write_text("a,b\n")
    assert session.run("import os; print(os.getcwd()); print(open('data.csv').read())") == f"{folder}\na,b"
    session.run("open('made.txt', 'w').write('here'); os.mkdir('sub')")
    assert (folder / "made.txt").read_text() == "here"
    assert {path.stat().st_uid for path in folder.iterdir()} == {os.geteuid()}


def test_the_kernel_is_an_ordinary_user_who_sees_nothing_of_the_host(session, folder):
    assert session.run("import os; os.getuid()") == "1000"
    assert session.run("sorted(os.listdir('/home'))") == "['jovyan']"
    names = session.run("' '.join(sorted(os.environ))")
    assert "JUPYTER" not in names and "JPY_PARENT_PID" not in names
    here = session.manager.provisioner.connection_info["ip"]
    assert session.run(f"sorted(os.listdir({os.path.dirname(os.path.dirname(here))!r}))") == repr(
        [os.path.basename(os.path.dirname(here))]
    )


def test_a_notebook_sees_no_network_but_its_own(session):
    assert session.run("import socket; [name for _, name in socket.if_nameindex()]") == "['lo']"


def test_input(session):
    assert session.run("name = input('who? '); print(f'hello {name}')", answer="Ada") == "hello Ada"


def test_matplotlib_draws_into_the_notebook(session):
    messages = session.messages("import matplotlib.pyplot as plt; plt.plot([1, 2]); plt.show()")
    (figure,) = [item["content"]["data"] for item in messages if item["msg_type"] == "display_data"]
    assert figure["image/png"].startswith("iVBOR")


def test_subprocesses_and_their_output(session):
    code = (
        "import subprocess; print(subprocess.run(['sh', '-c', 'echo $((6 * 7))'], capture_output=True).stdout.decode())"
    )
    assert session.run(code) == "42"
    assert session.run("!echo from the shell").endswith("from the shell")


def test_multiprocessing_with_shared_memory(session):
    code = (
        "import multiprocessing as mp\n"
        "from multiprocessing import shared_memory\n"
        "with mp.get_context('fork').Pool(2) as pool: print(sum(pool.map(abs, range(-10, 0))))\n"
        "block = shared_memory.SharedMemory(create=True, size=1 << 20)\n"
        "block.buf[0] = 7; print(block.buf[0], block.size); block.close(); block.unlink()"
    )
    assert session.run(code) == "55\n7 1048576"


def test_widgets_open_a_comm(session):
    messages = session.messages("import ipywidgets; ipywidgets.IntSlider(value=3)")
    opened = [item["content"]["target_name"] for item in messages if item["msg_type"] == "comm_open"]
    assert "jupyter.widget" in opened


def test_the_debugger_stops_at_nothing_but_answers(session):
    control = session.client.control_channel
    request = session.client.session.msg(
        "debug_request", {"type": "request", "seq": 1, "command": "initialize", "arguments": {"adapterID": "x"}}
    )
    control.send(request)
    while (reply := control.get_msg(timeout=60))["parent_header"]["msg_id"] != request["header"]["msg_id"]:
        pass
    assert reply["content"]["success"] is True


def test_packages_can_be_installed_into_the_running_kernel(session, folder):
    package = folder / "pkg"
    package.mkdir()
    wheel = package / "tiny-1-py3-none-any.whl"
    import zipfile

    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("tiny.py", "answer = 42\n")
        archive.writestr("tiny-1.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny\nVersion: 1\n")
        archive.writestr("tiny-1.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr("tiny-1.dist-info/RECORD", "")
    session.run(f"%pip install --quiet --no-index {wheel}")
    assert session.run("import tiny; tiny.answer") == "42"


@pytest.mark.parametrize(
    "code", ["import time; time.sleep(60)", "while True: pass", "import subprocess; subprocess.run(['sleep', '60'])"]
)
def test_interrupt(session, code):
    request = session.client.execute(f"print('runs', flush=True)\n{code}", stop_on_error=False)
    while session.client.get_iopub_msg(timeout=60)["msg_type"] != "stream":
        pass
    time.sleep(0.2)
    session.manager.interrupt_kernel()
    while (reply := session.client.get_shell_msg(timeout=120))["parent_header"]["msg_id"] != request:
        pass
    assert reply["content"]["ename"] == "KeyboardInterrupt"
    assert session.run("1 + 1") == "2"


def test_a_kernel_that_hears_nothing_can_be_restarted(session):
    session.client.execute("import signal; signal.signal(15, 1); signal.signal(2, 1); sum(range(10**15))")
    time.sleep(0.5)
    session.manager.restart_kernel(now=True)
    session.client.wait_for_ready(timeout=60)
    assert session.run("1 + 1") == "2"


@pytest.mark.parametrize(("restart", "there"), [("fresh", "False"), ("keep", "True")])
def test_the_writable_layer_over_a_restart(start, restart, there):
    session = start(restart=restart)
    session.run("open('/home/jovyan/mark', 'w').close(); open('/opt/venv/mark', 'w').close()")
    session.manager.restart_kernel()
    session.client.wait_for_ready(timeout=60)
    assert session.run("import os; os.path.exists('/home/jovyan/mark') and os.path.exists('/opt/venv/mark')") == there


def test_shutdown_leaves_nothing(session, user, is_alive):
    state = session.container.state()
    session.manager.shutdown_kernel()
    assert not is_alive(state.pid)
    assert not (user.containers / state.id).exists()
    assert list(user.runtime.glob("k/*")) == []


def test_what_the_kernel_prints_outside_of_cells_is_in_the_containers_log(session):
    session.run("import os; os.write(2, b'to the terminal\\n')")
    deadline = time.monotonic() + 10
    while "to the terminal" not in (log := session.container.logs()) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert "to the terminal" in log


def test_a_kernel_killed_from_inside_is_told(session, caplog):
    session.client.execute("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)")
    session.container.wait(30)
    assert not session.manager.is_alive()
    assert "SIGSEGV" in caplog.text


def test_lack_of_memory_is_told(start, caplog):
    try:
        session = start(memory="256M")
    except LimitError as error:
        pytest.skip(f"this host can't limit memory: {error.message}")
    session.client.execute("x = bytearray(1 << 30)\nfor i in range(0, len(x), 4096): x[i] = 1")
    session.container.wait(60)
    assert not session.manager.is_alive()
    assert "out of memory (limit 256 MiB, peak " in caplog.text


def test_a_limit_too_small_to_start_is_told_with_its_cause(start, start_kind):
    # A fork has its modules already: its own pages are few.
    with pytest.raises((KernelError, LimitError)) as error:
        start(memory="3M" if start_kind == "fork" else "10M")
    if isinstance(error.value, LimitError):
        pytest.skip("this host can't limit memory")
    assert "out of memory" in str(error.value) and "resources.memory" in error.value.hint


def test_a_folder_can_be_read_only_or_not_there(start, folder):
    (folder / "data.csv").write_text("a")
    session = start(mount_folder="ro")
    assert session.run("open('data.csv').read()") == "'a'"
    assert session.run("import os; os.access('.', os.W_OK)") == "False"
    session = start(mount_folder="none")
    assert session.run("import os; os.getcwd()") == "'/home/jovyan'"
    assert session.run(f"os.path.exists({str(folder)!r})") == "False"


def test_several_kernels_at_once_do_not_see_each_other(start):
    first, second = start(), start()
    first.run("open('/tmp/mark', 'w').close()")
    assert second.run("import os; os.path.exists('/tmp/mark')") == "False"


def test_signals_number_zero_and_unknown_containers_do_no_harm(session):
    session.manager.signal_kernel(0)
    session.manager.signal_kernel(signal.SIGCONT)
    assert session.run("1") == "1"
