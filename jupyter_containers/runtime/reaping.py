"""The owner's end of the reaper (:mod:`.reaper`): started with the first container, told of each."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

__all__ = ["Reaper", "package_paths"]


def package_paths() -> list[str]:
    """What a Python started with ``-S`` needs on its path to import this package and its requirements."""
    import msgspec

    own, needed = (str(Path(module).resolve().parent.parent) for module in (_PACKAGE, msgspec.__file__))
    return [own] if own == needed else [own, needed]


_PACKAGE = str(Path(__file__).parent / "__init__.py").replace("/runtime/__init__.py", "/__init__.py")


class Reaper:
    """One per owner process and containers' folder. Thread-safe."""

    def __init__(self, containers: Path) -> None:
        self._containers = containers
        self._alive: set[str] = set()
        self._process: subprocess.Popen[bytes] | None = None
        self._guard = threading.Lock()

    def ahead(self) -> None:
        """Start it, for a container that will be started soon."""
        with self._guard:
            if self._process is None:
                self._start()

    def add(self, container_id: str) -> None:
        """From now on the container does not outlive this process. Call it before anything is made."""
        with self._guard:
            self._alive.add(container_id)
            if self._process is None:
                self._start()
            else:
                self._tell(f"+{container_id}\n")

    def discard(self, container_id: str) -> None:
        """The container has been removed, or ended in order."""
        with self._guard:
            self._alive.discard(container_id)
            if self._process is not None:
                self._tell(f"-{container_id}\n")

    def sweep(self, container_id: str, name: str) -> bool:
        """Have it remove the folder *name*, which holds what is left of the container; False: it can't be asked."""
        with self._guard:
            if self._process is None or container_id not in self._alive:
                return False
            self._alive.discard(container_id)
            return self._tell(f"-{container_id}\n~{name}\n")

    def _tell(self, line: str) -> bool:
        assert self._process is not None and self._process.stdin is not None
        try:
            os.write(self._process.stdin.fileno(), line.encode())
        except BrokenPipeError:
            # Someone has killed it. A new one is told of all that is alive.
            self._process.stdin.close()
            self._process.wait()
            self._start()
            return False
        return True

    def _start(self) -> None:
        script = Path(__file__).with_name("reaper.py")
        command = [sys.executable, "-I", "-S", str(script), str(self._containers), str(os.getpid()), *package_paths()]
        log = os.open(self._containers / "reaper.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,
                cwd="/",
                env={},
                bufsize=0,
            )
        finally:
            os.close(log)
        for container_id in self._alive:
            self._tell(f"+{container_id}\n")
