"""Which image a kernel runs in: found where it is there, built where it is not."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING

from ..build.labels import read_kernel, read_python
from ..build.monitor import Monitor, silent
from ..build.state import find_outdated
from ..errors import NotFoundError
from ..paths import Paths
from ..spec.catalog import Record, find_record, list_records
from ..spec.grants import check_granted, is_new
from ..spec.model import Kernel, LoadedSpec
from .host import Host
from .injected import find_injected, inject, needs_injection
from .launch import Target, check_mounts
from .limits import wanted_limits
from .options import KernelOptions

if TYPE_CHECKING:
    from ..image.model import Image
    from ..image.store import Store

__all__ = ["build_target", "find_target", "image_target", "load_target"]

INPUTS = (
    "jupyter-container.toml", "jupyter-container.lock", "pyproject.toml", "requirements.txt", "environment.yml",
    "environment.yaml", "apt.txt", "runtime.txt", "postBuild", "start", "pylock.toml", "uv.lock",
)  # fmt: skip
"""Files that a folder's spec may be made of: one of them, and the folder, are one spec."""


def find_target(options: KernelOptions, paths: Paths, store: Store) -> Target | None:
    """What *options* name, where it can be run as it is; None where a build comes first, or the making of a kernel for
    an image that has none.

    :class:`NotFoundError` for an environment or image that nobody knows, and for one that is not built while
    ``build`` is ``never``.
    """
    from ..image.short_names import find_image

    if options.image:
        return _find_image(options, find_image(store, options.image), store, name=options.image)
    entry = find_entry(options, paths)
    if entry is None or entry.image is None:
        return _build_first(options)
    try:
        image = store.image(entry.image)
    except NotFoundError:
        return _build_first(options)
    loaded = _read_spec(entry)
    if loaded is not None:
        check_granted(entry, loaded)
    if options.build == "changed" and loaded is not None and find_outdated(loaded, entry, paths):
        return None
    return _find_image(options, image, store, name=entry.name, loaded=loaded)


def build_target(
    options: KernelOptions,
    host: Host,
    *,
    monitor: Monitor = silent,
    cancel: threading.Event | None = None,
    asked: bool = False,
) -> Target:
    """Build what *options* name; blocks. Errors are those of :func:`..build.ensure.ensure_built` and of
    :func:`..build.injection.layer.ensure_injection`.

    *asked*: the user has asked for just this (a command, and not a kernel's start), so the first build of a spec is
    his word for what it takes of the host. What was built before gets no more than it had then, either way.

    What would keep the kernel from starting afterwards, whatever the image, is said first.
    """
    from ..build.ensure import ensure_built
    from ..image.short_names import find_image

    entry = find_entry(options, host.paths) if options.environment else None
    loaded = None if _is_left(entry, host.store) else load_target(options, host.paths, asked=asked)
    if loaded is None:
        image = find_image(host.store, options.image or (entry.image if entry is not None else None) or "")
        if not needs_injection(image, None):
            return image_target(image, name=options.what)
        return inject(image, host, name=options.what, pinned=entry is not None, monitor=monitor, cancel=cancel)
    host.runtime.check_limits(wanted_limits(loaded.spec, options), accept=options.accept_unenforced)
    check_mounts(loaded)
    first = asked and is_new(find_entry(options, host.paths))
    built = ensure_built(loaded, paths=host.paths, monitor=monitor, cancel=cancel, automatic=not first)
    name = built.loaded.spec.name
    if needs_injection(built.image, built.loaded):
        return inject(built.image, host, name=name, loaded=built.loaded, pinned=True, monitor=monitor, cancel=cancel)
    return image_target(built.image, name=name, loaded=built.loaded)


def load_target(options: KernelOptions, paths: Paths, *, asked: bool = False) -> LoadedSpec | None:
    """The spec that a build of what *options* name is made from, None for an image without one; :class:`SpecError`,
    :class:`NotFoundError`, and :class:`InputError` where it asks for more than it was granted. *asked* as for
    :func:`build_target`."""
    from ..spec.load import load_spec

    if options.image:
        return None
    entry = find_entry(options, paths)
    if entry is not None and not entry.spec_file:
        if entry.image is None:
            raise NotFoundError(f"the environment {entry.name} has neither a spec nor an image")
        return None
    source = Path(entry.spec_file) if entry is not None else Path(options.spec_file).expanduser().absolute()
    if entry is not None and not source.exists():
        raise NotFoundError(
            f"the environment {entry.name} is not built, and its spec {source} is gone",
            hint=f"put the spec back, or `jupyter containers env remove {entry.name}`",
        )
    loaded = load_spec(source)
    if not (asked and is_new(entry)):
        check_granted(entry, loaded)
    return loaded


def image_target(image: Image, *, name: str, loaded: LoadedSpec | None = None) -> Target:
    """The target of *image*: its kernel is the spec's, else the one that the image's labels tell.

    Not for an image that :func:`.injected.needs_injection`.
    """
    execution = image.config.execution
    labels = execution.labels or {}
    kernel = loaded.spec.kernel if loaded is not None else read_kernel(labels) or Kernel()
    virtual = execution.environment.get("VIRTUAL_ENV", "")
    python = read_python(labels) or (f"{virtual}/bin/python" if virtual else "python3")
    return Target(
        name=name,
        image=image.digest,
        loaded=loaded,
        kernel=kernel,
        command=(python, "-m", "ipykernel_launcher"),
        entrypoint=execution.entrypoint or (),
    )


def _find_image(
    options: KernelOptions, image: Image, store: Store, *, name: str, loaded: LoadedSpec | None = None
) -> Target | None:
    """The target of an *image* that is there; None where its kernel is to be made first."""
    if not needs_injection(image, loaded):
        return image_target(image, name=name, loaded=loaded)
    return find_injected(image, store, name=name, loaded=loaded) or _build_first(options)


def find_entry(options: KernelOptions, paths: Paths) -> Record | None:
    """The catalog's record of what *options* name; None for a spec that was never built."""
    if options.environment:
        return find_record(paths, options.environment)
    wanted = _folder_or_file(Path(options.spec_file).expanduser().absolute())
    records = [entry for entry in list_records(paths) if entry.spec_file]
    found = [entry for entry in records if _folder_or_file(Path(entry.spec_file)) == wanted]
    return next((entry for entry in found if entry.renamed), found[0] if found else None)


def _folder_or_file(spec: Path) -> Path:
    """A folder and the spec in it are the same spec; a notebook or script is one of its own."""
    return spec.parent if spec.name in INPUTS else spec


def _read_spec(entry: Record) -> LoadedSpec | None:
    """The spec of *entry* as it is now; None where it is gone."""
    if not entry.spec_file or not Path(entry.spec_file).exists():
        return None
    from ..spec.load import load_spec

    return load_spec(Path(entry.spec_file))


def _is_left(entry: Record | None, store: Store) -> bool:
    """Whether of an environment its image is there, and its spec is gone: then it is run as an image is."""
    if entry is None or entry.image is None or not entry.spec_file or Path(entry.spec_file).exists():
        return False
    try:
        store.image(entry.image)
    except NotFoundError:
        return False
    return True


def _build_first(options: KernelOptions) -> Target | None:
    if options.build == "never":
        raise NotFoundError(
            f"{options.what} is not built, and `build` is `never`",
            hint=f"`jupyter containers build {options.what}` builds it",
        )
    return None
