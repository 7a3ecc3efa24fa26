"""What a container sees and can do, asked from inside; run as root and as an ordinary user (test_as_user.py)."""

from __future__ import annotations

import errno
import os
import platform
import signal
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jupyter_containers.errors import HostError
from jupyter_containers.sandbox import idmap
from jupyter_containers.sandbox.model import Bind
from jupyter_containers.sandbox.process import run, spawn

Python = Callable[..., Any]

STATUS = """
status = dict(line.rstrip().split(":", 1) for line in open("/proc/self/status"))
result = {name: value.strip() for name, value in status.items()}
"""

CALLS = """
import ctypes, os, stat
libc = ctypes.CDLL(None, use_errno=True)
def call(*args):
    ctypes.set_errno(0)
    return 0 if libc.syscall(*args) >= 0 else ctypes.get_errno()
def named(name, *args):
    ctypes.set_errno(0)
    return 0 if getattr(libc, name)(*args) >= 0 else ctypes.get_errno()
open("/tmp/file", "w").close()
X = os.uname().machine == "x86_64"
"""


def test_the_user_has_no_rights_whatsoever(python: Python) -> None:
    status = python(STATUS)
    assert status["Uid"].split() == ["1000"] * 4
    assert status["Gid"].split() == ["1000"] * 4
    for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(status[name], 16) == 0, name
    assert status["NoNewPrivs"] == "1"
    assert status["Seccomp"] == "2"


def test_uid_0_inside_has_no_rights_either(python: Python) -> None:
    status = python(STATUS, uid=0, gid=0)
    assert status["Uid"].split() == ["0"] * 4
    for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(status[name], 16) == 0, name


