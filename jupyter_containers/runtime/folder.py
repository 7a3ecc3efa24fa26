"""Containers on disk: a folder each, and a name that is one's alone.

::

    containers/
      <id>/               12 hexadecimal digits
        config.json       ContainerConfig, written once
        state.json        Kept, replaced at each change
        upper/ work/      the writable layer
        log, log.1        output
        lock              held (flock) by whoever keeps the container, or ends it for one that crashed
        watch             shared by those who wait for the end, so that `--rm` leaves them time to read it
      names/<name>        symbolic link to the id: making it fails where the name is taken

A folder appears complete (it is made as ``.new-<id>`` and renamed). The truth about a running container is not in
the file but in the kernel: whether its process (pid and start time) lives, and whether its keeper does.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache, lru_cache
from pathlib import Path
from typing import Literal

import msgspec

from ..errors import ConflictError, NotFoundError
from .base import ContainerConfig, ContainerState, LimitReport
from .identity import is_alive, read_scope, read_start_time, state_locked
from .names import check_container_name, make_name

__all__ = ["Folder", "Identity", "Kept", "create_folder", "find_folder", "list_folders", "list_ids", "read_config"]


class Identity(msgspec.Struct, frozen=True, array_like=True):
    """A process for good."""

    pid: int
    start: int
    """Clock ticks since boot."""

    @classmethod
    def of(cls, pid: int) -> Identity:
        return cls(pid, read_start_time(pid) or 0)

    def is_alive(self) -> bool:
        return is_alive(self.pid, self.start)


class Kept(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """``state.json``: what the keeper knows."""

    status: Literal["created", "running", "exited"] = "created"
    created_at: float
    started_at: float | None = None
    ended_at: float | None = None
    scope: str = ""
    """Where the pids below have a meaning, see :func:`.identity.read_scope`."""
    keeper: Identity | None = None
    """Who waits for it: the owner, or the monitor."""
    process: Identity | None = None
    """The sandbox's outer process: it lives as long as the container does."""
    pid: int | None = None
    """The container's first process."""
    exit_code: int | None = None
    cause: str = ""
    oom: bool = False
    memory_limit: int | None = None
    memory_peak: int | None = None
    """The three as of :class:`.base.ContainerState`."""
    limits: tuple[LimitReport, ...] = ()
    paused: bool = False
    stopped: tuple[Identity, ...] = ()
    """Processes that were stopped one by one, where no control group could do it."""
    start: str = ""
    """As of :class:`.base.ContainerState`."""
    labels: dict[str, str] | None = None
    """Of one that was started ahead, and is claimed: those that it has got besides."""


_CHUNK = 1 << 16

_config_decoder = msgspec.json.Decoder(ContainerConfig)
_kept_decoder = msgspec.json.Decoder(Kept)


class Folder:
    """One container's folder."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.id = path.name

    # Not made with the object: those who list a thousand containers ask for none of them.
    @property
    def upper(self) -> Path:
        return self.path / "upper"

    @property
    def work(self) -> Path:
        return self.path / "work"

    @property
    def log(self) -> Path:
        return self.path / "log"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Folder) and other.path == self.path

    def __hash__(self) -> int:
        return hash(self.id)

    def config(self) -> ContainerConfig:
        return _config_decoder.decode(self._read("config.json"))

    def kept(self) -> Kept:
        return _kept_decoder.decode(self._read("state.json"))

    def keep(self, kept: Kept) -> None:
        """Replace ``state.json``. No fsync: after a power loss nothing of the container runs anyhow."""
        self._write("state.json", msgspec.json.encode(kept))

    def change(self, **changes: object) -> None:
        """Replace fields of ``state.json`` while the container runs; nothing where it has just ended."""
        with suppress(FileNotFoundError), state_locked(self.path):
            kept = self.kept()
            if kept.status == "running":
                self.keep(msgspec.structs.replace(kept, **changes))

    def state(self) -> ContainerState:
        """What is known now: the file, corrected by whether the process lives."""
        return self.state_of(self.kept())

    def state_of(self, kept: Kept) -> ContainerState:
        """The same, with *kept* as the file has it."""
        config = read_config(self)
        status: Literal["created", "running", "paused", "exited"] = kept.status
        cause = kept.cause
        if status == "running" and self.is_running(kept):
            status = "paused" if kept.paused else "running"
        elif status == "running":
            status = "exited"
            if self.is_abandoned(kept):
                cause = "it ended without a witness: whoever kept it was killed"
        return ContainerState(
            id=self.id, name=config.name, image=config.image, image_name=config.image_name,
            kind="pooled" if config.ahead and kept.labels is None else config.kind,
            argv=config.argv, status=status, created_at=kept.created_at, started_at=kept.started_at,
            ended_at=kept.ended_at, exit_code=kept.exit_code,
            pid=kept.pid if status in ("running", "paused") and kept.scope == scope() else None,
            cause=cause, oom=kept.oom, memory_limit=kept.memory_limit, memory_peak=kept.memory_peak,
            limits=kept.limits, start=kept.start, labels=config.labels | (kept.labels or {}),
        )  # fmt: skip

    def is_running(self, kept: Kept) -> bool:
        if kept.status != "running" or kept.process is None:
            return False
        return kept.process.is_alive() if kept.scope == scope() else not self._lock_is_free()

    def is_abandoned(self, kept: Kept) -> bool:
        """Whether nobody keeps it any more: its owner or monitor has gone, or was killed."""
        if kept.keeper is None:
            return False
        return not kept.keeper.is_alive() if kept.scope == scope() else self._lock_is_free()

    @contextmanager
    def locked(self, *, wait: bool = True) -> Iterator[bool]:
        """Hold the folder's lock; yields False where *wait* is False and another holds it.

        :class:`NotFoundError` where the folder has gone.
        """
        try:
            handle = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except FileNotFoundError:
            raise _unknown(self.id) from None
        try:
            held = True
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            except BlockingIOError:
                held = False
            yield held
        finally:
            os.close(handle)

    def hold(self) -> int:
        """Take the folder's lock for as long as the descriptor that is returned is open."""
        try:
            handle = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except FileNotFoundError:
            raise _unknown(self.id) from None
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            raise ConflictError(f"container {self.id} is being started, ended or removed by another") from None
        return handle

    def _lock_is_free(self) -> bool:
        with suppress(NotFoundError), self.locked(wait=False) as held:
            return held
        return True

    def _read(self, name: str) -> bytes:
        try:  # plain system calls, for those who read a thousand of them
            handle = os.open(f"{self.path}/{name}", os.O_RDONLY | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError):
            raise _unknown(self.id) from None
        try:
            text = more = os.read(handle, _CHUNK)
            while more:
                more = os.read(handle, _CHUNK)
                text += more
            return text
        finally:
            os.close(handle)

    def _write(self, name: str, data: bytes) -> None:
        temporary = self.path / f".{name}-{os.urandom(4).hex()}"
        try:
            temporary.write_bytes(data)
            temporary.replace(self.path / name)
        except FileNotFoundError:
            raise _unknown(self.id) from None


