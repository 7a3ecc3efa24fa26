"""The plan: which steps make an image out of a lock, each with its id. Pure: no file is read here.

A step's id is the SHA-256 of everything that can change its result, and of nothing else: the step before it, what it
takes in by hash, the commands it runs, and :data:`~.version.FORMAT`. Not of it: mirrors, where files lie, who builds
and when.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import msgspec

from ..errors import LockError
from ..lock.model import Base, DebianPackage, Interpreter, Lock
from ..lock.pip import Artifact, select_artifacts
from ..spec.model import Copy, LoadedSpec
from .version import FORMAT, WHEEL_FORMAT

__all__ = ["AptStep", "BaseStep", "CopyStep", "PythonStep", "RunStep", "Step", "plan"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    kind: ClassVar[str] = ""
    id: str
    """64 hexadecimal digits."""
    title: str
    parent: str = ""
    """The id of the step before; empty for the first."""

    @property
    def created_by(self) -> str:
        """As an image's history has it."""
        return self.title


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseStep(Step):
    """The root file system to start from."""

    kind: ClassVar[str] = "base"
    base: Base
    architecture: str
    packages: tuple[DebianPackage, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AptStep(Step):
    """Debian packages on top."""

    kind: ClassVar[str] = "apt"
    base: Base
    packages: tuple[DebianPackage, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PythonStep(Step):
    """The virtual environment with its Python packages, or (*added*) more packages for it."""

    kind: ClassVar[str] = "python"
    interpreter: Interpreter
    interpreter_key: str
    """A hash of what makes the interpreter: prepared wheels are shared by environments that have it in common."""
    architecture: str
    artifacts: tuple[Artifact, ...]
    inputs: Mapping[str, str] = field(default_factory=dict)
    """Hashes of the local folders among the artifacts, by path."""
    added: bool = False
    """The environment is there already."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyStep(Step):
    """A file or folder from the spec's folder."""

    kind: ClassVar[str] = "copy"
    copy: Copy
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStep(Step):
    """A shell line."""

    kind: ClassVar[str] = "run"
    command: str
    env: Mapping[str, str]

    @property
    def created_by(self) -> str:
        return f"RUN {self.command}"


def plan(loaded: LoadedSpec, lock: Lock, architecture: str) -> tuple[Step, ...]:
    """The steps in order. *architecture* is Debian's name: ``amd64``, ``arm64``.

    :class:`LockError` where the lock has nothing for the architecture, or lacks an input's hash.
    """
    base, build = lock.base, loaded.spec.build
    inputs = {item.path: item.sha256 for item in lock.inputs}
    steps: list[Step] = []

    def chain(kind: str, **parts: Any) -> dict[str, Any]:
        parent = steps[-1].id if steps else ""
        return {"id": _digest({"format": FORMAT, "kind": kind, "parent": parent, **parts}), "parent": parent}

    if base.kind == "debian":
        packages = _of(base.packages, architecture, loaded, f"of {base.source}")
        what = {"suite": base.suite, "packages": _identities(packages)}
    else:
        packages, what = (), {"digest": base.digest}
    steps.append(
        BaseStep(
            **chain("base", base=base.kind, architecture=architecture, **what),
            title=f"base {base.source}", base=base, architecture=architecture, packages=packages,
        )
    )  # fmt: skip
    if lock.apt:
        packages = _of(lock.apt, architecture, loaded, "of packages.apt")
        if packages:
            title = "apt: " + _enumerate(loaded.spec.packages.apt or [package.name for package in packages])
            steps.append(
                AptStep(**chain("apt", packages=_identities(packages)), title=title, base=base, packages=packages)
            )
    if lock.python is not None:
        artifacts = select_artifacts(lock.python, architecture=architecture)
        folders = {
            item.url_or_path: _input(inputs, item.url_or_path, loaded) for item in artifacts if item.kind == "directory"
        }
        key = _interpreter_key(lock, architecture)
        for number, items in enumerate(_groups(artifacts, lock.added)):
            inputs_of = {item.url_or_path: folders[item.url_or_path] for item in items if item.kind == "directory"}
            parts: dict[str, Any] = {
                "packages": sorted(_identity(item, folders) for item in items),
                **({"added": True} if number else {}),
            }
            steps.append(
                PythonStep(
                    **chain("python", interpreter=msgspec.to_builtins(lock.python.interpreter), **parts),
                    title=f"python: {_enumerate(item.name for item in items)} added" if number
                    else f"python: {len(items)} packages",
                    interpreter=lock.python.interpreter, interpreter_key=key, architecture=architecture,
                    artifacts=items, inputs=inputs_of, added=number > 0,
                )
            )  # fmt: skip
    for copy in build.copy:
        digest = _input(inputs, copy.source, loaded)
        chained = chain("copy", target=copy.target, sha256=digest, modes="executable or not")
        steps.append(CopyStep(**chained, title=f"copy {copy.source} → {copy.target}", copy=copy, sha256=digest))
    for command in build.run:
        chained = chain("run", command=command, env=dict(sorted(build.env.items())))
        first, *rest = command.strip().splitlines() or [""]
        title = f"run: {first}{' …' if rest else ''}"
        steps.append(RunStep(**chained, title=title, command=command, env=build.env))
    return tuple(steps)


_PYTHON_PACKAGE = re.compile(r"(lib)?python3(\.\d+)?(-minimal|-stdlib)?")


def _interpreter_key(lock: Lock, architecture: str) -> str:
    """Of a Debian base: the packages that make Python. Of another image: all of it, since nobody vouches for it."""
    assert lock.python is not None
    packages = [*lock.base.packages.get(architecture, ()), *lock.apt.get(architecture, ())]
    makers = [package for package in packages if _PYTHON_PACKAGE.fullmatch(package.name)]
    document = {
        "format": WHEEL_FORMAT,
        "architecture": architecture,
        "base": lock.base.digest,
        "packages": _identities(makers),
        "interpreter": msgspec.to_builtins(lock.python.interpreter),
    }
    return _digest(document)[:32]


def _of(
    packages: Mapping[str, tuple[DebianPackage, ...]], architecture: str, loaded: LoadedSpec, what: str
) -> tuple[DebianPackage, ...]:
    if architecture not in packages:
        raise LockError(
            f"{loaded.lock_file} has no packages {what} for {architecture} (it has {', '.join(packages) or 'none'})",
            hint="run `jupyter containers lock` on this machine",
        )
    return packages[architecture]


def _input(inputs: Mapping[str, str], path: str, loaded: LoadedSpec) -> str:
    if path not in inputs:
        raise LockError(f"{loaded.lock_file} has no hash for {path}", hint="run `jupyter containers lock`")
    return inputs[path]


def _groups(artifacts: tuple[Artifact, ...], added: tuple[tuple[str, ...], ...]) -> list[tuple[Artifact, ...]]:
    """*artifacts* that were there from the start, then those of each group that was *added*, where it has any."""
    later = {name for group in added for name in group}
    first = tuple(item for item in artifacts if item.name not in later)
    groups = (tuple(item for item in artifacts if item.name in group) for group in added)
    return [first, *(group for group in groups if group)]


def _identity(item: Artifact, folders: Mapping[str, str]) -> tuple[str | None, ...]:
    content = folders.get(item.url_or_path) or item.sha256 or item.url_or_path
    return item.name, item.version, item.kind, item.filename, content


def _identities(packages: Iterable[DebianPackage]) -> list[list[str]]:
    return sorted([item.name, item.version, item.architecture, item.sha256] for item in packages)


def _enumerate(names: Iterable[str], shown: int = 4) -> str:
    names = list(names)
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return ", ".join(names[:shown]) + more


def _digest(document: dict[str, Any]) -> str:
    return hashlib.sha256(msgspec.json.encode(document, order="sorted")).hexdigest()
