"""Python packages: resolved by uv, which the wheel `uv` brings, to a PEP 751 document.

uv never runs code of a package here. Its metadata comes from wheels, and for folders from the ``[project]`` table; a
package that would have to be built to know what it needs is asked in a sandbox, by who can do that (:mod:`.asking`).
uv works in a folder of its own, so that configuration beside an untrusted spec has no say; the user's and the
system's uv.toml have.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..spec.model import LoadedSpec
from .artifacts import Artifact, select_artifacts
from .asking import Ask
from .fetch import Fetcher
from .model import Interpreter, PythonPackages
from .requirements import needs_ipykernel, requirement_lines, wants_python
from .settings import Settings
from .uv import uv_environment, uv_path

__all__ = [
    "Artifact",
    "compile_python",
    "needs_ipykernel",
    "resolve_python",
    "select_artifacts",
    "uv_environment",
    "uv_path",
    "wants_python",
]


def resolve_python(
    loaded: LoadedSpec,
    interpreter: Interpreter,
    *,
    cache_dir: Path,
    settings: Settings,
    architectures: Sequence[str],
    previous: PythonPackages | None = None,
    upgrade: bool | frozenset[str] = False,
    compiled: Mapping[str, Any] | None = None,
    kept: Sequence[str] = (),
    fetcher: Fetcher | None = None,
    warn: Callable[[str], None] | None = None,
    ask: Ask | None = None,
) -> PythonPackages:
    """The Python packages of a spec, for *interpreter* on *architectures*.

    *previous*'s versions are kept where the spec allows them, but those in *upgrade* (True: all). *compiled*: what
    :func:`compile_python` gave for this interpreter's version. *kept*: requirements of a base, met as well.
    *fetcher*: packages without a wheel are accepted where their source archive tells what they need, or *ask* finds
    out; *warn* is told.
    Raises :class:`ResolutionError` with uv's explanation, :class:`UnreachableError`, :class:`SpecError`.
    """
    from .adoption import adopt
    from .compilation import Compilation

    run = Compilation(
        loaded, interpreter.version, cache_dir, settings, tuple(architectures), fetcher=fetcher, warn=warn, ask=ask
    )
    if loaded.pylock is not None:
        document = adopt(run, loaded.pylock, interpreter, previous=previous, upgrade=upgrade)
    else:
        if compiled is None:
            compiled = run.compile([*requirement_lines(loaded), *kept], previous, upgrade)
        document = run.shape(compiled, interpreter)
    return PythonPackages(interpreter=interpreter, pylock=document)


def compile_python(
    loaded: LoadedSpec,
    version: str,
    *,
    cache_dir: Path,
    settings: Settings,
    architectures: Sequence[str],
    previous: PythonPackages | None = None,
    upgrade: bool | frozenset[str] = False,
    fetcher: Fetcher | None = None,
    warn: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """uv's part of :func:`resolve_python`, which needs the interpreter's version (``3.13``) and no more: so it can
    run while the base is resolved. :class:`UntoldError` where a source has to be asked what it needs."""
    from .compilation import Compilation

    run = Compilation(loaded, version, cache_dir, settings, tuple(architectures), fetcher=fetcher, warn=warn)
    return run.compile(requirement_lines(loaded), previous, upgrade)
