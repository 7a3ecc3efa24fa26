"""From options, an image and a folder to the container of a kernel: decisions, no effects."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

import msgspec

from ..build.injection.places import MOUNT
from ..errors import InputError
from ..runtime.base import BindMount, ContainerConfig, Warm
from ..spec.inputs import find_missing_mounts, mount_source
from ..spec.model import EnvironmentSpec, Kernel, LoadedSpec
from .connection import ConnectionFolder
from .folders import Guarded, check_mount
from .limits import StartLimits, decide
from .options import KernelOptions

__all__ = [
    "ENVIRONMENT_LABEL",
    "KERNEL_ID_LABEL",
    "NOTEBOOK_LABEL",
    "Target",
    "check_mounts",
    "find_warm",
    "kernel_config",
    "pick_environment",
]

ENVIRONMENT_LABEL = "org.jupyter-containers.environment"
KERNEL_ID_LABEL = "org.jupyter-containers.kernel-id"
NOTEBOOK_LABEL = "org.jupyter-containers.notebook"
"""Its path, as the server tells it to the kernel (``JPY_SESSION_NAME``)."""

PASSED_ON = ("JPY_SESSION_NAME", "NBGRADER_*", "TZ", "NO_COLOR", "FORCE_COLOR")
"""What a kernel is told of the environment that its server runs in: which notebook it serves (ipykernel's
``__session__``), that nbgrader executes it, the user's time zone and choice of colours. Nothing else: servers hold
tokens there. ``JPY_PARENT_PID`` above all is left out: ipykernel would look for that process in its own PID namespace,
not find it, and exit within seconds (ipykernel/parentpoller.py)."""


QUIET = {"PYDEVD_DISABLE_FILE_VALIDATION": "1"}
"""Without it debugpy writes three lines about frozen modules under the first cell (CPython >= 3.11); they matter only
to who debugs the standard library's import system."""


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """What a kernel's container is made of."""

    name: str
    """As the user knows it."""
    image: str
    """Digest."""
    loaded: LoadedSpec | None = None
    """None: an image without a spec."""
    kernel: Kernel = Kernel()
    command: tuple[str, ...] = ("python3", "-m", "ipykernel_launcher")
    """The command of a kernel that says none itself, up to its connection file."""
    layers: tuple[tuple[str, str], ...] = ()
    """What is mounted for it beside the image: diff_id and folder of a layer of the store, one at most."""
    entrypoint: tuple[str, ...] = ()
    """The image's, for those who ask for it."""
    note: str = ""
    """What is to be said of the kernel: that it brings its own Python along."""
    is_saved: bool = False
    """It begins with what a notebook's last kernel has saved."""

    @property
    def spec(self) -> EnvironmentSpec:
        return self.loaded.spec if self.loaded else EnvironmentSpec(name="image")


def pick_environment(host: Mapping[str, str], kernelspec: Mapping[str, str], names: Sequence[str]) -> dict[str, str]:
    """The variables of a kernel: of *host* (the server's environment, with the kernelspec's substituted into it) those
    that are allowed or match *names*, and all that *kernelspec* sets itself."""
    allowed = (*PASSED_ON, *names)
    picked = {key: value for key, value in host.items() if any(fnmatchcase(key, name) for name in allowed)}
    picked.pop("JPY_PARENT_PID", None)  # however wide a pattern: see PASSED_ON
    return picked | {key: host[key] for key in kernelspec if key in host}


NO_HISTORY_FILE = "--HistoryManager.hist_file=:memory:"
"""IPython makes a new history database in a new home, which takes longer (its fsyncs) than the container itself: 80 ms
of a start of 370. The file would go with the container's writable layer; ``%history`` of the session works without
it."""


R_COMMAND = ("/usr/bin/R", "--slave", "-e", "IRkernel::main()", "--args", "{connection_file}")
"""As Debian's r-cran-irkernel has it in its kernelspec, by its whole path."""


def kernel_argv(
    target: Target,
    connection_file: Path,
    extra: Sequence[str] = (),
    *,
    kept: bool = False,
    entrypoint: Sequence[str] = (),
    magic: Path | None = None,
) -> tuple[str, ...]:
    """The kernel's argument vector in the container, with *extra* arguments of the client at its end.

    *kept*: the writable layer outlives the kernel, and so does its history. *entrypoint* goes before it. *magic*: a
    file that IPython runs at its start.
    """
    argv = target.kernel.argv
    if not argv and target.kernel.language.lower() == "r":
        argv = R_COMMAND
    elif not argv:
        argv = (*target.command, "-f", "{connection_file}")
        argv += () if kept else (NO_HISTORY_FILE,)
        argv += (f"--IPKernelApp.exec_files={magic}",) if magic is not None else ()
    # As jupyter_client does it: only known names are replaced, so that other braces of a shell line stay.
    filled = tuple(re.sub(r"\{connection_file\}", lambda _: str(connection_file), word) for word in argv)
    return (*entrypoint, *filled, *extra)


