"""What this host can do: the sandbox's own findings, and whether the package archives answer."""

from __future__ import annotations

import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from .errors import ContainersError
from .paths import Paths

if TYPE_CHECKING:
    from .sandbox.probe import Finding

__all__ = ["diagnose"]

_SUITE = "trixie"
"""The default base's."""


def diagnose(paths: Paths, *, archives: bool) -> tuple[Finding, ...]:
    """All findings, those of the archives last. They are asked while the sandbox is tried; takes seconds."""
    from .sandbox import probe

    with ThreadPoolExecutor(2, thread_name_prefix="diagnose") as pool:
        asked = [pool.submit(ask, paths) for ask in (_ask_debian, _ask_python)] if archives else []
        findings = probe.diagnose(paths.home, paths.runtime)
        return (*findings, *(answer.result() for answer in asked))


def _ask_debian(paths: Paths) -> Finding:
    from .lock.archive import fetch_release
    from .lock.fetch import Fetcher
    from .lock.resolve import archive_cache
    from .lock.settings import Settings
    from .sandbox.probe import Finding

    name = "Debian archive"
    told: list[str] = []
    try:
        settings = msgspec.structs.replace(Settings.current(), retries=1)
        with Fetcher(archive_cache(paths), settings) as fetcher:
            release = fetch_release(settings.debian_archives, _SUITE, fetcher, warn=told.append)
    except ContainersError as error:
        # Not a failure of the host: what is built already runs.
        return Finding(name, "warning", error.message, error.hint)
    if release is None:
        hosts = ", ".join(settings.debian_archives)
        return Finding(name, "warning", f"{hosts} has no suite {_SUITE}", "set JUPYTER_CONTAINERS_DEBIAN_MIRROR")
    found = f"{release.archive} ({settings.origin}) has {_SUITE}, its signature verifies"
    return Finding(name, "warning" if told else "ok", "; ".join([found, *told]), "")


def _ask_python(paths: Paths) -> Finding:
    from .lock.resolve import uv_cache
    from .lock.uv import failure, run_uv
    from .sandbox.probe import Finding

    name = "Python index"
    try:
        with tempfile.TemporaryDirectory(prefix="jc-doctor-") as folder:
            work = Path(folder)
            (work / "requirements.in").write_text("ipykernel\n")
            done = run_uv(
                ["pip", "compile", "requirements.in", "--no-deps", "--no-build", "--quiet",
                 "--refresh-package", "ipykernel"],
                work, cache_dir=uv_cache(paths),
            )  # fmt: skip
    except ContainersError as error:
        return Finding(name, "warning", error.message, error.hint)
    if done.returncode != 0:
        problem = failure(done.stderr)
        return Finding(name, "warning", problem.message, problem.hint)
    return Finding(name, "ok", "answers", "")
