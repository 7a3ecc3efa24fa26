"""What this host can do, by trying it; each shortfall with its remedy. The body of ``doctor``.

Nothing is concluded from a version: a kernel may be patched, a setting may be overridden, a profile may be loaded.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ..errors import ContainersError, HostError
from . import cgroup, choice, idmap, process
from .controllers import LIMITS, decide, remedy
from .model import Bind, Limits, Overlay, Sandbox
from .overlay import make_writable, remove_tree

__all__ = ["Finding", "diagnose", "host_sandbox"]

_SUN_PATH = 107
"""Bytes of a Unix socket's path (unix(7): 108 with the closing NUL)."""
_SOCKETS = len("/k/01234567/kernel-ipc-5")
"""What kernels append to the runtime folder."""
_SPACE_LITTLE, _SPACE_NONE = 5 << 30, 1 << 30


@dataclass(frozen=True, slots=True)
class Finding:
    name: str
    status: Literal["ok", "warning", "failed"]
    found: str
    remedy: str = ""


def diagnose(home: Path, runtime: Path) -> tuple[Finding, ...]:
    """Try all that sandboxes need, with *home* as the store's place and *runtime* as the sockets'.

    Takes about a fifth of a second; leaves nothing behind.
    """
    findings = [_kernel(), _bwrap(), *_disk(home), _socket_paths(runtime)]
    if all(finding.status != "failed" for finding in findings):
        findings += _sandboxes(home)
    findings += [*_limits(), _mandatory_access(), _tracing(), _surroundings()]
    return tuple(findings)


def host_sandbox(folder: Path, script: str, **options: object) -> Sandbox:
    """A sandbox in *folder* whose system is the host's own, read-only, and that runs a shell script."""
    layer = folder / "layer"
    binds = []
    for name in ("usr", "bin", "sbin", "lib", "lib32", "lib64", "nix"):
        place = Path("/", name)
        if place.is_symlink():
            (layer / name).symlink_to(place.readlink())
        elif place.is_dir():
            binds.append(Bind(place, f"/{name}"))
    upper, work = make_writable(folder)
    binds += options.pop("binds", ())  # type: ignore[arg-type]
    options.setdefault("env", {"PATH": "/usr/bin:/bin:/usr/sbin:/sbin"})
    return Sandbox(
        argv=("/bin/sh", "-c", script),
        root=Overlay((layer,), upper, work),
        store=folder,
        binds=tuple(binds),
        **options,  # type: ignore[arg-type]
    )


def _kernel() -> Finding:
    system = os.uname()
    return Finding("kernel", "ok", f"{system.sysname} {system.release} on {system.machine}")


def _bwrap() -> Finding:
    try:
        bwrap = choice.find_bwrap()
    except HostError as error:
        return Finding("user namespaces", "failed", error.message, error.hint)
    return Finding("user namespaces", "ok", f"bubblewrap {bwrap.version}, {bwrap.origin}, {bwrap.path}: {bwrap.why}")


def _disk(home: Path) -> Iterator[Finding]:
    kind = _file_system(home)
    move = "set JUPYTER_CONTAINERS_HOME to a folder on a local disk (ext4, xfs, btrfs)"
    if kind == "overlay":
        yield Finding("file system", "failed", f"{home} is on overlayfs, which can't lie below another overlay", move)
    elif kind.startswith(("nfs", "cifs", "smb", "fuse", "9p", "lustre", "gpfs", "ceph")):
        yield Finding(
            "file system", "warning", f"{home} is on {kind}: slow, and often without what overlays need", move
        )
    else:
        yield Finding("file system", "ok", f"{home} is on {kind}")
    free = shutil.disk_usage(home).free
    text = f"{free / (1 << 30):.1f} GiB free in {home}"
    more = "make room (`jupyter containers prune`), or set JUPYTER_CONTAINERS_HOME to a larger disk"
    status: Literal["ok", "warning", "failed"] = "ok"
    if free < _SPACE_LITTLE:
        status = "failed" if free < _SPACE_NONE else "warning"
    yield Finding("disk space", status, text, "" if status == "ok" else more)