def kernel_config(
    target: Target,
    options: KernelOptions,
    connection: ConnectionFolder,
    guarded: Guarded,
    *,
    folder: Path | None,
    env: Mapping[str, str],
    extra: Sequence[str] = (),
    kernel_id: str = "",
    limits: StartLimits | None = None,
    outlive: int = 0,
) -> ContainerConfig:
    """The container of one kernel.

    *folder* is the notebook's, absolute; *env* is what :func:`pick_environment` left; *extra* are arguments that the
    client adds; *kernel_id* is jupyter_client's, where it has one; *limits*: those of the spec and the options;
    *outlive*: seconds that it goes on without its server.
    :class:`InputError` for a folder or a mount that can't be had.
    """
    spec = target.spec
    mounts = [*_folder_mounts(options, guarded, folder), *_spec_mounts(target, options, guarded)]
    mounts.append(BindMount(source=str(connection.path), target=str(connection.path), mode="rw"))
    mounts += [BindMount(source=path, target=MOUNT) for _, path in target.layers]
    seen = folder is not None and options.mount_folder != "none"
    limits = limits or decide(spec, options)
    resources = limits.resources
    return ContainerConfig(
        image=target.image,
        image_name=target.name,
        argv=kernel_argv(
            target,
            connection.file,
            extra,
            kept=options.restart == "keep",
            entrypoint=target.entrypoint if options.entrypoint else (),
            magic=connection.magic if has_magic(target) else None,
        ),
        user=options.run_as,
        env={**(QUIET if not target.kernel.argv else {}), **target.kernel.env, **env},
        cwd=str(folder) if seen else "",
        mounts=tuple(mounts),
        layers=tuple(diff_id for diff_id, _ in target.layers),
        network=limits.network,
        memory=resources.memory,
        cpus=resources.cpus,
        pids=resources.pids,
        disk=resources.disk,
        gpus=resources.gpus,
        files=resources.files,
        time=resources.time,
        maximum=limits.maximum,
        accept_unenforced=options.accept_unenforced,
        # The server's death must not leave a kernel behind; what the reaper removes after it is in `scratch`.
        die_with_parent=not outlive,
        outlive=outlive,
        scratch=(str(connection.path),),
        kind="kernel",
        warm=find_warm(target, options),
        labels={**spec.labels, ENVIRONMENT_LABEL: target.name, **_session_labels(kernel_id, env)},
    )


def has_magic(target: Target) -> bool:
    """Whether ``%container`` is of use there, and understood: in environments of a spec, whose ipykernel is ours."""
    return target.loaded is not None and target.command[1:] == ("-m", "ipykernel_launcher") and not target.layers


def find_warm(target: Target, options: KernelOptions) -> Warm | None:
    """How the kernel can be a fork; None: it is started afresh. Only our own command is known to be forkable."""
    plain = not target.kernel.argv and target.kernel.language.lower() == "python"
    if options.warm == "off" or options.isolate or not plain or target.layers or options.entrypoint:
        return None
    if target.command[1:] != ("-m", "ipykernel_launcher"):
        return None
    return Warm(
        python=target.command[0], module=f"{__package__}.warm", words=target.kernel.preload, wait=options.warm == "wait"
    )


def check_mounts(loaded: LoadedSpec) -> None:
    """:class:`InputError` where a source of the spec's mounts is not there."""
    missing = find_missing_mounts(loaded)
    if missing:
        raise InputError(f"the kernel of {loaded.spec.name} can't start: a mount's source is missing", problems=missing)


def _session_labels(kernel_id: str, env: Mapping[str, str]) -> dict[str, str]:
    """Which kernel of which notebook it is, for those who look at containers."""
    labels = {KERNEL_ID_LABEL: kernel_id, NOTEBOOK_LABEL: env.get("JPY_SESSION_NAME", "")}
    return {name: value for name, value in labels.items() if value}


def _folder_mounts(options: KernelOptions, guarded: Guarded, folder: Path | None) -> list[BindMount]:
    if folder is None or options.mount_folder == "none":
        return []
    real = check_mount(folder, guarded, what="the notebook's folder", allow_home=options.mount_home)
    mounts = [BindMount(source=str(real), target=str(folder), mode=options.mount_folder)]
    return mounts + _covers(guarded, real, folder)


def _spec_mounts(target: Target, options: KernelOptions, guarded: Guarded) -> list[BindMount]:
    if target.loaded is None:
        return []
    check_mounts(target.loaded)
    mounts: list[BindMount] = []
    for mount in target.loaded.spec.mounts:
        source = mount_source(target.loaded, mount)
        real = check_mount(source, guarded, what="the mount", allow_home=options.mount_home, foreign=True)
        mounts.append(BindMount(source=str(real), target=mount.target, mode=mount.mode))
        mounts += _covers(guarded, real, Path(mount.target))
    return mounts


def _covers(guarded: Guarded, real: Path, target: Path) -> list[BindMount]:
    """Empty read-only folders over the private ones within a mounted home (``mount_home``)."""
    inside = guarded.inside(real)
    return [BindMount(source=str(guarded.empty), target=str(target / place.relative_to(real))) for place in inside]
