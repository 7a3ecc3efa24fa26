"""uv's universal resolution, bound to the images that a lock is for."""

from __future__ import annotations

import hashlib
import subprocess
import tempfile
import time
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from ..spec.model import LoadedSpec
from . import filetext
from .artifacts import MACHINES
from .indexes import find_indexes
from .model import Interpreter, PythonPackages
from .pylock import environment_marker, shape
from .requirements import check_folders, given_hashes
from .settings import Settings
from .uv import failure, own_options, run_uv, uv_path

__all__ = ["Compilation"]

_FRESH = 600
"""Seconds for which PyPI lets its index pages be used without asking again (Cache-Control: max-age=600)."""


class Compilation:
    """One resolution of a spec's Python packages by uv."""

    def __init__(
        self, loaded: LoadedSpec, version: str, cache_dir: Path, settings: Settings, architectures: tuple[str, ...]
    ) -> None:
        self.loaded, self.version, self.cache_dir = loaded, version, cache_dir
        self.settings, self.architectures = settings, architectures
        self.indexes = find_indexes(loaded.spec.packages)

    def compile(
        self,
        lines: Sequence[str],
        previous: PythonPackages | None,
        upgrade: bool | frozenset[str],
        *,
        constraints: Sequence[str] = (),
    ) -> dict[str, Any]:
        """uv's PEP 751 document for requirement *lines*."""
        bounds = [*self.loaded.spec.packages.constraints, *constraints]
        check_folders(self.loaded)
        with tempfile.TemporaryDirectory(prefix="jc-uv-") as name:
            work = Path(name)
            (work / "requirements.in").write_text(_text(lines), "utf-8")
            (work / "constraints.txt").write_text(_text(bounds), "utf-8")
            (work / "pyproject.toml").write_text(self._project(), "utf-8")
            output = work / "pylock.toml"
            options = ["-c", "constraints.txt", *self.indexes.arguments()]
            if previous is not None and upgrade is not True:
                # uv takes the versions of an existing output file as preferences.
                output.write_text(filetext.dump({"lock-version": "1.0", **previous.pylock}), "utf-8")
                for package in sorted(upgrade or ()):
                    options += ["--upgrade-package", package]
            memory = self._memory(lines, bounds, options)
            done = None
            if self.settings.offline or (_is_fresh(memory) and not upgrade):
                done = self._run(work, [*options, "--offline"])
            if done is None or (done.returncode != 0 and not self.settings.offline):
                # An upgrade is about what the index has now, whatever it said a moment ago.
                done = self._run(work, [*options, *(["--refresh"] if upgrade is True else [])])
                if done.returncode == 0:
                    memory.parent.mkdir(parents=True, exist_ok=True)
                    memory.touch()
            if done.returncode != 0:
                raise failure(done.stderr)
            return tomllib.loads(output.read_text("utf-8"))

    def shape(self, document: Mapping[str, Any], interpreter: Interpreter) -> dict[str, Any]:
        """What images can use of uv's document. Its paths are absolute, as the requirements' are."""
        return shape(
            document, interpreter, folder=self.loaded.folder, start=self.loaded.folder,
            architectures=self.architectures, hashes=given_hashes(self.loaded.spec.packages.pip),
        )  # fmt: skip

    def _run(self, work: Path, options: Sequence[str]) -> subprocess.CompletedProcess[str]:
        arguments = [
            "pip", "compile", "requirements.in", "--universal", "--format", "pylock.toml", "--generate-hashes",
            "--python-version", self.version, "--no-build", "--no-header", "--no-annotate", "--quiet",
            "--output-file", "pylock.toml", *options,
        ]  # fmt: skip
        return run_uv(arguments, work, cache_dir=self.cache_dir)

    def _project(self) -> str:
        """A project of its own: it ends uv's search for configuration, and bounds the resolution to the images."""
        required = [
            f"sys_platform == 'linux' and platform_machine == '{MACHINES.get(item, item)}'"
            for item in self.architectures
        ]
        tables = {
            **own_options(),
            "environments": [environment_marker(self.version)],
            "required-environments": required,
            "workspace": {},
        }
        return filetext.dump({"tool": {"uv": tables}})

    def _memory(self, *parts: Sequence[str]) -> Path:
        key = msgspec.json.encode([str(uv_path()), self.version, self._project(), *parts])
        return self.cache_dir / "jc-fresh" / hashlib.sha256(key).hexdigest()


def _text(lines: Sequence[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def _is_fresh(memory: Path) -> bool:
    try:
        return 0 <= time.time() - memory.stat().st_mtime < _FRESH
    except OSError:
        return False
