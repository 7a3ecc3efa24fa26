"""What a container gets: the spec's settings, and those of ``run``'s command line above them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from ..environments import Environments
    from ..runtime.base import BindMount
    from ..spec.model import LoadedSpec
    from ..views import Resolved

__all__ = ["LIMITS", "check_settings", "merged", "read_defaults"]

LIMITS = ("memory", "cpus", "pids", "disk", "gpus", "files", "time")


def check_settings(
    environments: Environments, loaded: LoadedSpec, asked: Mapping[str, Any], accepted: Collection[str]
) -> None:
    """Raise what a start would, as far as it can be known without the image: limits and mounts."""
    import msgspec

    limits = {name: value for name, value in asked.items() if name in LIMITS}
    environments.runtime.check_limits(msgspec.structs.replace(loaded.spec.resources, **limits), accept=accepted)
    checked_sources(loaded)


def read_defaults(resolved: Resolved) -> dict[str, Any]:
    """What the environment's spec says of limits, network and mounts; empty for an image without a spec."""
    entry = resolved.environment
    if entry is None or not entry.spec_file or not Path(entry.spec_file).exists():
        return {}
    from ..runtime.base import BindMount
    from ..spec.grants import check_granted
    from ..spec.load import load_spec

    loaded = load_spec(Path(entry.spec_file))
    check_granted(entry, loaded, building=False)  # what would be built is not what runs
    spec = loaded.spec
    found: dict[str, Any] = {name: getattr(spec.resources, name) for name in LIMITS}
    found["network"] = spec.network
    found["mounts"] = tuple(
        BindMount(source=str(source), target=mount.target, mode=mount.mode)
        for mount, source in zip(spec.mounts, checked_sources(loaded), strict=True)
    )
    return found


def checked_sources(loaded: LoadedSpec) -> tuple[Path, ...]:
    """The real sources of a spec's mounts. The spec may be a stranger's, so it gets no more here than in a kernel;
    ``-v`` is the user's own word."""
    if not loaded.spec.mounts:
        return ()
    from ..kernels.folders import Guarded, check_mount
    from ..paths import Paths
    from ..spec.inputs import find_missing_mounts, mount_source

    missing = find_missing_mounts(loaded)
    if missing:
        raise InputError(f"{loaded.spec.name} can't run: a mount's source is missing", problems=missing)
    guarded = Guarded.current(Paths.current())
    sources = (mount_source(loaded, mount) for mount in loaded.spec.mounts)
    return tuple(check_mount(source, guarded, what="the spec's mount", foreign=True) for source in sources)


def merged(defaults: dict[str, Any], asked: dict[str, Any], mounts: tuple[BindMount, ...]) -> dict[str, Any]:
    """The spec's settings under those of the command line; a mount replaces the spec's of the same target."""
    targets = {mount.target for mount in mounts}
    kept = tuple(mount for mount in defaults.get("mounts", ()) if mount.target not in targets)
    return {**defaults, **asked, "mounts": (*kept, *mounts)}
