"""The exception tree. Libraries raise these; only ``cli/`` prints them and only ``server/`` maps them to HTTP.

::

    ContainersError                      message, hint
    ├── InputError                       bad input of a user: all its problems at once
    │   ├── SpecError                    a spec or a foreign format
    │   ├── LockError                    a lock file that is damaged, outdated or missing
    │   └── ReferenceError               an image reference, digest or environment name that is not well formed
    ├── ResolutionError                  no set of versions satisfies the spec
    ├── ArchiveError                     a package archive or index
    │   ├── UnreachableError             no answer, no mirror, no network
    │   ├── SignatureError               a signature or its key does not verify
    │   └── HashMismatchError            bytes that are not what the lock or the index promised
    ├── RegistryError                    a registry refused: access denied, a quota, an answer that makes no sense
    ├── StoreError                       the image store
    │   ├── NotFoundError                no such image, layer, environment, build or container
    │   ├── ConflictError                the name is taken, or the thing is in use
    │   ├── UntrustedContentError        a foreign tar or document breaks a rule of defence
    │   └── OutOfSpaceError              disk full or over a bound
    ├── HostError                        this host can't do it; the hint is the remedy
    │   └── LimitError                   a resource limit that was asked for can't be enforced
    ├── BuildError                       a step failed: step, command, exit status, last output, log
    │   └── CancelledError               the user stopped the build
    └── ContainerError                   a container could not start, or died: cause and last output
        └── KernelError                  the kernel in it did
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

__all__ = [
    "ArchiveError",
    "BuildError",
    "CancelledError",
    "ConflictError",
    "ContainerError",
    "ContainersError",
    "HashMismatchError",
    "HostError",
    "InputError",
    "KernelError",
    "LimitError",
    "LockError",
    "NotFoundError",
    "OutOfSpaceError",
    "Problem",
    "ReferenceError",
    "RegistryError",
    "ResolutionError",
    "SignatureError",
    "SpecError",
    "StoreError",
    "UnreachableError",
    "UntrustedContentError",
]


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong in a user's input: where, what, and what to do."""

    file: str
    """The file as the user knows it; empty for a command line or a request body."""
    cause: str
    remedy: str = ""
    key: str = ""
    """The place in the document, dotted: ``packages.apt[2]``."""
    line: int | None = None
    """1-based, where the format tells."""

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line is not None else self.file
        parts = [part for part in (place, self.key) if part]
        text = ": ".join([*parts, self.cause])
        return f"{text}. {self.remedy}" if self.remedy else text


class ContainersError(Exception):
    """Base of all errors of this package; ``hint`` is the next step for the person who reads it."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n  hint: {self.hint}" if self.hint else self.message


class InputError(ContainersError):
    """Bad input, with every problem that one reading of it can tell."""

    def __init__(self, message: str, *, problems: Iterable[Problem] = (), hint: str = "") -> None:
        self.problems = tuple(problems)
        super().__init__("\n  ".join([message, *map(str, self.problems)]), hint=hint)


class SpecError(InputError):
    """A spec, or another tool's file read as one, is not valid."""


class LockError(InputError):
    """A lock file is missing, damaged, or does not belong to its spec any more."""


class ReferenceError(InputError):  # the OCI term; the builtin of that name is about weak references
    """An image reference, a digest or an environment name that is not well formed."""


class ResolutionError(ContainersError):
    """No set of package versions satisfies the spec."""


class ArchiveError(ContainersError):
    """A package archive or index did not give what was asked for."""


class UnreachableError(ArchiveError):
    """No answer: the name does not resolve, no route, time-out, or an HTTP 5xx that did not go away."""


class SignatureError(ArchiveError):
    """Signed metadata whose signature, key or validity period does not hold."""


class HashMismatchError(ArchiveError):
    """Bytes whose size or hash is not what the lock, the index or the manifest says."""


class RegistryError(ContainersError):
    """A registry refused, or answered with what can't be used. No answer at all is :class:`UnreachableError`."""


class StoreError(ContainersError):
    """The image store can't do what was asked."""


class NotFoundError(StoreError):
    """No image, layer, environment, build or container of that name."""


class ConflictError(StoreError):
    """The name is taken, or the thing is in use."""


class UntrustedContentError(StoreError):
    """A foreign archive or document breaks a rule of defence; the message names the entry."""


class OutOfSpaceError(StoreError):
    """The disk, or a bound that was set, is full; nothing was left behind."""


class HostError(ContainersError):
    """This host can't do it as it stands; the hint says how it could."""


class LimitError(HostError):
    """A resource limit was asked for that this host can't enforce."""


class BuildError(ContainersError):
    """A build step failed."""

    def __init__(self, message: str, *, step: str = "", output: str = "", log: str = "", hint: str = "") -> None:
        self.step = step
        self.output = output
        """The last lines of the step's output."""
        self.log = log
        """Where the whole log is."""
        super().__init__(message, hint=hint)


class CancelledError(BuildError):
    """The user stopped the build; finished steps are kept."""


class ContainerError(ContainersError):
    """A container could not be started, or ended in a way that was not asked for."""

    def __init__(self, message: str, *, output: str = "", exit_code: int | None = None, hint: str = "") -> None:
        self.output = output
        self.exit_code = exit_code
        super().__init__(message, hint=hint)


class KernelError(ContainerError):
    """The container started, the kernel in it did not, or died."""
