"""The launcher: what starts sandboxes as root."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jupyter_containers.errors import HostError
from jupyter_containers.sandbox import launcher, life
from jupyter_containers.sandbox.cgroup import Group
from jupyter_containers.sandbox.controllers import Enforcement
from jupyter_containers.sandbox.enter import arguments
from jupyter_containers.sandbox.model import Bind, Limits
from jupyter_containers.sandbox.process import run, spawn

pytestmark = [pytest.mark.root, pytest.mark.skipif(os.geteuid() != 0, reason="only root needs a launcher")]

Make = Callable[..., Any]


def launcher_pid() -> int:
    launcher.ahead()
    process = launcher._launcher._process
    assert process is not None
    return process.pid


def writing(number: int) -> tuple[str, ...]:
    """A command that writes a descriptor's number to it (a shell takes numbers of one digit only)."""
    return (os.path.realpath(sys.executable), "-I", "-S", "-c", f"import os; os.write({number}, b'{number}')")


def test_what_is_launched_is_a_child_of_the_caller(make: Make) -> None:
    process = spawn(make("sleep 1000"))
    try:
        assert life._parent(process.pid) == os.getpid() != launcher_pid()
    finally:
        process.kill()
    assert process.poll() == 137


def test_sandboxes_outlive_a_killed_launcher_and_another_takes_its_place(make: Make) -> None:
    process = spawn(make("sleep 1000"))
    before = launcher_pid()
    os.kill(before, signal.SIGKILL)
    time.sleep(0.1)
    try:
        for _ in range(2):  # the first is done by what it had forked ahead
            assert spawn(make("exit 3")).wait(30) == 3
        assert launcher_pid() != before
        assert process.poll() is None
    finally:
        process.kill()


def test_a_launcher_that_is_stopped_leaves_no_zombie_and_ends_no_sandbox(make: Make) -> None:
    process = spawn(make("sleep 1000"))
    before = launcher_pid()
    launcher.stop()
    try:
        assert not Path(f"/proc/{before}").exists()
        assert process.poll() is None
        children = subprocess.run(["ps", "--ppid", str(os.getpid()), "-o", "stat="], capture_output=True, text=True)
        assert "Z" not in children.stdout
    finally:
        process.kill()


def test_a_sandbox_outlives_the_thread_that_asked_for_it(make: Make) -> None:
    launcher.stop()
    started = []
    thread = threading.Thread(target=lambda: started.append(spawn(make("sleep 1000"))))
    thread.start()
    thread.join()
    time.sleep(0.2)
    try:
        assert started[0].poll() is None
    finally:
        started[0].kill()


def test_a_forked_child_has_a_launcher_of_its_own(make: Make) -> None:
    before = launcher_pid()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            process = spawn(make("exit 5"))
            code = 0 if process.wait(30) == 5 and launcher_pid() != before else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert spawn(make("exit 4")).wait(30) == 4
    assert launcher_pid() == before


def test_nothing_is_left_of_a_killed_owner(store: Path) -> None:
    code = f"""
        import os, sys
        from pathlib import Path
        from jupyter_containers.sandbox import launcher
        from jupyter_containers.sandbox.probe import host_sandbox
        from jupyter_containers.sandbox.process import spawn

        first = spawn(host_sandbox(Path({str(store)!r}), "sleep 1000"))
        print(first.pid, first.child_pid, launcher._launcher._process.pid, flush=True)
        os.kill(os.getpid(), 9)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=False)
    assert done.returncode == -9, done.stderr
    deadline = time.monotonic() + 10
    for pid in done.stdout.split():
        while Path(f"/proc/{pid}").exists():
            assert time.monotonic() < deadline
            time.sleep(0.01)


def test_descriptors_keep_their_numbers_whatever_the_launcher_has_open(make: Make) -> None:
    launcher_pid()
    for wanted in (3, 4, 5, 6, 7, 900):
        read, write = os.pipe()
        saved = os.dup(wanted) if Path(f"/proc/self/fd/{wanted}").exists() else -1
        os.dup2(write, wanted)
        try:
            process = spawn(make(argv=writing(wanted)), pass_fds=[wanted])
            assert process.wait(30) == 0
            assert os.read(read, 100) == b"%d" % wanted
        finally:
            if saved >= 0:
                os.dup2(saved, wanted)
                os.close(saved)
            else:
                os.close(wanted)
            os.close(read)
            if write != wanted:
                os.close(write)


def test_limits_of_descriptors_are_the_callers_own(make: Make) -> None:
    import resource

    launcher_pid()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft - 3, hard))
    said: list[bytes] = []
    try:
        assert run(make("ulimit -Sn"), on_output=said.append, timeout=30) == 0
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert int(b"".join(said)) == soft - 3


def test_what_the_launcher_cannot_do_is_told(make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "folder"
    target.mkdir()
    link = tmp_path / "link"
    link.symlink_to(target)
    with pytest.raises(HostError, match=f"cannot mount {link}: .*symbolic link"):
        spawn(make(binds=(Bind(link, "/mnt", resolved=True),)))


def test_many_descriptors(make: Make) -> None:
    """More than one message holds."""
    reads, fds = zip(*(os.pipe() for _ in range(300)), strict=True)
    try:
        process = spawn(make(argv=writing(fds[-1])), pass_fds=fds)
        assert process.wait(30) == 0
        assert os.read(reads[-1], 10) == b"%d" % fds[-1]
    finally:
        for fd in (*reads, *fds):
            os.close(fd)


def run_in(process: life.Process, group: Group, *argv: str) -> bytes:
    command = arguments(process.child_pid, argv, env={"PATH": "/usr/bin:/bin"}, group=group)
    return subprocess.run(command, capture_output=True, check=True).stdout


def test_it_starts_in_a_v2_group(make: Make) -> None:
    lines = [line.split() for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    mounts = [words[4] for words in lines if words[words.index("-") + 1] == "cgroup2"]
    if not mounts:
        pytest.skip("no cgroup2 is mounted")
    folder = Path(mounts[0], f"jc-test-{os.getpid()}")
    folder.mkdir()
    group = Group("test", Limits(), Enforcement(), {"unified": folder})
    try:
        process = spawn(make("sleep 1000"), group=group)
        try:
            for pid in (process.pid, process.child_pid, process.command_pid):
                assert f"0::/{folder.name}" in Path(f"/proc/{pid}/cgroup").read_text().splitlines()
            assert b"0::/\n" in run_in(process, group, "cat", "/proc/self/cgroup")  # its cgroup namespace begins there
        finally:
            process.kill()
    finally:
        group.remove()
    assert not folder.exists()