def _file_system(path: Path) -> str:
    """The type of the file system that *path* is on, from /proc/self/mountinfo (proc_pid_mountinfo(5))."""
    device = path.stat().st_dev
    number = f"{os.major(device)}:{os.minor(device)}"
    best, kind = -1, "an unknown file system"
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        left, _, right = line.partition(" - ")
        fields = left.split()
        point = re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), fields[4])
        # btrfs gives each subvolume a device number that mountinfo does not have: then the longest path counts.
        score = len(point) + (1 << 20 if fields[2] == number else 0)
        if score > best and path.is_relative_to(point):
            best, kind = score, right.split()[0]
    return kind


def _socket_paths(runtime: Path) -> Finding:
    length = len(os.fsencode(runtime)) + _SOCKETS
    text = f"sockets in {runtime} have paths of {length} bytes; {_SUN_PATH} fit"
    if length > _SUN_PATH:
        return Finding("socket paths", "failed", text, "set JUPYTER_CONTAINERS_RUNTIME_DIR to a shorter path")
    return Finding("socket paths", "ok", text)


_OVERLAY_SCRIPT = """
set -e
rm -r /probe/removed; mkdir /probe/removed; test -z "$(ls /probe/removed)"; echo again > /probe/removed/file
echo changed > /probe/file; test "$(cat /probe/file)" = changed
rm /probe/gone; test ! -e /probe/gone
mkdir /probe/new; mv /probe/new /probe/moved; ln /probe/file /probe/link
"""

_FILTER_SCRIPT = """
grep -q '^Seccomp:.*2' /proc/self/status || { echo 'no filter is in force'; exit 1; }
touch /tmp/probe; chmod u+s /tmp/probe 2>/dev/null && { echo 'a set-user-ID file could be made'; exit 1; }
grep -q '^CapEff:.*[1-9a-f]' /proc/self/status && { echo 'there are capabilities left'; exit 1; }
exit 0
"""


def _sandboxes(home: Path) -> Iterator[Finding]:
    """Real sandboxes on the real disk."""
    yield _try(home, "sandbox", "true", "starts, and ends, in {:.0f} ms", _hint_sandbox)
    yield _try(home, "overlay", _OVERLAY_SCRIPT, "removed, replaced and moved files behave", _hint_overlay)
    yield _try(home, "system call filter", _FILTER_SCRIPT, "in force; no capability is left", _hint_filter)
    yield _try(home, "network namespace", _NETWORK_SCRIPT, "a container sees its loopback only", _hint_network)
    if idmap.is_needed():
        yield _idmapped(home)


_NETWORK_SCRIPT = """
names=$(sed -n 's/^ *\\([^ :]*\\):.*/\\1/p' /proc/net/dev | tr '\\n' ' ')
test "$names" = 'lo ' || { echo "it sees the interfaces $names"; exit 1; }
"""


def _try(home: Path, name: str, script: str, good: str, hint: Callable[[], str]) -> Finding:
    output: list[bytes] = []
    with tempfile.TemporaryDirectory(prefix="doctor-", dir=home, ignore_cleanup_errors=True) as folder:
        _fill(Path(folder))
        try:
            sandbox = host_sandbox(Path(folder), script)
            begin = time.perf_counter()
            code = process.run(sandbox, on_output=output.append, timeout=30)
            elapsed = (time.perf_counter() - begin) * 1000
        except ContainersError as error:
            return Finding(name, "failed", error.message, error.hint)
        finally:
            remove_tree(Path(folder, "work"))
    if code != 0:
        said = b"".join(output).decode(errors="replace").strip().replace("\n", "; ")
        return Finding(name, "failed", said or f"exit status {code}", hint())
    return Finding(name, "ok", good.format(elapsed))


def _fill(folder: Path) -> None:
    for path in ("tmp", "probe/removed"):
        (folder / "layer" / path).mkdir(parents=True)
    for path in ("probe/file", "probe/gone", "probe/removed/old"):
        (folder / "layer" / path).write_text("old\n")


