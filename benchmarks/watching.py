"""A Jupyter server with a page that follows it, beside kernels that others have started."""

from __future__ import annotations

import os
import secrets
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from .crowd import Processes, private_memory

__all__ = ["Beside", "ServerCost"]

_SPAN = 5.0


@dataclass(frozen=True)
class ServerCost:
    kernels: int
    memory: int
    """Bytes that are its own."""
    cpu: float
    """Per cent of one core while a page follows it."""
    answer: float
    """Seconds that a request takes which asks for nothing: what its event loop is late by; the median."""
    slowest: float


class Beside:
    """The server, for as long as the ``with``."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="jc-bench-server-")
        self._token = secrets.token_hex(8)
        self._ended = threading.Event()

    def __enter__(self) -> Self:
        import httpx

        folder = Path(self._folder.name)
        env = os.environ | {"JUPYTER_RUNTIME_DIR": str(folder / "run"), "JUPYTER_CONFIG_DIR": str(folder / "config")}
        argv = [sys.executable, "-m", "jupyter_server", "--ServerApp.open_browser=False", "--ServerApp.port=0",
                f"--IdentityProvider.token={self._token}", f"--ServerApp.root_dir={folder}",
                "--ServerApp.jpserver_extensions={'jupyter_containers': True}"]  # fmt: skip
        if os.geteuid() == 0:
            argv.append("--allow-root")
        self._log = (folder / "log").open("w")
        self._process = subprocess.Popen(argv, env=env, stdout=self._log, stderr=self._log, cwd=folder)
        url = self._find(folder)
        self._client = httpx.Client(
            base_url=url, headers={"Authorization": f"token {self._token}"}, timeout=60, trust_env=False
        )
        threading.Thread(target=self._follow, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._process.terminate()
        self._process.wait()
        self._client.close()
        self._log.close()
        self._folder.cleanup()

    def cost(self, kernels: int) -> ServerCost:
        time.sleep(_SPAN / 2)
        watched, until, times = Processes([self._process.pid]), time.monotonic() + _SPAN, []
        while time.monotonic() < until:
            begun = time.perf_counter()
            self._client.get("/api").raise_for_status()
            times.append(time.perf_counter() - begun)
            time.sleep(0.1)
        return ServerCost(
            kernels, private_memory(self._process.pid), watched.share()[0], statistics.median(times), max(times)
        )

    def _find(self, folder: Path) -> str:
        import json

        for _ in range(600):
            for file in (folder / "run").glob("jpserver-*.json"):
                try:
                    return str(json.loads(file.read_text())["url"])
                except ValueError:
                    pass  # it is being written
            if self._process.poll() is not None:
                break
            time.sleep(0.05)
        raise SystemExit(f"the server did not start: {(folder / 'log').read_text()[-2000:]}")

    def _follow(self) -> None:
        """Read the feed, as the panel does."""
        import httpx

        try:
            with self._client.stream("GET", "/jupyter-containers/api/feed", timeout=None) as answer:
                for _ in answer.iter_bytes():
                    if self._ended.is_set():
                        return
        except httpx.HTTPError:
            pass  # the server has ended
