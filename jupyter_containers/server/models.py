"""Bodies of requests and of those answers that are not a view of :mod:`..views` or of the runtime."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import msgspec

from ..carried import Carried
from ..errors import InputError, Problem
from ..kernels.limits import Ceiling, Chosen
from ..spec.edit import Edit

if TYPE_CHECKING:
    from ..sandbox.probe import Finding
    from ..views import StoreSize

__all__ = ["API_VERSION", "CreateEnvironment", "Diagnosis", "ErrorReply", "StartBuild", "StopContainer", "Version"]

API_VERSION = 1
"""Raised when a client of before would misunderstand an answer; new fields and routes don't raise it."""


class _Request(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class CreateEnvironment(_Request, frozen=True, kw_only=True):
    """``POST environments``: one of the first two."""

    path: str | None = None
    """Folder or file of a spec; relative to the server's root folder."""
    text: str | None = None
    """A ``jupyter-container.toml``, kept by the program …"""
    folder: str | None = None
    """… or written into this folder, which must have none; relative to the server's root folder."""

    def __post_init__(self) -> None:
        if (self.path is None) == (self.text is None):
            raise ValueError("give one of `path` and `text`")
        if self.folder is not None and self.text is None:
            raise ValueError("`folder` is where `text` is written: give a `text`")


class WriteSpec(_Request, frozen=True, kw_only=True):
    """``PUT environments/NAME/spec``."""

    text: str
    version: str
    """Of the text that this one is to take the place of."""


class CheckSpec(_Request, frozen=True, kw_only=True):
    """``POST specs/check``."""

    text: str
    folder: str | None = None
    """Where it is, or would be; relative to the server's root folder."""


class DraftSpec(_Request, frozen=True, kw_only=True):
    """``POST specs/draft``: one of the first four. Paths are relative to the server's root folder."""

    notebook: str | None = None
    file: str | None = None
    """A file of another tool's: requirements.txt, environment.yml, pyproject.toml, Dockerfile …"""
    folder: str | None = None
    """Everything that a folder has; with ``image``: where the spec would be written."""
    image: str | None = None
    """The name of an image in the store or in a registry."""
    name: str = ""
    """The environment's; empty: made from the file's or the folder's."""

    def __post_init__(self) -> None:
        sources = [self.notebook, self.file, self.image, self.folder if self.image is None else None]
        if sum(source is not None for source in sources) != 1:
            raise ValueError("give one of `notebook`, `file`, `folder` and `image`")


class EditSpec(_Request, frozen=True, kw_only=True):
    """``POST specs/edit``."""

    text: str
    changes: Annotated[tuple[Edit, ...], msgspec.Meta(max_length=1000)]
    """Made one after the other."""


class EditedSpec(msgspec.Struct, frozen=True, kw_only=True):
    text: str


class StartBuild(_Request, frozen=True, kw_only=True):
    """``POST builds``."""

    environment: str | None = None
    """Name of a known environment …"""
    path: str | None = None
    """… or the folder or file of a spec; relative to the server's root folder."""
    upgrade: bool = False
    locked: bool = False
    no_cache: bool = False
    automatic: bool = False
    """Nobody has asked for just this build: what goes beyond the user's last one is refused."""
    kernelspec: bool | None = None
    """Install the kernelspec afterwards; None: as the server is set."""

    def __post_init__(self) -> None:
        if (self.environment is None) == (self.path is None):
            raise ValueError("give one of `environment` and `path`")


class UpdateContainer(_Request, frozen=True, kw_only=True):
    """``PATCH containers/ID``: what is null stays."""

    memory: int | str | None = None
    """Bytes, or with a unit: ``2G``."""
    cpus: float | None = None
    pids: int | None = None


class CarryEnvironment(_Request, frozen=True, kw_only=True):
    """``POST notebooks/carry``."""

    environment: str
    references: Annotated[tuple[str, ...], msgspec.Meta(max_length=20)] = ()
    """Names under which registries have its image, besides those that are known."""


class NotebookMetadata(msgspec.Struct, frozen=True, kw_only=True):
    metadata: Carried
    """The value of the key ``jupyter_containers`` of a notebook's metadata; what else stands there stays."""


class CheckNotebook(_Request, frozen=True, kw_only=True):
    """``POST notebooks/check``."""

    metadata: Any
    """The value of the key ``jupyter_containers`` of a notebook's metadata."""


class OpenNotebook(_Request, frozen=True, kw_only=True):
    """``POST notebooks/open``."""

    metadata: Any
    trust: bool = False
    """The user has seen what `notebooks/check` tells, and agrees; nothing is done without."""


class ChooseLimits(_Request, frozen=True, kw_only=True):
    """``POST notebooks/limits``."""

    path: str
    """Of the notebook, relative to the server's root folder."""
    limits: Chosen | None
    """For its next kernels; null: no more than its spec says."""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """``GET limits``."""

    maximum: Ceiling
    """What the administrator allows."""
    unenforced: dict[str, str]
    """Limits that can't be enforced on this host, each with the reason; a kernel with one of them does not start."""
    defaults: Chosen
    """What kernels get where neither their spec nor anybody says something."""
    host: HostSize
    environment: Chosen | None = None
    """What the kernels of the environment that was asked about have, where nothing is chosen for their notebook."""
    agreed: Chosen | None = None
    """What the user of the notebook that was asked about has agreed to, in this server's life."""


class HostSize(msgspec.Struct, frozen=True, kw_only=True):
    """What there is in all."""

    memory: int
    """Bytes."""
    cpus: int


class AddPackages(_Request, frozen=True, kw_only=True):
    """``POST environments/NAME/packages``."""

    packages: Annotated[tuple[str, ...], msgspec.Meta(min_length=1, max_length=100)]
    """As in a requirements.txt."""
    container: str | None = None
    """A running container of the environment that gets them at once."""


class PullImage(_Request, frozen=True, kw_only=True):
    """``POST images/pull``."""

    reference: str


class PushImage(_Request, frozen=True, kw_only=True):
    """``POST environments/NAME/push``."""

    target: str
    """``registry.example.org/team/name:tag``."""


class PruneStore(_Request, frozen=True, kw_only=True):
    """``POST prune``."""

    dry_run: bool = False
    everything: bool = False
    """Also caches, and images that have a name but neither an environment nor a container."""
    unused_for: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    """Keep what was of use within so many seconds."""


class Pruned(msgspec.Struct, frozen=True, kw_only=True):
    removed: tuple[str, ...]
    """A line for each thing, removed or (``dry_run``) to be removed."""
    freed: int
    """Bytes on disk."""
    dry_run: bool


class CommitContainer(_Request, frozen=True, kw_only=True):
    """``POST containers/ID/commit``."""

    name: str
    """Of the image that is made."""
    message: str = ""


class Terminal(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    """Of a terminal of Jupyter Server's."""


class StopContainer(_Request, frozen=True, kw_only=True):
    """``POST containers/ID/stop``."""

    grace: Annotated[float, msgspec.Meta(ge=0, le=60)] = 10.0
    """Seconds between SIGTERM and SIGKILL."""


class Output(msgspec.Struct, frozen=True, kw_only=True):
    """The data of an ``output`` event of ``containers/ID/log/events``."""

    text: str
    """May hold control characters; what is no UTF-8 is replaced."""


class Version(msgspec.Struct, frozen=True, kw_only=True):
    version: str
    """Of the program."""
    api: int = API_VERSION


class Diagnosis(msgspec.Struct, frozen=True, kw_only=True):
    checked_at: float
    """Seconds since the epoch."""
    findings: tuple[Finding, ...]
    store: StoreSize | None = None


class ErrorReply(msgspec.Struct, frozen=True, kw_only=True):
    """Body of every answer with a status of 400 or more."""

    message: str
    reason: str
    """The kind of error, for programs: ``NotFoundError``, ``ConflictError`` …; HTTP's phrase for others."""
    hint: str = ""
    """The next step."""
    problems: tuple[Problem, ...] = ()
    output: str = ""
    """The last output of what failed; may hold control characters."""

    @classmethod
    def of(cls, error: Exception) -> ErrorReply:
        """The reply that tells of one of this package's errors."""
        message = str(getattr(error, "message", error))
        problems: tuple[Problem, ...] = ()
        if isinstance(error, InputError):
            problems = error.problems
            message = message.partition("\n")[0]  # the rest repeats the problems
        return cls(
            message=message,
            reason=type(error).__name__,
            hint=getattr(error, "hint", ""),
            problems=problems,
            output=getattr(error, "output", ""),
        )