def _hint_sandbox() -> str:
    return choice.remedy()


def _hint_overlay() -> str:
    return "set JUPYTER_CONTAINERS_HOME to a folder on ext4, xfs or btrfs, and use Linux 5.11 or newer"


def _hint_filter() -> str:
    return "use a kernel with CONFIG_SECCOMP_FILTER"


def _hint_network() -> str:
    return "use a kernel with CONFIG_NET_NS"


def _idmapped(home: Path) -> Finding:
    """As root: whose are the files that a sandbox makes in a mounted folder?"""
    name = "idmapped mounts"
    with tempfile.TemporaryDirectory(prefix="doctor-", dir=home, ignore_cleanup_errors=True) as folder:
        store, shared = Path(folder, "store"), Path(folder, "shared")
        shared.mkdir()
        _fill(store)
        try:
            sandbox = host_sandbox(store, "touch /shared/file", binds=[Bind(shared, "/shared", writable=True)])
            code = process.run(sandbox, on_output=lambda data: None, timeout=30)
        except ContainersError as error:
            return Finding(name, "failed", error.message, error.hint)
        finally:
            remove_tree(store / "work")
        made = shared / "file"
        if code != 0 or not made.exists() or made.stat().st_uid != shared.stat().st_uid:
            return Finding(
                name, "failed", "a file made in a mounted folder has another owner", "run as an ordinary user"
            )
    return Finding(name, "ok", f"containers run as {idmap.UNPRIVILEGED_ID}, their files belong to the folder's owner")


def _limits() -> Iterator[Finding]:
    facts = cgroup.with_scope()
    asked = Limits(memory=1 << 30, cpus=1.0, pids=100)
    enforcement = decide(asked, facts)
    for limit in LIMITS:
        means = enforcement.means.get(limit, "")
        note = enforcement.notes.get(limit, "")
        name = f"limit on {limit}"
        if limit in enforcement.unenforced:
            text = f"can't be enforced: {note}"
            yield Finding(name, "warning", text, remedy([limit], facts))
        else:
            yield Finding(name, "ok", f"enforced by {means}" + (f" ({note})" if note else ""))


def _mandatory_access() -> Finding:
    parts = []
    profile = _read("/proc/self/attr/current").strip("\0")
    if _read("/sys/module/apparmor/parameters/enabled") == "Y":
        restricted = _read("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") == "1"
        parts.append(f"AppArmor, this process is {profile or 'unconfined'}")
        if restricted:
            parts.append("user namespaces of unknown programs are restricted")
    enforcing = _read("/sys/fs/selinux/enforce")
    if enforcing:
        parts.append(f"SELinux {'enforcing' if enforcing == '1' else 'permissive'}, this process is {profile}")
    return Finding("mandatory access control", "ok", "; ".join(parts) or "none")


def _tracing() -> Finding:
    scope = _read("/proc/sys/kernel/yama/ptrace_scope")
    if scope in ("2", "3"):
        hint = "as root: sysctl -w kernel.yama.ptrace_scope=1"
        return Finding(
            "debugger", "warning", f"kernel.yama.ptrace_scope is {scope}: native debuggers can't attach", hint
        )
    return Finding("debugger", "ok", f"kernel.yama.ptrace_scope is {scope}" if scope else "attaching is not restricted")


def _surroundings() -> Finding:
    inside = next((path for path in ("/.dockerenv", "/run/.containerenv") if Path(path).exists()), "")
    first = _read("/proc/1/comm")
    kind = "a container" if inside else _virtualization() or "no container that is known"
    return Finding("surroundings", "ok", f"{kind}; process 1 is {first or 'hidden'}")


def _virtualization() -> str:
    program = shutil.which("systemd-detect-virt")
    if program is None:
        return ""
    done = subprocess.run([program, "--container"], capture_output=True, text=True, timeout=10, check=False)
    return "" if done.stdout.strip() in ("", "none") else f"a container ({done.stdout.strip()})"


def _read(path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return ""
