"""The ``kernel`` command: a client that starts kernels itself, by the kernelspec's argv."""

from __future__ import annotations

import os
import signal
import threading
import traceback

import pytest
from jupyter_client.blocking import BlockingKernelClient
from jupyter_client.connect import write_connection_file

from jupyter_containers.errors import InputError, KernelError
from jupyter_containers.kernels.options import KernelOptions
from jupyter_containers.kernels.standalone import run_kernel

PATIENCE = 300
"""Seconds that an answer may take on a host with much else to do; none is waited for so long otherwise."""

pytestmark = pytest.mark.usefixtures("environment")


@pytest.mark.parametrize("transport", ["tcp", "ipc"])
def test_a_client_talks_to_the_container_on_the_ports_it_chose(processes, folder, monkeypatch, tmp_path, transport):
    monkeypatch.chdir(folder)
    file, _ = write_connection_file(
        str(tmp_path / "c.json"), key=b"secret", transport=transport,
        ip="127.0.0.1" if transport == "tcp" else str(tmp_path / "s"),
    )  # fmt: skip
    found = {}

    def use() -> None:
        client = BlockingKernelClient(connection_file=file)
        client.load_connection_file()
        client.hb_channel.time_to_dead = PATIENCE  # else a busy host's kernel counts as dead after a second
        client.start_channels()
        client.wait_for_ready(timeout=PATIENCE)
        request = client.execute("import time\nprint('runs', flush=True)\ntime.sleep(1000)", stop_on_error=False)
        while client.get_iopub_msg(timeout=PATIENCE)["msg_type"] != "stream":
            pass
        os.kill(os.getpid(), signal.SIGINT)
        reply = client.get_shell_msg(timeout=PATIENCE)
        while reply["parent_header"]["msg_id"] != request:  # it had asked for kernel_info more than once
            reply = client.get_shell_msg(timeout=PATIENCE)
        found["interrupted"] = reply["content"]["ename"]
        code = "big = 'x' * 10_000_000; print(big)"
        reply = client.execute_interactive(code, timeout=PATIENCE, output_hook=lambda m: None)
        found["status"] = reply["content"]["status"]
        client.shutdown()
        client.stop_channels()

    def try_to_use() -> None:
        try:
            use()
        except BaseException as error:
            found["error"] = error
            traceback.print_exc()
            for container in list(processes.runtime.containers):
                container.kill()  # the kernel waits for its client, and the test for the kernel

    thread = threading.Thread(target=try_to_use, daemon=True)
    thread.start()
    code = run_kernel(KernelOptions(environment="small"), tmp_path / "c.json")
    thread.join()
    assert found == {"interrupted": "KeyboardInterrupt", "status": "ok"}
    assert code == 0
    assert not processes.runtime.containers and not list(processes.paths.runtime.glob("k/*"))


def test_a_kernel_that_ends_at_once_is_told_with_its_output(processes, folder, monkeypatch, tmp_path, change_spec):
    monkeypatch.chdir(folder)
    argv = '["/usr/bin/python3", "-c", "raise SystemExit(\'broken\')", "{connection_file}"]'
    change_spec(f'name = "small"\n[kernel]\nargv = {argv}\n')
    write_connection_file(str(tmp_path / "c.json"), key=b"secret")
    with pytest.raises(KernelError, match="broken"):
        run_kernel(KernelOptions(environment="small"), tmp_path / "c.json")


@pytest.mark.parametrize("content", [None, "", "[]", '{"transport": "tcp"}'])
def test_bad_connection_files(processes, tmp_path, content):
    file = tmp_path / "c.json"
    if content is not None:
        file.write_text(content)
    with pytest.raises(InputError, match=r"connection file .*c\.json"):
        run_kernel(KernelOptions(environment="small"), file)
