"""Which environment each of several notebooks runs in, built once for all that share it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from ..build.monitor import Monitor, silent
from ..errors import InputError, NotFoundError, ReferenceError
from ..image.short_names import find_image
from ..spec.catalog import list_records
from ..spec.model import Kernel
from ..spec.names import is_name
from .host import Host, current_host
from .launch import Target
from .options import KernelOptions, merge_options
from .target import build_target, find_target, load_target

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
    notebooks: Sequence[tuple[Path, Any]],
    env: str = "",
    *,
    named: Mapping[Path, str] | None = None,
    settings: KernelOptions | None = None,
    monitor: Monitor = silent,
) -> tuple[Source, ...]:
    """A source for each of *notebooks* (path and content), whose kernels are to start with *settings*: *env* for all,
    else the environment that *named* has for it, else its own.

    Errors are those of :func:`.target.build_target`, and :class:`InputError` for a notebook in a language that its
    environment does not speak.
    """
    host = current_host()
    asked: dict[tuple[str, str], KernelOptions] = {}
    targets: dict[tuple[str, str], Target | None] = {}
    keys = []
    for path, notebook in notebooks:
        name = env or (named or {}).get(path, "")
        options = _named(name, host) if name else _own(path)
        key = (options.environment, options.spec_file)
        if key not in asked:
            asked[key], targets[key] = options, find_target(options, host.paths, host.store)
        _check_language(path, notebook, options, targets[key])  # of all, before anything is built
        keys.append(key)
    made = {key: _prepare(asked[key], targets[key], settings, monitor) for key in asked}
    return tuple(made[key] for key in keys)


def _check_language(path: Path, notebook: Any, options: KernelOptions, target: Target | None) -> None:
    """:class:`InputError` where *notebook* says that it is written in another language than the kernel's."""
    metadata = notebook.metadata
    wanted = metadata.get("language_info", {}).get("name") or metadata.get("kernelspec", {}).get("language") or ""
    if not wanted:
        return
    if target is not None:
        name, kernel = target.name, target.kernel
    else:
        loaded = load_target(options, current_host().paths, asked=True)
        name, kernel = (loaded.spec.name, loaded.spec.kernel) if loaded is not None else (options.what, Kernel())
    if wanted.lower() != kernel.language.lower():
        raise InputError(
            f"{path} is written in {wanted}, but the kernel of {name} speaks {kernel.language.lower()}",
            hint="name another environment with --env, or set `kernel.language` and `kernel.argv` in the spec",
        )


def _named(env: str, host: Host) -> KernelOptions:
    """A path where there is one, else an environment, else an image of the store."""
    path = Path(env).expanduser().absolute()
    if env in {".", ".."} or ("/" in env and path.exists()):
        return KernelOptions(spec_file=str(path))
    if any(entry.name == env for entry in list_records(host.paths)):
        return KernelOptions(environment=env)
    if "/" in env or ":" in env or not is_name(env):
        try:
            find_image(host.store, env)
        except (NotFoundError, ReferenceError) as error:
            raise NotFoundError(
                f"there is no spec at {path}, and no environment and no image {env!r} in the store",
                hint=f"`jupyter containers pull {env}` takes an image from a registry",
            ) from error
        return KernelOptions(image=env)
    try:
        find_image(host.store, env)
    except NotFoundError:
        return KernelOptions(environment=env)  # whoever looks it up names those that there are
    return KernelOptions(image=env)


def _own(path: Path) -> KernelOptions:
    """The notebook's own spec, or its folder's: what the spec's reader makes of the notebook's path."""
    from ..spec.load import load_spec

    loaded = load_spec(path)
    own = loaded.file is not None and loaded.file.resolve() == path.resolve()
    return KernelOptions(spec_file=str(path.absolute() if own else loaded.folder))


def _prepare(options: KernelOptions, target: Target | None, settings: KernelOptions | None, monitor: Monitor) -> Source:
    if target is None:
        target = build_target(merge_options(options, settings), current_host(), monitor=monitor, asked=True)
    # From here on the image is there and stays the same for every notebook of this run.
    return Source(options=msgspec.structs.replace(options, build="missing"), target=target)
