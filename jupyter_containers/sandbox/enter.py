"""`exec`: run one more command in a sandbox that runs, with the rights of its own command and no more.

:func:`arguments` writes the orders to a private file (every user of the host can read an argument vector, and the
environment is among the orders); the process that it describes joins the namespaces of the sandbox's first process,
forks into its pid namespace, and the child gives up every capability, forbids new ones, installs the same system
call filter and executes the command. The parent passes signals on and ends with the child's exit code.

Source: setns(2), user_namespaces(7), pid_namespaces(7), ioctl_nsfs(2).
"""

from __future__ import annotations

import marshal
import os
import resource
import signal
import sys

from . import kernel, signals

TYPE_CHECKING = False  # typing is a slow import here
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from typing import TypedDict

    from .cgroup import Group
    from .model import FilterName

    class Orders(TypedDict):
        pid: int
        started: int
        argv: list[str]
        env: dict[str, str]
        cwd: str
        uid: int
        gid: int
        filter: bytes
        groups: list[str]
        rlimits: list[tuple[int, int]]
        new_session: bool
        identity: int | None


__all__ = ["arguments", "main"]

_CODE = "import sys; sys.path.append(sys.argv[1]); from jupyter_containers.sandbox.enter import main; main(sys.argv[2])"
_KEYS = (signal.SIGINT, signal.SIGQUIT)
_PASSED = (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, *_KEYS)
_ORDER = ("mnt", "ipc", "uts", "net", "cgroup", "pid")
"""The namespaces besides the user's, all owned by the one that bwrap made first; but the network's, if root is the
caller (:func:`.launch.make_network`)."""


def arguments(
    pid: int,
    argv: Sequence[str],
    *,
    env: Mapping[str, str],
    cwd: str = "/",
    uid: int = 1000,
    gid: int = 1000,
    filter: FilterName = "container",
    group: Group | None = None,
    new_session: bool = True,
    folder: Path | None = None,
) -> list[str]:
    """An argument vector, to be started once, that runs *argv* in the sandbox of the first process *pid*.

    *uid* and *gid* must be those of the sandbox. *new_session* False keeps the caller's session and terminal.
    *folder* is where the orders wait, mode 0600, until they are read; default: the folder for temporary files.
    Exit codes: the command's; 128 + n; 127 not found, 126 not executable, 125 the sandbox can't be entered.
    Raises HostError when there is no such process.
    """
    import tempfile

    from ..errors import HostError
    from . import idmap
    from .filters import filter_program
    from .handover import rlimits
    from .life import start_time

    started = start_time(pid)
    if not started:
        raise HostError(f"the sandbox of process {pid} has ended")
    orders: Orders = {
        "pid": pid,
        "started": started,
        "argv": list(argv),
        "env": dict(env),
        "cwd": cwd,
        "uid": uid,
        "gid": gid,
        "filter": filter_program(filter),
        "groups": [str(path) for path in group.joins] if group else [],
        "rlimits": rlimits(group.limits, group, pids=True) if group else [],
        "new_session": new_session,
        "identity": idmap.UNPRIVILEGED_ID if idmap.is_needed() else None,
    }
    fd, path = tempfile.mkstemp(prefix="enter-", dir=folder)
    with open(fd, "wb") as file:
        file.write(marshal.dumps(orders))  # type: ignore[arg-type]  # a TypedDict is a dict
    packages = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))  # noqa: PTH100,PTH120
    return [*_way_in(group), sys.executable, "-I", "-S", "-c", _CODE, packages, path]


def _way_in(group: Group | None) -> tuple[str, ...]:
    """What comes first where this process, and not only the one that started the sandbox, may not join its group."""
    if group is None or not any(means.endswith("(systemd scope)") for means in group.enforcement.means.values()):
        return ()
    from .delegation import way_into

    return way_into(group.folders["unified"])


def main(path: str) -> None:
    """Carry out the orders in the file; never returns."""
    try:
        with open(path, "rb") as file:
            if os.fstat(file.fileno()).st_uid != os.geteuid():
                raise PermissionError(1, "not written by this user", path)
            orders: Orders = marshal.load(file)  # noqa: S302  our own file, as just checked
        os.unlink(path)  # noqa: PTH108  pathlib is a slow import here
        _import_nothing_more()
        _enter(orders)
        child, life = _fork(orders)
        _wait(child, life, orders["new_session"])
    except OSError as error:
        _complain(f"cannot enter the container: {error.filename or ''}: {error.strerror}")
    except Exception as error:
        _complain(f"cannot enter the container: {error!r}")
    finally:
        os._exit(125)


def _import_nothing_more() -> None:
    """Once the mount namespace is joined, a module that is not loaded yet would be the container's: code of others,
    run with rights that the container does not have."""
    sys.path.clear()
    sys.meta_path.clear()
    sys.path_hooks.clear()