@lru_cache(maxsize=4096)
def read_config(folder: Folder) -> ContainerConfig:
    """Read once, for those who look at all containers again and again: it never changes, and no id comes twice."""
    return folder.config()


@cache
def scope() -> str:
    """This process's scope; it can't change while the process lives."""
    return read_scope()


def create_folder(containers: Path, config: ContainerConfig) -> Folder:
    """Make a container's folder, with a name where *config* has none. :class:`ConflictError`: the name is taken."""
    container_id = os.urandom(6).hex()
    names = containers / "names"
    names.mkdir(mode=0o700, exist_ok=True)
    if config.name:
        check_container_name(config.name)
    handle = os.open(names, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)  # names are taken one at a time; the kernel lets go if we are killed
        name = config.name or make_name(lambda name: _holder(containers, name) is not None)
        holder = _holder(containers, name)
        if holder is not None:
            raise ConflictError(
                f"the name {name!r} belongs to container {holder}",
                hint=f"choose another --name, or remove it: `jupyter containers rm {name}`",
            )
        new = containers / f".new-{container_id}"
        try:
            for folder in (new, new / "upper", new / "work"):
                folder.mkdir(mode=0o755 if folder.name == "upper" else 0o700)
            (new / "config.json").write_bytes(msgspec.json.encode(msgspec.structs.replace(config, name=name)))
            kept = Kept(created_at=time.time(), scope=scope(), keeper=Identity.of(os.getpid()))
            (new / "state.json").write_bytes(msgspec.json.encode(kept))
            (names / name).unlink(missing_ok=True)  # a name whose container has gone
            (names / name).symlink_to(container_id)
            return Folder(new.rename(containers / container_id))
        except OSError:  # a full disk
            from ..image.tree import remove_tree  # late: for what seldom happens

            remove_tree(new)
            raise
    finally:
        os.close(handle)


def _holder(containers: Path, name: str) -> str | None:
    """The id of the container of that name."""
    try:
        holder = (containers / "names" / name).readlink()
    except OSError:
        return None
    return str(holder) if (containers / holder / "config.json").exists() else None


def find_folder(containers: Path, reference: str) -> Folder:
    """By id, unambiguous id prefix, or name. :class:`NotFoundError` names what there is."""
    if reference and "/" not in reference and not reference.startswith("."):
        named = _holder(containers, reference)
        if named is not None:
            return Folder(containers / named)
        if set(reference) <= set("0123456789abcdef"):
            if len(reference) == 12 and (containers / reference / "config.json").exists():
                return Folder(containers / reference)  # without a look at all others
            found = [folder for folder in list_folders(containers) if folder.id.startswith(reference)]
            if len(found) == 1:
                return found[0]
            if found:
                ids = ", ".join(folder.id for folder in found)
                raise NotFoundError(f"{reference!r} is the beginning of several ids: {ids}", hint="write more of it")
    raise _unknown(reference)


def list_folders(containers: Path) -> list[Folder]:
    """All that are complete, in no order."""
    return [Folder(containers / name) for name in list_ids(containers)]


def list_ids(containers: Path) -> list[str]:
    """Of the same."""
    try:
        return [name for name in os.listdir(containers) if len(name) == 12 and name[0] != "."]
    except FileNotFoundError:
        return []


def _unknown(reference: str) -> NotFoundError:
    return NotFoundError(f"no container {reference!r}", hint="`jupyter containers ps -a` lists them")
