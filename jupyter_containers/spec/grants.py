"""What a spec takes of the host, and whether the user has agreed to it.

The spec lies in the notebook's folder, and a kernel can write there: the spec, the lock, the package beside it. One
without network could put ``network = "full"``, or a mount of another folder, into its own spec and have it at the next
start; or a URL with what it has read in it, for the next build to fetch. So what the user's own build (a command, a
request to the server) saw is remembered, and what starts by itself gets no more: no more of the host, no address that
was not asked before, and no code run in a build that the user's own build did not run (:mod:`..build.consent`).
For an environment that the user has not built that is: packages of the usual archives, in a sandbox.
"""

from __future__ import annotations

import msgspec

from ..errors import InputError, Problem
from .catalog import Record
from .model import LoadedSpec, Mount

__all__ = [
    "Grant",
    "agree_again",
    "check_granted",
    "describe_grant",
    "grant_of",
    "granted",
    "is_new",
    "lock_mark",
    "refusal",
]

LIMITS = ("memory", "cpus", "pids", "disk", "files", "time")


class Grant(msgspec.Struct, frozen=True, omit_defaults=True):
    """The parts of a spec that reach out of the container, and what a build of it has run and read."""

    network: str = "none"
    mounts: tuple[Mount, ...] = ()
    gpus: int = 0
    run: tuple[str, ...] = ()
    """They have the host's network."""
    dockerfile: str = ""
    """The hash of its text and of what it is built with; empty where there is none."""
    base: str = ""
    """Where it is not Debian's: another environment's files, an archive of this host, an image of a registry."""
    indexes: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    """Requirements by URL."""
    limits: dict[str, float] = {}
    code: tuple[str, ...] = ()
    """What the build ran: hashes, as :mod:`..build.consent` tells them."""
    lock: str = ""
    """The hash of the lock, as the build left it."""


def grant_of(loaded: LoadedSpec, *, code: tuple[str, ...] = (), lock: bytes = b"") -> str:
    """The spec's :class:`Grant` as the text that a record keeps, after a build that ran *code* and left the *lock*.

    :class:`SpecError` for a Dockerfile that can't be read.
    """
    spec = loaded.spec
    packages = spec.packages
    grant = Grant(
        network=spec.network,
        mounts=spec.mounts,
        gpus=spec.resources.gpus or 0,
        run=spec.build.run,
        dockerfile=_dockerfile(loaded),
        base="" if spec.base.startswith("debian:") else spec.base,
        indexes=tuple(url for url in (packages.index_url, *packages.extra_index_urls) if url),
        addresses=tuple(item for item in (*packages.pip, *packages.constraints) if "://" in item),
        limits={name: value for name in LIMITS if (value := getattr(spec.resources, name)) is not None},
        code=code,
        lock=lock_mark(lock),
    )
    return msgspec.json.encode(grant).decode()


def _dockerfile(loaded: LoadedSpec) -> str:
    if not loaded.spec.build.dockerfile:
        return ""
    from .dockerfile import dockerfile_digest  # late: few have one

    return dockerfile_digest(loaded)


def agree_again(entry: Record, loaded: LoadedSpec) -> str:
    """What the record keeps after a build of the user's that had nothing to do."""
    known = granted(entry)
    wanted = msgspec.json.decode(grant_of(loaded), type=Grant)
    return msgspec.json.encode(msgspec.structs.replace(wanted, code=known.code, lock=known.lock)).decode()


def lock_mark(content: bytes) -> str:
    """What a grant has of a lock's bytes."""
    import hashlib  # late: a start that finds all as it was needs none

    return hashlib.sha256(content).hexdigest() if content else ""


def granted(entry: Record | None) -> Grant:
    """What the user has agreed to; nothing where there was no build of theirs."""
    if entry is None or entry.granted is None:
        return Grant()
    return msgspec.json.decode(entry.granted, type=Grant)


def is_new(entry: Record | None) -> bool:
    """Whether the user has never built it."""
    return entry is None or entry.granted is None


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
    lines += [f"packages of the index {url}" for url in grant.indexes]
    lines += [f"a package of its own address: {item}" for item in grant.addresses]
    lines += [f"a step of its build, which has the network: {line}" for line in grant.run]
    return tuple(lines)


def check_granted(entry: Record | None, loaded: LoadedSpec, *, building: bool = True) -> None:
    """:class:`InputError` where *loaded* takes something of the host that it did not take at the user's last build,
    which *entry* remembers. Without *building* only what a container of the image that is there would take."""
    known = granted(entry)
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
    if building:
        asked += _asked_of_builds(loaded, known, wanted)
    for name, most in known.limits.items():
        if name not in wanted.limits:
            asked.append((f"resources.{name}", f"no limit, and it was {most:g}"))
        elif wanted.limits[name] > most:
            asked.append((f"resources.{name}", f"{wanted.limits[name]:g}, and it was {most:g}"))
    if asked:
        raise refusal(entry, loaded, asked, "asks for more of this host")


def _asked_of_builds(loaded: LoadedSpec, known: Grant, wanted: Grant) -> list[tuple[str, str]]:
    asked: list[tuple[str, str]] = []
    if wanted.dockerfile not in {known.dockerfile, ""}:
        asked.append(("build.dockerfile", f"{loaded.spec.build.dockerfile} as it is now, whose steps have network"))
    if wanted.base not in {known.base, ""}:
        asked.append(("base", wanted.base))
    asked += [("packages.index-url", url) for url in wanted.indexes if url not in known.indexes]
    asked += [("packages.pip", item) for item in wanted.addresses if item not in known.addresses]
    asked += [("build.run", f"the step {line!r}, which has network") for line in wanted.run if line not in known.run]
    return asked


def refusal(
    entry: Record | None, loaded: LoadedSpec, asked: list[tuple[str, str]], what: str = "would run other code"
) -> InputError:
    """The error for a start that would go beyond the user's own build; *asked* are keys of the spec and words."""
    file, name = str(loaded.file or loaded.folder), loaded.spec.name
    if is_new(entry):
        message, way = f"{name} has not been built by you, and {what} than packages in a sandbox", str(loaded.folder)
        hint = f"look at it (`jupyter containers explain {way}`), then build it: `jupyter containers build {way}`"
    else:
        message = f"{name} {what} than when you built it last"
        hint = f"a notebook can write its own spec: look at it, then `jupyter containers build {name}` agrees"
    return InputError(message, problems=[Problem(file, cause, "", key) for key, cause in asked], hint=hint)
