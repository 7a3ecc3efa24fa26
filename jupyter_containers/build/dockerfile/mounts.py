"""``RUN --mount``: from what the Dockerfile says to the sandbox's binds, and their traces taken away again.

Folders of the context and of other images are copied into the build's staging folder: what a step writes to a
writable one is thrown away with it. Caches lie in the store, ``cache/mounts``, by the hash of their id.
"""

from __future__ import annotations

import hashlib
import os
import posixpath
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...errors import BuildError
from ...image.locks import hold, try_lock
from ...image.store import Staging
from ...sandbox.model import Bind, Tmpfs
from ..tree import Tree
from .bases import find_source
from .copying import problem
from .model import Mount, Run
from .selection import fingerprint, list_items
from .sources import ImageSource
from .work import Step
from .writing import Writer

__all__ = ["Mounted", "missing_places", "mount_key", "mounted"]

_SECRETS = "/run/secrets"


@dataclass(slots=True)
class Mounted:
    """What one RUN sees besides the image."""

    binds: list[Bind] = field(default_factory=list)
    tmpfs: list[Tmpfs] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    env: dict[str, str] = field(default_factory=dict)

    @property
    def targets(self) -> list[str]:
        return [*(bind.target for bind in self.binds), *(each.target for each in self.tmpfs), *self.files]


def mount_key(step: Step, instruction: Run) -> list[dict[str, Any]]:
    """What of the mounts decides about the step's result: files that are seen, never a secret or a cache's content."""
    return [_key(step, mount) for mount in instruction.mounts]


def _key(step: Step, mount: Mount) -> dict[str, Any]:
    if mount.unkept:
        step.build.note(
            f"{step.place}: {mount.unkept} of a mount is not kept: a build without root has one user id, "
            "and all that it sees belongs to root"
        )
    key: dict[str, Any] = {"kind": mount.kind, "target": _target(step, mount)}
    if mount.kind == "secret":
        return key | {"id": _secret_id(step, mount), "env": mount.env}
    if mount.kind == "bind" or mount.from_:
        source, origin = find_source(step, mount.from_)
        path = step.expand(mount.source)
        content = origin or [fingerprint(list_items(source, _resolved(step, mount, source, path)))]
        key |= {"source": path, "content": content, "read_only": mount.read_only}
    if mount.kind == "cache":
        key |= {"id": step.expand(mount.id)}
    return key


@contextmanager
def mounted(step: Step, instruction: Run, staging: Staging) -> Iterator[Mounted]:
    """Prepare the mounts of *instruction*; caches that are ``locked`` or ``private`` are held until the end."""
    result = Mounted()
    with ExitStack() as stack:
        for number, mount in enumerate(instruction.mounts):
            target = _target(step, mount)
            match mount.kind:
                case "tmpfs":
                    result.tmpfs.append(Tmpfs(target, mount.size, mode=0o1777))
                case "secret":
                    _add_secret(step, mount, target, result)
                case "cache":
                    source = _cache(step, mount, target, stack)
                    result.binds.append(Bind(source, target, writable=not mount.read_only))
                case "bind":
                    source = _copied(step, mount, staging.path / f"mount-{number}")
                    result.binds.append(Bind(source, target, writable=not mount.read_only))
        yield result


def _target(step: Step, mount: Mount) -> str:
    text = step.expand(mount.target)
    if mount.kind == "secret" and not text:
        return "" if mount.env else f"{_SECRETS}/{_secret_id(step, mount)}"
    if not text:
        raise problem(step, "a mount's target is empty once expanded")
    target = posixpath.normpath(posixpath.join("/", step.state.execution.working_dir, text)).replace("//", "/")
    if target == "/" or any(target == taken or target.startswith(f"{taken}/") for taken in ("/proc", "/dev", "/sys")):
        if mount.kind == "tmpfs" and target == "/dev/shm":  # noqa: S108  a place in the sandbox
            return target
        raise problem(step, f"nothing can be mounted at {target}")
    return target


def _secret_id(step: Step, mount: Mount) -> str:
    return step.expand(mount.id or mount.source) or posixpath.basename(step.expand(mount.target))


def _add_secret(step: Step, mount: Mount, target: str, result: Mounted) -> None:
    identity = _secret_id(step, mount)
    content = step.build.secrets.get(identity)
    if content is None:
        if mount.required:
            raise problem(step, f"the secret {identity!r} was not given", f"Build with --secret id={identity},src=FILE")
        return  # as the reference has it: the file is not there
    if mount.env:
        try:
            result.env[mount.env] = content.decode("utf-8")
        except UnicodeDecodeError:
            raise problem(step, f"the secret {identity!r} is not text, and can't be a variable") from None
    if target:
        result.files[target] = content


def _resolved(step: Step, mount: Mount, source: Any, path: str) -> str:
    resolved: str | None = source.resolve(posixpath.normpath("/" + path).strip("/"))
    if resolved is None:
        raise problem(step, f"--mount source={path or '/'}: nothing of that name in {source.name}")
    return resolved


def _copied(step: Step, mount: Mount, folder: Path) -> Path:
    """A copy of the mount's source, a file or a folder."""
    source, _ = find_source(step, mount.from_)
    path = _resolved(step, mount, source, step.expand(mount.source))
    # Private: the copy is seen by the sandbox under another id, and only a closed folder is shifted for it.
    folder.mkdir(mode=0o700)
    try:
        with Tree(folder) as tree:
            writer = Writer(tree, ImageSource((), name="a mount", modes={}))
            writer.write_all(list_items(source, path), "root")
    except (OSError, BuildError) as error:
        raise problem(step, f"cannot prepare the mount at {mount.target}: {error}") from error
    root = folder / "root"
    if root.is_dir():
        root.chmod(0o700)
    return root


def _cache(step: Step, mount: Mount, target: str, stack: ExitStack) -> Path:
    identity = step.expand(mount.id) or target
    digest = hashlib.sha256(identity.encode()).hexdigest()[:32]
    caches = step.build.store.cache_dir("mounts")
    name = digest
    if mount.sharing == "locked":
        stack.enter_context(hold(caches / f"{digest}.lock"))
    elif mount.sharing == "private":
        name = _private(caches, digest, stack)
    folder = caches / name
    with hold(caches / f"{name}.new"):
        if not folder.exists():
            if mount.from_:
                made = folder.with_suffix(".part")
                _copied(step, mount, made)
                (made / "root").rename(folder)
                made.rmdir()
            else:
                folder.mkdir()
            folder.chmod(0o755 if mount.mode is None else mount.mode)
    return folder


def _private(caches: Path, digest: str, stack: ExitStack) -> str:
    """The first of this cache's folders that no other step uses now."""
    number = 0
    while True:
        name = f"{digest}-{number}"
        handle = os.open(caches / f"{name}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        if try_lock(handle):
            stack.callback(os.close, handle)
            return name
        os.close(handle)
        number += 1


def missing_places(below: ImageSource, targets: Sequence[str]) -> tuple[str, ...]:
    """Paths that mounting at *targets* will make in the root, the deepest first: they are no part of the layer."""
    missing: dict[str, None] = {}
    for target in targets:
        path = below.place(target)
        while path and below.item(path) is None:
            missing[path] = None
            path = posixpath.dirname(path)
    return tuple(sorted(missing, key=lambda path: -path.count("/")))
