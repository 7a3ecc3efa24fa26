"""What a kernelspec, a server's configuration or a command line may say about a kernel's container."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from ..errors import InputError, Problem
from ..misfits import find_misfit
from ..spec.durations import parse_duration
from ..spec.sizes import parse_size

__all__ = ["KernelOptions", "check_options", "merge_options"]


class KernelOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The ``config`` of a kernelspec's ``kernel_provisioner``, and the traits of ``ContainerProvisioner``.

    Exactly one of ``environment``, ``spec_file`` and ``image`` says what to run. A limit that is None, and a network
    that is empty, is the spec's.
    """

    environment: str = ""
    """Name of an environment in the catalog."""
    spec_file: str = ""
    """Path of a spec: a folder or a file."""
    image: str = ""
    """Digest or reference of an image in the store, run without a spec."""
    build: Literal["changed", "missing", "never"] = "changed"
    """When a kernel's start builds: where the spec has changed since, only where there is no image, or never."""
    memory: str = ""
    """Size with a unit: ``2G``."""
    cpus: float | None = None
    pids: int | None = None
    files: int | None = None
    time: str = ""
    """Duration with a unit: ``2h``."""
    network: Literal["", "none", "full"] = ""
    run_as: str = ""
    """Whom the kernel runs as inside, ``name`` or ``uid``; empty: the image's user."""
    entrypoint: bool = False
    """Start the kernel through the image's Entrypoint, for images whose entrypoint prepares the environment and then
    runs what it is given."""
    mount_folder: Literal["rw", "ro", "none"] = "rw"
    """How the notebook's folder is seen, at the same path."""
    mount_home: bool = False
    """Consent to mount the home folder, or a folder above it, where the notebook lies directly in it."""
    restart: Literal["fresh", "keep"] = "fresh"
    """Whether a restarted kernel has an empty writable layer or the one it had."""
    autosave: bool = False
    """Save what a kernel has written to its own layer when it is shut down."""
    restore: bool = False
    """Begin a notebook's kernel with what its last one has saved."""
    warm: Literal["off", "on", "wait"] = "off"
    """Start kernels as forks of a process that has imported what kernels import (and ``kernel.preload``), or take them
    from a pool of kernels that have been started ahead where they can't be forks: ``on`` where there is such a process,
    ``wait`` also waits for the first one to be ready."""
    isolate: bool = False
    """Of warm starts: none is a fork, which shares the layout of its memory with others. Kernels of the pool are
    started afresh, and each is used once."""
    pool: int = 1
    """How many kernels of one kind wait in the pool, forks as well; 0: none."""
    pass_env: tuple[str, ...] = ()
    """Names of variables that are handed on from the server's environment; ``*`` and ``?`` are wildcards."""
    accept_unenforced: tuple[str, ...] = ()
    """Names of limits that may go unenforced where the host can't: ``memory``, ``cpus``, ``pids`` …"""

    @property
    def memory_bytes(self) -> int | None:
        return parse_size(self.memory) if self.memory else None

    @property
    def seconds(self) -> int | None:
        return parse_duration(self.time) if self.time else None

    @property
    def what(self) -> str:
        """What to run, as the user said it."""
        return self.environment or self.spec_file or self.image


def check_options(values: dict[str, Any], *, source: str, partial: bool = False) -> KernelOptions:
    """Turn *values* into options. :class:`InputError` names *source* and every bad key.

    *partial*: what to run may be said elsewhere.
    """
    problems = []
    known = set(KernelOptions.__struct_fields__)
    for key in sorted(set(values) - known):
        import difflib

        near = difflib.get_close_matches(key, known, 1)
        problems.append(Problem(source, "unknown key", f"did you mean `{near[0]}`?" if near else "remove it", key))
    for key in sorted(set(values) & known):
        try:
            msgspec.convert({key: values[key]}, KernelOptions)
            if key == "memory" and values[key]:
                parse_size(values[key])
            if key == "time" and values[key]:
                parse_duration(values[key])
        except (msgspec.ValidationError, ValueError) as error:
            problems.append(Problem(source, find_misfit(error).cause, key=key))
    if not problems and not partial:
        named = [key for key in ("environment", "spec_file", "image") if values.get(key)]
        if len(named) != 1:
            cause = f"both of {' and '.join(named)} are set" if named else "nothing says what to run"
            problems.append(Problem(source, cause, "set one of `environment`, `spec_file` and `image`"))
    if problems:
        raise InputError(f"{source} does not describe a kernel's container", problems=problems)
    return msgspec.convert(values, KernelOptions)


def merge_options(options: KernelOptions, extra: KernelOptions | None) -> KernelOptions:
    """*options* with all settings of *extra*; what to run, and when to build it, stays."""
    if extra is None:
        return options
    own = ("environment", "spec_file", "image", "build")
    changed = {key: getattr(extra, key) for key in KernelOptions.__struct_fields__ if key not in own}
    return msgspec.structs.replace(options, **changed)
