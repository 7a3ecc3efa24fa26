"""Which image a kernel runs in: found where it is there, built where it is not."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from ..build.monitor import Monitor, silent
from ..build.state import find_outdated
from ..errors import NotFoundError
from ..paths import Paths
from ..spec.catalog import Record, find_record, list_records
from ..spec.grants import check_granted
from ..spec.model import Kernel, LoadedSpec
from .host import Host
from .launch import Target, check_mounts, wanted_limits
from .options import KernelOptions

if TYPE_CHECKING:
    from ..image.model import Image
    from ..image.store import Store

__all__ = ["build_target", "find_target", "image_target", "load_target"]

PYTHON_LABEL = "org.jupyter-containers.python"
KERNEL_LABEL = "org.jupyter-containers.kernel"

INPUTS = (
    "jupyter-container.toml", "jupyter-container.lock", "pyproject.toml", "requirements.txt", "environment.yml",
    "environment.yaml", "apt.txt", "runtime.txt", "postBuild", "start", "pylock.toml", "uv.lock",
)  # fmt: skip
"""Files that a folder's spec may be made of: one of them, and the folder, are one spec."""


def find_target(options: KernelOptions, paths: Paths, store: Store) -> Target | None:
    """What *options* name, where it can be run as it is; None where a build comes first.

    :class:`NotFoundError` for an environment or image that nobody knows, and for one that is not built while
    ``build`` is ``never``.
    """
    if options.image:
        return image_target(store.image(options.image), name=options.image)
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
    return image_target(image, name=entry.name, loaded=loaded)


def build_target(
    options: KernelOptions, host: Host, *, monitor: Monitor = silent, cancel: threading.Event | None = None
) -> Target:
    """Build what *options* name; blocks. Errors are those of :func:`..build.ensure.ensure_built`.

    What would keep the kernel from starting afterwards, whatever the image, is said first.
    """
    from ..build.ensure import ensure_built

    loaded = load_target(options, host.paths)
    host.runtime.check_limits(wanted_limits(loaded.spec, options), accept=options.accept_unenforced)
    check_mounts(loaded)
    built = ensure_built(loaded, paths=host.paths, monitor=monitor, cancel=cancel)
    return image_target(built.image, name=built.loaded.spec.name, loaded=built.loaded)


def load_target(options: KernelOptions, paths: Paths) -> LoadedSpec:
    """The spec that a build of what *options* name is made from; :class:`SpecError`, :class:`NotFoundError`, and
    :class:`InputError` where it asks for more than it was granted."""
    from ..spec.load import load_spec

    entry = find_entry(options, paths)
    source = Path(entry.spec_file) if entry is not None else Path(options.spec_file).expanduser().absolute()
    if entry is not None and not source.exists():
        raise NotFoundError(
            f"the environment {entry.name} is not built, and its spec {source} is gone",
            hint=f"put the spec back, or `jupyter containers env remove {entry.name}`",
        )
    loaded = load_spec(source)
    if entry is not None:
        check_granted(entry, loaded)
    return loaded


def image_target(image: Image, *, name: str, loaded: LoadedSpec | None = None) -> Target:
    """The target of *image*: its kernel is the spec's, else the one that the image's labels tell."""
    execution = image.config.execution
    labels = execution.labels or {}
    if loaded is not None:
        kernel = loaded.spec.kernel
    else:
        kernel = msgspec.json.decode(labels[KERNEL_LABEL], type=Kernel) if KERNEL_LABEL in labels else Kernel()
    virtual = execution.environment.get("VIRTUAL_ENV", "")
    python = labels.get(PYTHON_LABEL) or (f"{virtual}/bin/python" if virtual else "python3")
    return Target(name=name, image=image.digest, loaded=loaded, kernel=kernel, python=python)


def find_entry(options: KernelOptions, paths: Paths) -> Record | None:
    """The catalog's record of what *options* name; None for a spec that was never built."""
    if options.environment:
        return find_record(paths, options.environment)
    wanted = _folder_or_file(Path(options.spec_file).expanduser().absolute())
    records = (entry for entry in list_records(paths) if entry.spec_file)
    return next((entry for entry in records if _folder_or_file(Path(entry.spec_file)) == wanted), None)


def _folder_or_file(spec: Path) -> Path:
    """A folder and the spec in it are the same spec; a notebook or script is one of its own."""
    return spec.parent if spec.name in INPUTS else spec


def _read_spec(entry: Record) -> LoadedSpec | None:
    """The spec of *entry* as it is now; None where it is gone."""
    if not entry.spec_file or not Path(entry.spec_file).exists():
        return None
    from ..spec.load import load_spec

    return load_spec(Path(entry.spec_file))


def _build_first(options: KernelOptions) -> Target | None:
    if options.build == "never":
        raise NotFoundError(
            f"{options.what} is not built, and `build` is `never`",
            hint=f"`jupyter containers build {options.what}` builds it",
        )
    return None
