"""What a spec takes of the host, and whether the user has agreed to it.

The spec lies in the notebook's folder, and a kernel can write there. A kernel without network could put
``network = "full"``, or a mount of another folder, into its own spec and have it at the next start. So what the user's
own build (a command, a request to the server) saw is remembered, and a kernel that starts by itself gets no more.
"""

from __future__ import annotations

import msgspec

from ..errors import InputError, Problem
from .catalog import Record
from .dockerfile import dockerfile_digest
from .model import LoadedSpec, Mount

__all__ = ["Grant", "check_granted", "describe_grant", "grant_of"]


class Grant(msgspec.Struct, frozen=True, omit_defaults=True):
    """The parts of a spec that reach out of the container. Steps of a build run with the host's network."""

    network: str = "none"
    mounts: tuple[Mount, ...] = ()
    gpus: int = 0
    run: tuple[str, ...] = ()
    dockerfile: str = ""
    """The hash of its text and of what it is built with; empty where there is none."""


def grant_of(loaded: LoadedSpec) -> str:
    """The spec's :class:`Grant` as the text that a record keeps. :class:`SpecError` for a Dockerfile that can't be
    read."""
    spec = loaded.spec
    grant = Grant(spec.network, spec.mounts, spec.resources.gpus or 0, spec.build.run, dockerfile_digest(loaded))
    return msgspec.json.encode(grant).decode()


def describe_grant(granted: str) -> tuple[str, ...]:
    """What a :func:`grant_of` text takes of the host, in words, a line each; empty where it takes nothing."""
    grant = msgspec.json.decode(granted, type=Grant)
    lines = []
    if grant.network != "none":
        lines.append("network: the kernels reach what this host reaches")
    lines += [
        f"folder: {mount.source}, seen as {mount.target}, {'written to' if mount.mode == 'rw' else 'read only'}"
        for mount in grant.mounts
    ]
    if grant.gpus:
        lines.append(f"GPUs: {grant.gpus}")
    if grant.dockerfile:
        lines.append("a Dockerfile: what it runs has the network")
    lines += [f"a step of its build, which has the network: {line}" for line in grant.run]
    return tuple(lines)


def check_granted(entry: Record, loaded: LoadedSpec, *, building: bool = True) -> None:
    """:class:`InputError` where *loaded* takes something of the host that it did not take when *entry* was built.

    Without *building* only what a container of the image that is there would take is looked at. A record from before grants were kept agrees to everything.
    """
    if entry.granted is None:
        return
    known = msgspec.json.decode(entry.granted, type=Grant)
    wanted = msgspec.json.decode(grant_of(loaded), type=Grant)
    asked: list[tuple[str, str]] = []
    if wanted.network != known.network and wanted.network != "none":
        asked.append(("network", f"network = {wanted.network!r}"))
    asked += [
        ("mounts", f"{mount.source} at {mount.target} ({mount.mode})")
        for mount in wanted.mounts
        if mount not in known.mounts
    ]
    if wanted.gpus > known.gpus:
        asked.append(("resources.gpus", f"{wanted.gpus} GPUs"))
    runs = wanted.run if building else ()
    if wanted.dockerfile not in {known.dockerfile, ""}:
        asked.append(("build.dockerfile", f"{loaded.spec.build.dockerfile} as it is now, whose steps have network"))
    asked += [("build.run", f"the step {line!r}, which has network") for line in runs if line not in known.run]
    if asked:
        file = str(loaded.file or loaded.folder)
        raise InputError(
            f"the spec of {entry.name} asks for more of this host than when it was built last",
            problems=[Problem(file, cause, "", key) for key, cause in asked],
            hint=f"a notebook can write its own spec: look at it, then `jupyter containers build {entry.name}` agrees",
        )