def _enter(orders: Orders) -> None:
    pid = orders["pid"]
    for name in orders["groups"]:
        with open(name, "w") as file:
            file.write("0")
    spaces = {name: os.open(f"/proc/{pid}/ns/{name}", os.O_RDONLY | os.O_CLOEXEC) for name in (*_ORDER, "user")}
    with open(f"/proc/{pid}/stat") as file:
        if int(file.read().rpartition(")")[2].split()[19]) != orders["started"]:
            raise ProcessLookupError(3, "it has ended, and its process number is another's", f"/proc/{pid}")
    names = [name for name in _ORDER if name != "net"] if orders["identity"] is not None else list(_ORDER)
    if orders["identity"] is not None:
        # Root's launcher has made it, and it is root's.
        kernel.join_namespace(spaces["net"], "net")
        # From here on no more than what made the sandbox: its user namespaces belong to this id.
        os.setgroups([])
        os.setresgid(*[orders["identity"]] * 3)
        os.setresuid(*[orders["identity"]] * 3)
    # Until execve resets it: a process of the container can't attach to this one before its filter is in place.
    kernel.hide_from_tracers()
    # bwrap makes all namespaces from a first user namespace and runs the command in a second one within it. Rights
    # over the former are had only by joining the one that owns the mounts, and lost by joining the other directly.
    owner = kernel.owning_user_namespace(spaces["mnt"])
    kernel.join_namespace(owner, "user")
    for name in names:
        if _differs(spaces[name], name):
            kernel.join_namespace(spaces[name], name)
    if os.fstat(owner).st_ino != os.fstat(spaces["user"]).st_ino:
        kernel.join_namespace(spaces["user"], "user")
    for fd in (*spaces.values(), owner):
        os.close(fd)


def _differs(fd: int, name: str) -> bool:
    if name == "mnt":  # /proc is the other one's once the mount namespace is joined: so it goes first
        return True
    try:
        return os.fstat(fd).st_ino != os.stat(f"/proc/self/ns/{name}").st_ino  # noqa: PTH116
    except OSError:
        return True  # no /proc entry for a process of an outer pid namespace


def _fork(orders: Orders) -> tuple[int, int]:
    """The child's pid, and the write end of a pipe that tells the child whether this process lives."""
    read, write = os.pipe()
    # A signal that comes before the handlers are in place waits; else it would end this process and not the command.
    signal.pthread_sigmask(signal.SIG_BLOCK, _PASSED)
    child = os.fork()
    if child:
        os.close(read)
        kernel.drop_capabilities()
        return child, write
    os.close(write)
    try:
        _become_command(orders, read)
    except OSError as error:
        _complain(f"{error.filename or orders['argv'][0]}: {error.strerror}")
        os._exit(127 if error.errno == 2 else 126)
    os._exit(126)


def _become_command(orders: Orders, life: int) -> None:
    if orders["new_session"]:
        os.setsid()
    os.setresgid(*[orders["gid"]] * 3)
    os.setresuid(*[orders["uid"]] * 3)
    os.umask(0o022)
    os.chdir(orders["cwd"])
    for which, value in orders["rlimits"]:
        resource.setrlimit(which, (value, value))
    kernel.drop_capabilities()
    kernel.forbid_new_privileges()
    kernel.set_parent_death_signal(kernel.SIGKILL)
    os.set_blocking(life, False)
    try:
        if os.read(life, 1) == b"":
            os._exit(125)  # the parent ended before its end could be noticed
    except BlockingIOError:
        pass
    os.closerange(3, 1 << 20)
    signals.reset()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _PASSED)
    kernel.install_filter(orders["filter"])
    _execute(orders["argv"], orders["env"])


def _execute(argv: list[str], env: dict[str, str]) -> None:
    """execvpe, with the PATH of *env*. os.execvpe would import a module."""
    name = argv[0]
    folders = [""] if "/" in name else env.get("PATH", "/usr/local/bin:/usr/bin:/bin").split(":")
    problem: OSError = FileNotFoundError(2, "No such file or directory", name)
    for folder in folders:
        path = f"{folder}/{name}" if folder else name
        try:
            os.execve(path, argv, env)  # noqa: S606
        except (FileNotFoundError, NotADirectoryError):
            continue
        except PermissionError as error:
            problem = error
    raise problem


def _wait(child: int, life: int, new_session: bool) -> None:
    def pass_on(number: int, frame: object) -> None:
        try:  # noqa: SIM105  contextlib is a slow import here
            os.kill(child, number)
        except ProcessLookupError:
            pass

    # What a terminal's keys send reaches the child by itself when it is in the terminal's session.
    keys = pass_on if new_session else signal.SIG_IGN
    for number in _PASSED:
        if signal.getsignal(number) != signal.SIG_IGN:  # by nohup, or of a background job: it stays so
            signal.signal(number, keys if number in _KEYS else pass_on)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _PASSED)
    _, status = os.waitpid(child, 0)
    os.close(life)
    code = os.waitstatus_to_exitcode(status)
    os._exit(128 - code if code < 0 else code)


def _complain(text: str) -> None:
    os.write(2, f"jupyter-containers: {text}\n".encode(errors="replace"))
