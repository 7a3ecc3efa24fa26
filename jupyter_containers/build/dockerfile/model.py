"""A Dockerfile as frozen values: stages of instructions, not expanded yet."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal, TypeAlias

__all__ = [
    "Arg", "Cmd", "Command", "Copy", "Dockerfile", "Entrypoint", "Env", "Expose", "From", "Healthcheck", "Heredoc",
    "Instruction", "Label", "Maintainer", "Mount", "OnBuild", "Pairs", "Run", "Shell", "Stage", "StopSignal", "User",
    "Volume", "Workdir",
]  # fmt: skip

Pairs: TypeAlias = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Heredoc:
    """The lines between ``<<NAME`` and ``NAME``."""

    name: str
    content: str
    """As written, with its line ends."""
    expand: bool = True
    """False where the name was quoted."""
    chomp: bool = False
    """``<<-``: leading tabs are no part of the text."""

    @property
    def text(self) -> str:
        if not self.chomp:
            return self.content
        return "".join(line.lstrip("\t") for line in self.content.splitlines(keepends=True))


@dataclass(frozen=True, slots=True)
class Command:
    """Of RUN, CMD, ENTRYPOINT and HEALTHCHECK: a line for the shell, or an argument vector."""

    line: str = ""
    argv: tuple[str, ...] | None = None
    """None: shell form."""

    def vector(self, shell: tuple[str, ...]) -> tuple[str, ...]:
        """What is executed; *shell* is SHELL's vector."""
        return (*shell, self.line) if self.argv is None else self.argv


@dataclass(frozen=True, slots=True)
class Mount:
    """Of ``RUN --mount``; texts are expanded when the instruction is carried out."""

    kind: Literal["bind", "cache", "tmpfs", "secret"]
    target: str = ""
    source: str = ""
    from_: str = ""
    id: str = ""
    read_only: bool = True
    sharing: Literal["shared", "private", "locked"] = "shared"
    required: bool = False
    mode: int | None = None
    size: int | None = None
    """Bytes, of a tmpfs."""
    env: str = ""
    """The variable that a secret is put in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Instruction:
    keyword: ClassVar[str] = ""
    line: int
    """1-based, of its first line."""
    text: str
    """As written, in one line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class From(Instruction):
    keyword: ClassVar[str] = "FROM"
    image: str
    platform: str = ""
    name: str = ""
    """Lower-case; empty: known by its number alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arg(Instruction):
    keyword: ClassVar[str] = "ARG"
    pairs: tuple[tuple[str, str | None], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Env(Instruction):
    keyword: ClassVar[str] = "ENV"
    pairs: Pairs


@dataclass(frozen=True, slots=True, kw_only=True)
class Label(Instruction):
    keyword: ClassVar[str] = "LABEL"
    pairs: Pairs


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy(Instruction):
    """COPY, and with *add* ADD."""

    keyword: ClassVar[str] = "COPY"
    sources: tuple[str, ...]
    target: str
    add: bool = False
    heredocs: tuple[Heredoc, ...] = ()
    from_: str = ""
    chown: str = ""
    chmod: str = ""
    link: bool = False
    parents: bool = False
    exclude: tuple[str, ...] = ()
    checksum: str = ""
    """``sha256:…`` of what an ADD downloads."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run(Instruction):
    keyword: ClassVar[str] = "RUN"
    command: Command
    mounts: tuple[Mount, ...] = ()
    network: Literal["default", "none", "host"] = "default"
    script: str = ""
    """A heredoc that begins with ``#!``: a program of its own, in place of the command."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cmd(Instruction):
    keyword: ClassVar[str] = "CMD"
    command: Command


@dataclass(frozen=True, slots=True, kw_only=True)
class Entrypoint(Instruction):
    keyword: ClassVar[str] = "ENTRYPOINT"
    command: Command


@dataclass(frozen=True, slots=True, kw_only=True)
class Shell(Instruction):
    keyword: ClassVar[str] = "SHELL"
    argv: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Workdir(Instruction):
    keyword: ClassVar[str] = "WORKDIR"
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class User(Instruction):
    keyword: ClassVar[str] = "USER"
    user: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Expose(Instruction):
    keyword: ClassVar[str] = "EXPOSE"
    ports: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Volume(Instruction):
    keyword: ClassVar[str] = "VOLUME"
    paths: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StopSignal(Instruction):
    keyword: ClassVar[str] = "STOPSIGNAL"
    signal: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Healthcheck(Instruction):
    """Times in nanoseconds, 0 where not given; *command* None: ``HEALTHCHECK NONE``."""

    keyword: ClassVar[str] = "HEALTHCHECK"
    command: Command | None
    times: dict[str, int] = field(default_factory=dict)
    """By the flag's name: ``interval``, ``timeout``, ``start-period``, ``start-interval``."""
    retries: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class OnBuild(Instruction):
    keyword: ClassVar[str] = "ONBUILD"
    trigger: str
    """The instruction as written, with its heredocs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Maintainer(Instruction):
    keyword: ClassVar[str] = "MAINTAINER"
    author: str


@dataclass(frozen=True, slots=True)
class Stage:
    index: int
    base: From
    instructions: tuple[Instruction, ...]

    @property
    def title(self) -> str:
        """How steps name it: its name, else ``stage-0``."""
        return self.base.name or f"stage-{self.index}"


@dataclass(frozen=True, slots=True)
class Dockerfile:
    file: str
    """As the user knows it."""
    escape: str
    arguments: tuple[Arg, ...]
    """Before the first FROM."""
    stages: tuple[Stage, ...]
    notes: tuple[str, ...] = ()
    """What is worth saying about its text: deprecated forms, a syntax directive that is not followed."""