def test_the_environment_is_what_was_given(python: Python, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_OF_THE_HOST", "s3cret")
    found = python("import os; result = dict(os.environ)", env={"A": "b"})
    assert {k: v for k, v in found.items() if k != "LC_CTYPE"} == {"A": "b", "PWD": "/"}


def test_no_process_of_the_host_is_seen(python: Python) -> None:
    pids = python("import os; result = [int(name) for name in os.listdir('/proc') if name.isdigit()]")
    assert sorted(pids) == [1, 2]


def test_only_the_loopback_exists_and_it_is_up(python: Python) -> None:
    code = """
import socket
server = socket.create_server(("127.0.0.1", 0))
client = socket.create_connection(server.getsockname())
result = [name for _, name in socket.if_nameindex()]
"""
    assert python(code) == ["lo"]


def test_no_descriptor_of_the_host_is_inherited(python: Python) -> None:
    secret = os.open("/etc/passwd", os.O_RDONLY)
    os.set_inheritable(secret, True)
    try:
        found = python("import os; fds = os.listdir('/proc/self/fd'); result = len(fds)")
    finally:
        os.close(secret)
    assert found == 4  # 0, 1, 2 and that of the listing itself


def test_files_of_the_host_are_not_seen(python: Python, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s3cret")
    code = f"""
import os
result = [os.path.exists({str(tmp_path / "secret")!r}), sorted(os.listdir("/home")), os.path.exists("/oldroot"),
          os.path.exists("/newroot"), sorted(os.listdir("/run"))]
"""
    assert python(code) == [False, [], False, False, []]


def test_the_hosts_name_is_not_seen(python: Python) -> None:
    assert python("import os; result = os.uname().nodename", hostname="box") == "box"


def test_settings_of_the_kernel_are_read_only(python: Python) -> None:
    code = """
import os
result = {}
for path in ("/proc/sys/net/ipv4/ip_forward", "/proc/sys/kernel/hostname", "/proc/sys/user/max_user_namespaces",
             "/proc/sys/kernel/shmmax", "/proc/sysrq-trigger"):
    try:
        os.close(os.open(path, os.O_WRONLY)); result[path] = 0
    except OSError as error:
        result[path] = error.errno
"""
    for path, number in python(code).items():
        assert number in (errno.EROFS, errno.EACCES, errno.ENOENT), path


def test_telling_files_of_proc_are_empty(python: Python) -> None:
    code = """
result = {}
for path in ("/proc/keys", "/proc/interrupts", "/proc/kcore", "/proc/timer_list"):
    try:
        result[path] = len(open(path, "rb").read(64))
    except OSError as error:
        result[path] = 0
"""
    assert set(python(code).values()) == {0}


def test_dangerous_calls_fail(python: Python) -> None:
    code = (
        CALLS
        + """
result = {
    "mount": named("mount", b"x", b"/tmp", b"tmpfs", 0, None),
    "umount": named("umount2", b"/usr", 2),
    "unshare": named("unshare", 0x10000000),
    "setns": named("setns", os.open("/proc/self/ns/user", os.O_RDONLY), 0),
    "pivot_root": call(155 if X else 41, b"/tmp", b"/tmp"),
    "open_tree": call(428, -100, b"/", 1),
    "bpf": call(321 if X else 280, 0, None, 0),
    "perf_event_open": call(298 if X else 241, None, 0, 0, 0, 0),
    "keyctl": call(250 if X else 219, 0, -3, 1),
    "sethostname": named("sethostname", b"x", 1),
    "chroot": named("chroot", b"/tmp"),
    "device": named("mknod", b"/tmp/null", 0o020666, 0x103),
}
"""
    )
    found = python(code)
    assert set(found.values()) == {errno.EPERM}, found


def test_calls_with_a_substitute_are_absent(python: Python) -> None:
    code = CALLS + "result = [call(435, None, 0), call(425, 1, None), call(437, -100, b'/tmp/file', None, 24)]"
    assert python(code) == [errno.ENOSYS] * 3


def test_no_file_gets_a_set_user_id_bit(python: Python) -> None:
    code = (
        CALLS
        + """
result = {
    "chmod": named("chmod", b"/tmp/file", 0o4755),
    "chmod gid": named("chmod", b"/tmp/file", 0o2755),
    "fchmod": named("fchmod", os.open("/tmp/file", os.O_RDWR), 0o4755),
    "fchmodat": named("fchmodat", -100, b"/tmp/file", 0o4755, 0),
    "fchmodat2": call(452, -100, b"/tmp/file", 0o4755, 0),
    "open": named("open", b"/tmp/new", os.O_CREAT | os.O_WRONLY, 0o4755),
    "openat": named("openat", -100, b"/tmp/new", os.O_CREAT | os.O_WRONLY, 0o4755),
    "tmpfile": named("open", b"/tmp", os.O_TMPFILE | os.O_WRONLY, 0o4755),
    "creat": named("creat", b"/tmp/new", 0o4755),
    "mknod": named("mknod", b"/tmp/new", 0o104755, 0),
}
ordinary = [named("chmod", b"/tmp/file", 0o1755), named("open", b"/tmp/good", os.O_CREAT | os.O_WRONLY, 0o755)]
result["ordinary"] = 1 if ordinary == [0, 0] else ordinary
result["exists"] = 1 if not os.path.exists("/tmp/new") else 0
"""
    )
    found = python(code)
    assert set(found.values()) == {errno.EPERM}, found


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the 32-bit interface of x86-64")
def test_32_bit_calls_end_the_process(python: Python) -> None:
    code = """
import ctypes, mmap, os, struct
page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
page.write(bytes.fromhex("b814000000cd80c3"))  # mov eax, 20 (getpid); int 0x80; ret
address = ctypes.addressof(ctypes.c_char.from_buffer(page))
pid = os.fork()
if pid == 0:
    ctypes.CFUNCTYPE(ctypes.c_int)(address)()
    os._exit(0)
status = os.waitpid(pid, 0)[1]
result = os.WTERMSIG(status) if os.WIFSIGNALED(status) else -1
"""
    assert python(code) == signal.SIGSYS


def test_work_is_not_hindered(python: Python) -> None:
    code = """
import multiprocessing, os, subprocess, tempfile, threading
multiprocessing.set_start_method("fork")
with multiprocessing.Pool(2) as pool:
    squares = pool.map(abs, [-1, -2])
thread = threading.Thread(target=lambda: None); thread.start(); thread.join()
os.mkfifo("/tmp/fifo")
master, slave = os.openpty()
result = [squares, subprocess.run(["/bin/sh", "-c", "echo hi"], capture_output=True, text=True).stdout,
          os.path.exists("/dev/shm"), os.cpu_count() > 0, os.path.isdir("/sys/devices/system/cpu")]
"""
    assert python(code) == [[1, 2], "hi\n", True, True, True]


class TestOwners:
    def test_nothing_runs_as_root_outside(self, make: Callable[..., Any]) -> None:
        with spawn(make("sleep 60")) as process:
            for pid in (process.pid, process.child_pid, process.command_pid):
                uids = os.stat(f"/proc/{pid}").st_uid
                assert uids == (idmap.UNPRIVILEGED_ID if os.geteuid() == 0 else os.geteuid())
                assert uids != 0

    @pytest.mark.parametrize("owner", [0, 4321])
    def test_files_in_a_mounted_folder_belong_to_its_owner(
        self, output_of: Callable[..., str], tmp_path: Path, owner: int
    ) -> None:
        shared = tmp_path / "shared"
        shared.mkdir()
        (shared / "old").write_text("old")
        if os.geteuid() == 0:
            for path in (shared, shared / "old"):
                os.chown(path, owner, owner)
                path.chmod(0o700 if path.is_dir() else 0o600)
        bind = Bind(shared, "/shared", writable=True)
        said = output_of(
            "cat /shared/old; echo more >> /shared/old; mkdir /shared/d; touch /shared/d/new; stat -c %u /shared/d/new",
            binds=(bind,),
        )
        assert said == "old1000\n"
        assert {(shared / name).stat().st_uid for name in ("old", "d", "d/new")} == {shared.stat().st_uid}
        assert (shared / "old").read_text() == "oldmore\n"

    def test_a_single_file_can_be_mounted(self, output_of: Callable[..., str], tmp_path: Path) -> None:
        file = tmp_path / "file"
        file.write_text("content")
        file.chmod(0o600)
        assert output_of("cat /home/file", binds=(Bind(file, "/home/file"),)) == "content"

    def test_a_read_only_mount_is_read_only(self, output_of: Callable[..., str], tmp_path: Path) -> None:
        shared = tmp_path / "shared"
        shared.mkdir(mode=0o700)
        (shared / "file").write_text("content")
        said = output_of("cat /m/file; touch /m/new 2>/dev/null || echo refused", binds=(Bind(shared, "/m"),))
        assert said == "contentrefused\n"
        assert os.listdir(shared) == ["file"]

    def test_no_set_user_id_file_in_a_mounted_folder(self, output_of: Callable[..., str], tmp_path: Path) -> None:
        shared = tmp_path / "shared"
        shared.mkdir()
        script = "cp /bin/sh /m/sh; chmod 4755 /m/sh; install -m 4755 /bin/sh /m/other; cp -p /m/sh /m/sh2; true"
        output_of(script, binds=(Bind(shared, "/m", writable=True),))
        for path in shared.iterdir():
            assert not path.stat().st_mode & (stat.S_ISUID | stat.S_ISGID), path


def test_a_hostile_image_makes_nothing_outside(make: Callable[..., Any], store: Path, tmp_path: Path) -> None:
    """bwrap makes mount points while the host is still in reach: links of the image must not lead it there."""
    outside = tmp_path / "outside"
    outside.mkdir()
    sandbox = make("true", files={"/etc/hosts": b"x", "/rel/file": b"y"}, binds=())
    (store / "layer/etc").symlink_to(f"/oldroot{outside}")
    (store / "layer/rel").symlink_to(f"../../oldroot{outside}")
    assert run(sandbox, on_output=lambda data: None, timeout=60) == 0
    assert list(outside.iterdir()) == []


def test_read_only_folders_stay_as_they_are(make: Callable[..., Any], store: Path) -> None:
    (store / "layer/opt").mkdir()
    (store / "layer/opt/file").write_text("content")
    sandbox = make("cat /opt/file; touch /opt/new 2>/dev/null && exit 1; touch /tmp/new", read_only=("/opt",))
    said: list[bytes] = []
    assert run(sandbox, on_output=said.append, timeout=60) == 0
    assert b"".join(said) == b"content"


def test_a_checked_source_is_mounted_or_nothing_is(make: Callable[..., Any], tmp_path: Path) -> None:
    """Another container that can write the parent folder swaps the source for a link, after it was checked."""
    secret, parent = tmp_path / "secret", tmp_path / "shared"
    secret.mkdir()
    (secret / "key").write_text("the key")
    source = parent / "project"
    source.mkdir(parents=True)
    (source / "key").write_text("mine")
    sandbox = make("cat /m/key", binds=(Bind(source.resolve(), "/m", writable=True, resolved=True),))
    said: list[bytes] = []
    assert run(sandbox, on_output=said.append, timeout=60) == 0
    assert b"".join(said) == b"mine"
    for swapped in (source, parent):
        swapped.rename(tmp_path / "aside")
        swapped.symlink_to(secret if swapped == source else tmp_path / "aside")
        with pytest.raises(HostError, match="symbolic link"):
            run(sandbox, on_output=said.append, timeout=60)
        swapped.unlink()
        (tmp_path / "aside").rename(swapped)
    assert b"".join(said) == b"mine"


def test_the_first_process_is_out_of_reach(python: Callable[..., Any]) -> None:
    """It runs a program of the host, as the user that all others are: who holds it could write to that program."""
    found = python("""
import ctypes, os, struct
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
def call(*args):
    ctypes.set_errno(0)
    result = libc.syscall(*(ctypes.c_long(each) for each in args))
    return os.strerror(ctypes.get_errno()) if result < 0 else "done"
numbers = {"x86_64": (101, 310, 311), "aarch64": (117, 270, 271)}[os.uname().machine]
ATTACH, SEIZE = 16, 0x4206
space = ctypes.create_string_buffer(64)
vector = ctypes.create_string_buffer(struct.pack("QQ", ctypes.addressof(space), 8))
high = 1 << 32
result = {
    "attach": call(numbers[0], ATTACH, 1, 0, 0),
    "attach, by a number whose upper half the kernel drops": call(numbers[0], ATTACH, high + 1, 0, 0),
    "seize": call(numbers[0], SEIZE, 1, 0, 0),
    "read": call(numbers[1], 1, ctypes.addressof(vector), 1, ctypes.addressof(vector), 1, 0),
    "write": call(numbers[2], 1, ctypes.addressof(vector), 1, ctypes.addressof(vector), 1, 0),
    "pidfd": call(434, 1, 0),
    "parent": os.getppid(),
    "folder": os.listdir("/proc/1"),
    "seen": sorted(int(name) for name in os.listdir("/proc") if name.isdigit()),
}
for name in ("exe", "mem", "root", "fd", "task/1/exe"):
    for flags in (os.O_RDONLY, os.O_WRONLY):
        try:
            os.open("/proc/1/" + name, flags)
            result[f"{name} {flags}"] = "open"
        except OSError as error:
            result[f"{name} {flags}"] = error.strerror
child = os.fork()
if child == 0:
    os.read(os.pipe()[0], 1)
result["another process"] = call(numbers[0], ATTACH, child, 0, 0)
os.kill(child, 9)
""")
    assert found.pop("parent") == 1
    assert found.pop("seen")[:2] == [1, 2]
    assert found.pop("folder") == []
    assert found.pop("another process") == "done"  # a debugger works
    assert set(found.values()) <= {"Operation not permitted", "No such file or directory"}, found
