"""The program uv: where it is, with which environment it runs, and what its failures mean."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import threading
import tomllib
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from ..errors import ContainersError, HostError, InputError, ResolutionError, UnreachableError
from ..spec.requirement import normalise_name
from .indexes import trust_environment
from .interruption import run_program

__all__ = ["NoWheelError", "explanation", "failure", "own_options", "run_uv", "uv_environment", "uv_path"]

_DROPPED = re.compile(
    r"^(UV_(PYTHON.*|PROJECT.*|NO_CONFIG|CONFIG_FILE|SYSTEM_PYTHON|CONSTRAINT|OVERRIDE|EXCLUDE|BUILD_CONSTRAINT|NO_CACHE|CACHE_DIR|WORKING_DIR"
    r"|OUTPUT.*|CUSTOM_COMPILE_COMMAND|OFFLINE|NO_BINARY.*|NO_BUILD.*|RESOLUTION|FROZEN|LOCKED)|VIRTUAL_ENV|CONDA_.*"
    r"|PYTHONPATH|PYTHONHOME|COLUMNS|FORCE_COLOR|CLICOLOR_FORCE)$"
)
"""Variables of the user's shell that would change what is resolved, for what, or how its errors are laid out."""


_BESIDE_THE_POINT = ("While the active Python version is", "Wheels are required for")
"""uv's advice for people who run uv themselves."""


@cache
def uv_path() -> Path:
    """The uv program that the `uv` package brought, else the one on PATH."""
    try:
        from uv import find_uv_bin

        return Path(find_uv_bin())
    except (ImportError, FileNotFoundError):
        found = shutil.which("uv")
    if found is None:
        raise HostError("uv is not there", hint=f"`{sys.executable} -m pip install uv`")
    return Path(found)


def uv_environment(environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment that uv is run with: the user's indexes, proxies and certificates, and no other influence."""
    given = os.environ if environ is None else environ
    kept = {name: value for name, value in given.items() if not _DROPPED.match(name)}
    if given.get("UV_NO_CONFIG") or given.get("UV_CONFIG_FILE"):
        # Both would also have the bounds in our project file ignored (see own_options): only the user's files are.
        kept.update(XDG_CONFIG_HOME="/nonexistent", XDG_CONFIG_DIRS="/nonexistent")
    return {**kept, **trust_environment(given), "NO_COLOR": "1", "LC_ALL": "C.UTF-8"}


def own_options(environ: Mapping[str, str] | None = None) -> dict[str, Any]:
    """The options of the file that UV_CONFIG_FILE names, to stand in a project file's ``[tool.uv]``."""
    named = (os.environ if environ is None else environ).get("UV_CONFIG_FILE")
    if not named:
        return {}
    try:
        return tomllib.loads(Path(named).read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError(
            f"UV_CONFIG_FILE: cannot read {named}: {error}", hint="correct the file or the variable"
        ) from error


def run_uv(
    arguments: Sequence[str], work: Path, *, cache_dir: Path, stop: threading.Event | None = None
) -> subprocess.CompletedProcess[str]:
    """Run uv in the folder *work*, where it finds no configuration but what is there; its output as text.

    No Python is downloaded: the one that runs this program stands in, since nothing is run with it. When *stop* is set
    uv is ended, and :class:`CancelledError` raised.
    """
    command = [
        str(uv_path()), *arguments, "--cache-dir", str(cache_dir), "--no-python-downloads",
        "--python", sys.executable, "--color", "never",
    ]  # fmt: skip
    return run_program(command, work=work, env=uv_environment(), stop=stop)


class NoWheelError(ResolutionError):
    """Packages of which no wheel fits."""

    def __init__(self, message: str, *, names: Sequence[str], given: Mapping[str, str], hint: str) -> None:
        super().__init__(message, hint=hint)
        self.without_wheel = tuple(names)
        """Those that an index has; not those that were given as an address or a folder."""
        self.given = dict(given)
        """Those that were, by name: ``git+https://…``, ``file:///…``."""


def failure(stderr: str) -> ContainersError:
    """The error that uv's output on a failed run stands for."""
    text = explanation(stderr)
    if "Failed to fetch" in text or "error sending request" in text:
        return UnreachableError(
            f"the Python index does not answer: {text}",
            hint="set index-url in the spec or in uv's or pip's configuration, or the proxy in HTTPS_PROXY; "
            "JUPYTER_CONTAINERS_OFFLINE=1 uses what was downloaded before",
        )
    if "network was disabled" in text:
        return UnreachableError(f"offline: {text}", hint="unset JUPYTER_CONTAINERS_OFFLINE once to download it")
    indexed = re.findall(r"Wheels are required for `([^`]+)`", stderr)
    failed = re.findall(r"Failed to (?:download and )?build `([^` ]+)(?: @ ([^` ]+))?", stderr)
    built = sorted({*indexed, *(name for name, _ in failed)})
    if "Git executable not found" in text:
        return ResolutionError(
            f"git is needed to look into a repository: {text}",
            hint="install git on this host, or put the package into the spec's folder (`./name`, `./name.whl`)",
        )
    if "Git operation failed" in text:
        return ResolutionError(
            f"cannot look into the repository of {', '.join(built)}: {text}",
            hint="look at its address, its revision and, for a private one, git's credentials: `git ls-remote ADDRESS`",
        )
    if built:
        return NoWheelError(
            f"no wheel of {', '.join(built)} fits, and sources are not built on this host: {text}",
            names=indexed,
            given={normalise_name(name): address for name, address in failed if address},
            hint="take a version that has a wheel, build one and put it in the spec's folder (`./name.whl`), or "
            "install it with a `build.run` line",
        )
    unknown = re.findall(r"(?:Because|and|,) (\S+) was not found in the package registry", text)
    hint = _names_like(unknown) if unknown else "change `packages.pip` or `packages.constraints`"
    return ResolutionError(f"the Python packages cannot be resolved: {text}", hint=hint)


def _names_like(unknown: Sequence[str]) -> str:
    """A hint for names that no index has: a module's, or one with a letter too many."""
    from ..spec.imports import nearest_distribution  # late: for mistakes only

    near = [f"{found} for {name}" for name in unknown if (found := nearest_distribution(name)) is not None]
    if near:
        return f"correct `packages.pip`: did you mean {', '.join(near)}?"
    return (
        "correct `packages.pip`: https://pypi.org has the names, which may differ from the modules'; what Debian has "
        "goes into `packages.apt`"
    )


def explanation(stderr: str) -> str:
    """uv's message as one text: without its labels, and without the marker of our only environment."""
    text = re.sub(r" for split \(markers: [^\n]*\)$", "", stderr.strip(), flags=re.MULTILINE)
    said = ""
    for line in map(str.strip, text.splitlines()):
        label, _, bare = line.partition(": ")
        if label not in {"error", "cause", "hint", "warning"}:
            label, bare = "", line
        if bare and not bare.startswith(_BESIDE_THE_POINT):
            said += f"{':' if label == 'cause' else ''} {bare}" if said else bare
    return said
