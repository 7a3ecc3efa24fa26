"""Life and death of sandboxes."""

from __future__ import annotations

import contextlib
import os
import pty
import select
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

from jupyter_containers.errors import CancelledError, ContainerError, HostError
from jupyter_containers.sandbox.enter import arguments
from jupyter_containers.sandbox.model import Bind, Tmpfs
from jupyter_containers.sandbox.process import run, spawn

Make = Callable[..., Any]


def alive(marker: str) -> list[int]:
    """Processes of this host whose command line has *marker*."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) != os.getpid():
            with contextlib.suppress(OSError):
                if marker in Path("/proc", name, "cmdline").read_text(errors="replace"):
                    found.append(int(name))
    return found


def gone(marker: str, patience: float = 10) -> bool:
    deadline = time.monotonic() + patience
    while alive(marker):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


@pytest.mark.parametrize(
    ("script", "code"), [("exit 0", 0), ("exit 7", 7), ("kill -TERM $$", 143), ("kill -KILL $$", 137)]
)
def test_exit_codes_are_those_of_shells(make: Make, script: str, code: int) -> None:
    process = spawn(make(script))
    assert process.wait(30) == code
    assert process.poll() == code


@pytest.mark.parametrize("place", ["value", "name", "word", "program", "cwd", "target"])
def test_words_cannot_become_options(make: Make, place: str) -> None:
    """bwrap reads its options with a NUL between them: a NUL in a variable must not make two words of one."""
    smuggled = "b\0--ro-bind\0/\0/mnt"
    sandbox = make("ls /mnt")
    changes: dict[str, Any] = {
        "value": {"env": {**sandbox.env, "A": smuggled}}, "name": {"env": {**sandbox.env, smuggled: "x"}},
        "word": {"argv": (*sandbox.argv, smuggled)}, "program": {"argv": (smuggled,)}, "cwd": {"cwd": f"/{smuggled}"},
        "target": {"tmpfs": (Tmpfs(f"/{smuggled}"),)},
    }  # fmt: skip
    with pytest.raises((ContainerError, ValueError), match=r"NUL|null"):
        spawn(sandbox._replace(**changes[place]))


def test_the_command_as_process_1(make: Make) -> None:
    said: list[bytes] = []
    assert run(make("echo $$; exit 5", pid_1=True), on_output=said.append, timeout=30) == 5
    assert said == [b"1\n"]


def test_signals_reach_the_command(make: Make) -> None:
    process = spawn(make("trap 'exit 44' TERM; while :; do sleep 0.05; done"))
    time.sleep(0.2)  # until the shell has set its trap
    process.signal(signal.SIGTERM)
    assert process.wait(30) == 44


def test_kill_leaves_nothing(make: Make) -> None:
    marker = f"12{os.getpid()}.5"
    mounts = Path("/proc/self/mountinfo").read_text()
    process = spawn(make(f"for i in 1 2 3; do (setsid sleep {marker} &) ; done; sleep {marker}"))
    while len(alive(f"sleep\0{marker}")) < 4:
        time.sleep(0.01)
    process.kill()
    assert process.poll() == 137
    assert gone(marker)
    assert Path("/proc/self/mountinfo").read_text() == mounts


def test_another_bwrap_is_found_when_the_expected_one_fails(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from jupyter_containers.sandbox import choice

    broken = tmp_path / "bwrap"
    broken.write_text("#!/bin/sh\necho 'bwrap: No permissions to create a new namespace' >&2\nexit 1\n")
    broken.chmod(0o755)
    working = choice.find_bwrap().path
    choice.find_bwrap.cache_clear()
    monkeypatch.setattr(choice, "_candidates", lambda: [("bundled", broken), ("system", working)])
    monkeypatch.setattr(choice, "_bundled", choice._bundled.__wrapped__)
    assert spawn(make("exit 6")).wait(30) == 6
    assert choice.find_bwrap().origin == "system"
    monkeypatch.setattr(choice, "_candidates", lambda: [("bundled", broken)])
    choice.find_bwrap.cache_clear()
    with pytest.raises(HostError, match="no bwrap can make a user namespace"):
        spawn(make("exit 6"))
    choice.find_bwrap.cache_clear()


def test_a_command_that_is_not_there(make: Make) -> None:
    with pytest.raises(ContainerError, match="nosuchcommand") as caught:
        run(make(argv=("nosuchcommand",)), on_output=lambda data: None)
    assert caught.value.exit_code == 127


def test_a_command_that_is_no_program(make: Make, store: Path) -> None:
    sandbox = make(argv=("/home/text",))
    (store / "layer/home/text").write_text("text")
    with pytest.raises(ContainerError) as caught:
        run(sandbox, on_output=lambda data: None)
    assert caught.value.exit_code == 126


def test_the_cause_is_read_from_a_log_file(make: Make, tmp_path: Path) -> None:
    with open(tmp_path / "log", "ab") as log:
        log.write(b"bwrap: an older line\n")
        log.flush()
        with pytest.raises(ContainerError, match="nosuchcommand"):
            spawn(make(argv=("nosuchcommand",)), stdout=log.fileno(), stderr=log.fileno())


def test_a_working_directory_that_is_not_there(make: Make) -> None:
    with pytest.raises(ContainerError, match="/no/such/folder"):
        run(make(cwd="/no/such/folder"), on_output=lambda data: None)


def test_a_mount_whose_source_is_not_there(make: Make, tmp_path: Path) -> None:
    with pytest.raises(HostError, match="missing"):
        run(make(binds=(Bind(tmp_path / "missing", "/x"),)), on_output=lambda data: None)


def test_failures_of_the_command_are_not_taken_for_ours(make: Make) -> None:
    said: list[bytes] = []
    assert run(make("echo 'bwrap: no such thing' >&2; exit 1"), on_output=said.append) == 1


@pytest.mark.parametrize("mask", [0o000, 0o077])
def test_the_caller_s_umask_has_no_say(output_of: Callable[..., str], mask: int) -> None:
    before = os.umask(mask)
    try:
        assert output_of("umask").strip() == "0022"
    finally:
        os.umask(before)


def test_a_time_out_ends_it(make: Make) -> None:
    marker = f"13{os.getpid()}.5"
    with pytest.raises(ContainerError, match=r"within 0\.5 s") as caught:
        run(make(f"echo before; sleep {marker}"), on_output=lambda data: None, timeout=0.5)
    assert "before" in caught.value.output
    assert gone(marker)


def test_it_can_be_cancelled(make: Make) -> None:
    marker = f"14{os.getpid()}.5"
    cancel = threading.Event()
    threading.Timer(0.3, cancel.set).start()
    with pytest.raises(CancelledError):
        run(make(f"sleep {marker}"), on_output=lambda data: None, cancel=cancel)
    assert gone(marker)


def test_it_dies_with_its_owner(make: Make, store: Path, tmp_path: Path) -> None:
    marker = f"15{os.getpid()}.5"
    sandbox = make(f"sleep {marker}")
    program = textwrap.dedent("""
        import os, pickle, sys
        from jupyter_containers.sandbox.process import spawn
        process = spawn(pickle.load(open(sys.argv[1], "rb")))
        print("ready", flush=True)
        sys.stdin.read()
    """)
    import pickle

    # The read-only default of mappings can't be pickled.
    root = sandbox.root._replace(read_only=dict(sandbox.root.read_only))
    plain = sandbox._replace(root=root, env=dict(sandbox.env), files=dict(sandbox.files))
    (tmp_path / "sandbox").write_bytes(pickle.dumps(plain))
    owner = subprocess.Popen(
        [sys.executable, "-c", program, tmp_path / "sandbox"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    assert owner.stdout is not None
    assert owner.stdout.readline() == b"ready\n"
    assert alive(marker)
    owner.kill()
    owner.communicate()
    assert gone(marker)


def test_the_exit_code_can_be_read_by_another_owner(make: Make, tmp_path: Path) -> None:
    process = spawn(make("exit 9"), status=tmp_path / "status")
    process.wait(30)
    assert '"exit-code": 9' in (tmp_path / "status").read_text()


def test_options_and_environment_do_not_show_in_ps(make: Make) -> None:
    with spawn(make("sleep 60", env={"PATH": "/bin:/usr/bin", "TOKEN": "s3cr3t-token"})):
        assert not alive("s3cr3t-token")


def test_descriptors_are_given_back(make: Make) -> None:
    def opened() -> int:
        return len(os.listdir("/proc/self/fd"))

    spawn(make()).wait(30)
    before = opened()
    for _ in range(5):
        process = spawn(make())
        process.wait(30)
        del process
    assert opened() <= before  # threads of other tests may close theirs


def test_a_terminal_of_its_own(make: Make) -> None:
    """Ctrl-C on the pseudo-terminal interrupts the foreground job, and only that."""
    master, slave = pty.openpty()
    sandbox = make("trap 'echo interrupted; exit 3' INT; tty >/dev/null && echo ready; while :; do sleep 0.05; done")
    process = spawn(sandbox, stdin=slave, stdout=slave, stderr=slave, terminal=True)
    os.close(slave)

    def read_until(text: bytes) -> bytes:
        seen = b""
        while text not in seen and select.select([master], [], [], 20)[0]:
            seen += os.read(master, 1024)
        return seen

    assert b"ready" in read_until(b"ready")
    os.write(master, b"\x03")
    assert b"interrupted" in read_until(b"interrupted")
    assert process.wait(30) == 3
    os.close(master)


def test_writable_layers_are_kept_and_removed(make: Make, store: Path) -> None:
    from jupyter_containers.sandbox.difference import changes
    from jupyter_containers.sandbox.overlay import remove_tree

    sandbox = make("echo new > /home/new; rm -r /data/old; echo more >> /data/file; mkdir /data/dir")
    (store / "layer/data/old").mkdir(parents=True)
    (store / "layer/data/old/x").write_text("x")
    (store / "layer/data/file").write_text("x")
    assert run(sandbox, on_output=lambda data: None, timeout=30) == 0
    targets = [bind.target for bind in sandbox.binds]
    assert changes(sandbox.root.layers, store / "upper", mounts=targets) == [
        ("C", "/data"), ("A", "/data/dir"), ("C", "/data/file"), ("D", "/data/old"), ("C", "/home"), ("A", "/home/new"),
    ]  # fmt: skip
    remove_tree(store)
    assert not store.exists()


class TestEnter:
    def test_the_same_rights_and_no_more(self, make: Make) -> None:
        script = "grep -E '^(Uid|Cap|NoNewPrivs|Seccomp):?' /proc/self/status; env | grep -v ^PWD"
        inside: list[bytes] = []
        run(make(script), on_output=inside.append, timeout=30)
        with spawn(make("sleep 60")) as process:
            argv = arguments(
                process.child_pid, ["/bin/sh", "-c", script], env={"PATH": "/usr/bin:/bin:/usr/sbin:/sbin"}
            )
            entered = subprocess.run(argv, capture_output=True, timeout=30, check=True)
        assert sorted(entered.stdout.splitlines()) == sorted(b"".join(inside).splitlines())

    def test_every_namespace_is_joined(self, make: Make) -> None:
        script = "for n in user mnt pid ipc uts net cgroup; do readlink /proc/self/ns/$n; readlink /proc/2/ns/$n; done"
        with spawn(make("sleep 60")) as process:
            argv = arguments(process.child_pid, ["sh", "-c", script], env={"PATH": "/usr/bin:/bin"})
            lines = subprocess.run(argv, capture_output=True, timeout=30, check=True).stdout.split()
        assert len(lines) == 14
        assert lines[0::2] == lines[1::2]

    def test_only_the_three_descriptors_come_along(self, make: Make) -> None:
        with spawn(make("sleep 60")) as process:
            argv = arguments(process.child_pid, ["ls", "/proc/self/fd"], env={"PATH": "/usr/bin:/bin"})
            assert subprocess.run(argv, capture_output=True, timeout=30, check=True).stdout == b"0\n1\n2\n3\n"

    @pytest.mark.parametrize(
        ("argv", "code"),
        [(["sh", "-c", "exit 8"], 8), (["sh", "-c", "kill -9 $$"], 137), (["nosuch"], 127), (["/usr"], 126)],
    )
    def test_exit_codes(self, make: Make, argv: list[str], code: int) -> None:
        with spawn(make("sleep 60")) as process:
            command = arguments(process.child_pid, argv, env={"PATH": "/usr/bin:/bin"})
            assert subprocess.run(command, stderr=subprocess.DEVNULL, timeout=30, check=False).returncode == code

    def test_the_container_cannot_bring_its_modules(self, make: Make, store: Path) -> None:
        """The joining process runs Python in the container's mounts: it must import nothing from there."""
        sandbox = make("sleep 60")
        evil = "import os; open('/home/evil', 'w'); os._exit(99)"
        for folder in {path.lstrip("/") for path in sys.path if path and not path.startswith("/usr")}:
            for module in ("signal", "warnings", "contextlib", "encodings/idna"):
                place = store / "layer" / folder / f"{module}.py"
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_text(evil)
        with spawn(sandbox) as process:
            command = arguments(process.child_pid, ["sh", "-c", "exit 4"], env={"PATH": "/usr/bin:/bin"})
            assert subprocess.run(command, timeout=30, check=False).returncode == 4
        assert not (store / "upper/home/evil").exists()

    def test_signals_are_passed_on(self, make: Make) -> None:
        with spawn(make("sleep 60")) as process:
            argv = arguments(
                process.child_pid,
                ["sh", "-c", "trap 'exit 21' TERM; echo up; while :; do sleep 0.05; done"],
                env={"PATH": "/usr/bin:/bin"},
            )
            entered = subprocess.Popen(argv, stdout=subprocess.PIPE)
            assert entered.stdout is not None
            assert entered.stdout.readline() == b"up\n"
            entered.terminate()
            assert entered.wait(30) == 21
            entered.stdout.close()

    def test_a_sandbox_that_has_ended(self, make: Make) -> None:
        process = spawn(make("sleep 60"))
        pid = process.child_pid
        late = arguments(pid, ["true"], env={})
        process.kill()
        assert subprocess.run(late, stderr=subprocess.DEVNULL, timeout=30, check=False).returncode == 125
        with pytest.raises(HostError, match="has ended"):
            arguments(pid, ["true"], env={})


class TestBuildFilter:
    def test_a_package_manager_believes_to_be_root(self, make: Make) -> None:
        script = """
            set -e
            touch /tmp/f; chown 33:33 /tmp/f; test "$(stat -c %u /tmp/f)" = 0
            chmod 4755 /tmp/f; test -u /tmp/f
            mknod /tmp/null c 1 3
            test ! -e /tmp/null
            sync
            mount -t tmpfs x /tmp 2>/dev/null && exit 1
            id -u
        """
        said: list[bytes] = []
        assert run(make(script, uid=0, gid=0, filter="build"), on_output=said.append, timeout=30) == 0, said
        assert b"".join(said) == b"0\n"
