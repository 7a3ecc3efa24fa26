"""A container of the bundled runtime."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from typing import TYPE_CHECKING

from ..errors import ConflictError, ContainerError, NotFoundError
from ..image.durable import full_disk_told
from ..image.model import Image
from ..image.progress import Progress, quiet
from ..image.store import Store
from ..paths import Paths
from .base import Change, ContainerConfig, ContainerState, LogPage, Stats, Stdio
from .facts import read_host, read_image
from .folder import Folder, Kept
from .identity import kill_process
from .keeper import Keeper
from .logs import follow_log, read_log, read_log_page
from .processes import signal_inside
from .removal import end_processes, find_group, hide_container
from .tally import Tally
from .translate import make_sandbox
from .usage import Sample, Source, note_activity, tell
from .waiting import wait_for_end

if TYPE_CHECKING:
    from pathlib import Path

    from ..sandbox.model import Sandbox
    from .charge import Charge
    from .places import Place
    from .snapshot import Snapshot

__all__ = ["BundledContainer"]

_STEP = 0.01


class BundledContainer:
    """One container; any number of these, in any number of processes, may stand for the same one."""

    def __init__(self, folder: Folder, paths: Paths, store: Store, image: Image | None = None) -> None:
        self.id = folder.id
        self.config: ContainerConfig = folder.config()
        self.cause = ""
        """Why it ended, once :meth:`poll` or :meth:`wait` has told; kept when the container has been removed."""
        self._folder = folder
        self._paths = paths
        self._store = store
        self._known_image = image
        self._charge: Charge | None = Keeper.current().find(folder.id)
        self._ended: Kept | None = None
        self._sample: Sample | None = None
        self._source: Source | None = None

    def state(self) -> ContainerState:
        return self._folder.state()

    def start(self, *, stdin: Stdio = None, stdout: Stdio = None, stderr: Stdio = None) -> None:
        if self._folder.is_running(self._folder.kept()):
            raise ConflictError(f"container {self.config.name} runs already")
        self._charge, self._ended, self.cause = None, None, ""
        with full_disk_told(self._paths.home):
            # late, the two: all that starts a sandbox comes with them, and most commands start none
            if self.config.die_with_parent:
                from .owned import start_owned

                self._charge = start_owned(
                    self._folder, self.config, paths=self._paths, store=self._store, image=self._image(),
                    stdin=stdin, stdout=stdout, stderr=stderr,
                )  # fmt: skip
            else:
                from .detached import start_detached

                start_detached(self._folder, self._paths, stdin=stdin, stdout=stdout, stderr=stderr)

    def claim(self, *, labels: Mapping[str, str], start: str, time: int | None = None) -> None:
        from .claiming import claim  # late: few containers are started ahead

        claim(self._folder, self.config, labels=labels, start=start, time=time)
        if time is not None and self._charge is not None:
            Keeper.current().limit(self._charge, time)

    def poll(self) -> int | None:
        if self._charge is not None:
            if not self._charge.ended.is_set():
                return None
            self.cause = self._charge.cause
            return self._charge.exit_code
        if self._ended is None:
            kept = self._folder.kept()
            if kept.status != "exited":
                return None
            self._ended, self.cause = kept, kept.cause
        return self._ended.exit_code

    def wait(self, timeout: float | None = None) -> int:
        if self._charge is not None:
            if not self._charge.ended.wait(timeout):
                raise TimeoutError(f"container {self.config.name} runs still after {timeout} s")
            self.cause = self._charge.cause
            code = self._charge.exit_code
        else:
            if self._ended is None:
                self._ended = wait_for_end(self._folder, timeout)
            self.cause, code = self._ended.cause, self._ended.exit_code
        if code is None:
            raise ContainerError(f"container {self.config.name}: its exit code is not known ({self.cause})")
        return code

    def pause(self) -> None:
        from .pausing import pause  # late, as below: few containers are ever paused

        pause(self._folder)

    def resume(self) -> bool:
        if not self._folder.kept().paused:
            return False
        from .pausing import resume

        return resume(self._folder)

    def update(self, limits: Mapping[str, float]) -> None:
        from .adjusting import adjust_limits

        adjust_limits(self._folder, self.config, limits)

    def signal(self, number: int) -> None:
        self.resume()
        if not signal_inside(self._first(), number):
            raise ContainerError(f"container {self.config.name} has just ended")

    def stop(self, *, grace: float = 10.0) -> int:
        if self.poll() is None and self._folder.is_running(self._folder.kept()):
            with suppress(ContainerError):
                self.signal(self._stop_signal())
            with suppress(TimeoutError):
                return self.wait(grace)
            self.kill()
        return self.wait()

    def kill(self) -> None:
        if self._charge is not None:
            if not self._charge.ended.is_set():
                with suppress(NotFoundError):  # it is being removed at its end
                    self.resume()
                kill_process(self._charge.process.pid, self._charge.start)
                self._charge.ended.wait()
            return
        kept = self._folder.kept()
        if self._folder.is_running(kept):
            end_processes(self._folder.path)
            with suppress(ContainerError, NotFoundError):
                self.wait(10)

    def remove(self, *, force: bool = False) -> None:
        with suppress(NotFoundError):  # by another, or by itself (--rm): it is gone, which is what was asked for
            while not self._try_to_remove(force=force):
                time.sleep(_STEP)  # it is being started, or its end is being written
        Keeper.current().forget(self._folder.path)

    def _try_to_remove(self, *, force: bool) -> bool:
        if self._folder.is_running(self._folder.kept()):
            if not force:
                raise ConflictError(
                    f"container {self.config.name} runs",
                    hint=f"`jupyter containers stop {self.config.name}` first, or `rm -f`",
                )
            self.kill()
        with self._folder.locked(wait=False) as held:
            if held:
                Keeper.current().sweep(self._folder.path, hide_container(self._folder.path))
            return held

    def exec_argv(
        self, argv: Sequence[str], *, env: dict[str, str] | None = None, cwd: str = "", tty: bool = False
    ) -> list[str]:
        from ..sandbox import enter  # late: only `exec` wants it

        if self._running().paused:
            raise ContainerError(
                f"container {self.config.name} is paused", hint=f"`jupyter containers resume {self.config.name}` first"
            )
        sandbox = self._sandbox()
        return enter.arguments(
            self._first(), list(argv), env={**sandbox.env, **(env or {})}, cwd=cwd or sandbox.cwd, uid=sandbox.uid,
            gid=sandbox.gid, filter=sandbox.filter, group=find_group(self._folder.path), new_session=not tty,
            folder=self._folder.path,
        )  # fmt: skip

    def changes(self) -> tuple[Change, ...]:
        from .contents import list_changes  # late: few commands look at a container's files

        return list_changes(self._folder, self._image(), self._sandbox())

    def copy_changes(self, target: Path, *, progress: Progress = quiet) -> Snapshot:
        from .contents import copy_changes

        return copy_changes(self._folder, self._image(), self._sandbox(), target, progress=progress)

    def open_root(self) -> AbstractContextManager[Place]:
        from .contents import open_root

        return open_root(self._folder, self._image(), self._sandbox())

    def logs(self, *, tail: int | None = None) -> str:
        """Bytes that are not UTF-8 are escaped as surrogates, and come out the same when they are encoded so."""
        self._folder.kept()  # NotFoundError for a container that has gone, rather than an empty log
        return read_log(self._folder.log, tail=tail).decode("utf-8", "surrogateescape")

    def read_log(self, position: str = "") -> LogPage:
        ended = self._has_ended()  # asked before reading: what came before the end is not lost
        data, position = read_log_page(self._folder.log, position)
        return LogPage(data, position, ended and not data)

    def follow(self, *, tail: int | None = None) -> Iterator[bytes]:
        """The log, then what is added to it, until the container ends. Sleeps in between."""
        return follow_log(self._folder.log, tail=tail, ended=self._has_ended)

    def stats(self) -> Stats:
        kept = self._running()
        if self._source is None or self._source.first != kept.pid:
            self._source = Source(self._folder.path, kept.pid or 0)
        sample = self._source.sample(Tally())
        if sample is None:
            raise ContainerError(f"container {self.config.name} has just ended")
        before, self._sample = self._sample, sample
        return tell(self._folder, self.config, sample, before, started_at=kept.started_at or kept.created_at)

    def note_activity(self, at: float) -> None:
        note_activity(self._folder, at)

    def _sandbox(self) -> Sandbox:
        return make_sandbox(
            self.config, read_image(self._image()), read_host(terminal=False),
            folder=self._folder.path, home=self._paths.home,
        )  # fmt: skip

    def _image(self) -> Image:
        if self._known_image is None:
            self._known_image = self._store.image(self.config.image)
        return self._known_image

    def _first(self) -> int:
        return self._running().pid or 0

    def _running(self) -> Kept:
        """Its state; :class:`ContainerError` where it does not run."""
        kept = self._folder.kept()
        if kept.pid is None or not self._folder.is_running(kept):
            raise ContainerError(
                f"container {self.config.name} is not running", hint="`jupyter containers ps` lists those that are"
            )
        return kept

    def _has_ended(self) -> bool:
        try:
            return not self._folder.is_running(self._folder.kept())
        except NotFoundError:
            return True

    def _stop_signal(self) -> int:
        """The image's (OCI image-spec, config.md: ``SIGTERM``, ``TERM`` or a number), else SIGTERM."""
        text = self._image().config.execution.stop_signal.upper()
        if text.isdecimal() and 0 < int(text) < signal.NSIG:
            return int(text)
        real_time, _, offset = text.removeprefix("SIG").partition("+")
        if real_time == "RTMIN" and offset.isdecimal() and int(offset) <= signal.SIGRTMAX - signal.SIGRTMIN:
            return signal.SIGRTMIN + int(offset)  # systemd's in a container: RTMIN+3
        try:
            return signal.Signals[text if text.startswith("SIG") else f"SIG{text}"]
        except KeyError:
            return signal.SIGTERM
