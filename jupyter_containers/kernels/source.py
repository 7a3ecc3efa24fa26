"""Which environment each of several notebooks runs in, built once for all that share it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from ..build.monitor import Monitor, silent
from ..errors import InputError
from .host import current_host
from .launch import Target
from .options import KernelOptions
from .target import build_target, find_target

__all__ = ["Source", "find_sources"]


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """An environment that is ready to run."""

    options: KernelOptions
    target: Target

    @property
    def name(self) -> str:
        return self.target.name

    @property
    def language(self) -> str:
        return self.target.kernel.language.lower()


def find_sources(
    notebooks: Sequence[tuple[Path, Any]], env: str = "", *, monitor: Monitor = silent
) -> tuple[Source, ...]:
    """A source for each of *notebooks* (path and content). Errors are those of a build, and :class:`InputError` for a
    notebook in a language that its environment does not speak."""
    made: dict[tuple[str, str], Source] = {}
    found = []
    for path, notebook in notebooks:
        options = _named(env) if env else _own(path)
        key = (options.environment, options.spec_file)
        if key not in made:
            made[key] = _prepare(options, monitor)
        check_language(path, notebook, made[key])
        found.append(made[key])
    return tuple(found)


def check_language(path: Path, notebook: Any, source: Source) -> None:
    """:class:`InputError` where *notebook* says that it is written in another language than *source*'s kernel."""
    metadata = notebook.metadata
    wanted = metadata.get("language_info", {}).get("name") or metadata.get("kernelspec", {}).get("language") or ""
    if wanted and wanted.lower() != source.language:
        raise InputError(
            f"{path} is written in {wanted}, but the kernel of {source.name} speaks {source.language}",
            hint="name another environment with --env, or set `kernel.language` and `kernel.argv` in the spec",
        )


def _named(env: str) -> KernelOptions:
    if "/" in env or env in {".", ".."}:
        return KernelOptions(spec_file=str(Path(env).expanduser().absolute()))
    return KernelOptions(environment=env)


def _own(path: Path) -> KernelOptions:
    """The notebook's own spec, or its folder's: what the spec's reader makes of the notebook's path."""
    from ..spec.load import load_spec

    loaded = load_spec(path)
    own = loaded.file is not None and loaded.file.resolve() == path.resolve()
    return KernelOptions(spec_file=str(path.absolute() if own else loaded.folder))


def _prepare(options: KernelOptions, monitor: Monitor) -> Source:
    host = current_host()
    target = find_target(options, host.paths, host.store) or build_target(options, host.paths, monitor=monitor)
    # From here on the image is there and stays the same for every notebook of this run.
    return Source(options=msgspec.structs.replace(options, build="missing"), target=target)
