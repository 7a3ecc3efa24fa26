"""A Dockerfile as frozen values: stages of instructions, not expanded yet.

msgspec's structs and not dataclasses: two dozen of those take 20 ms to define, at each start.
"""

from __future__ import annotations

from typing import ClassVar, Literal, TypeAlias

import msgspec

__all__ = [
    "Arg", "Cmd", "Command", "Copy", "Dockerfile", "Entrypoint", "Env", "Expose", "From", "Healthcheck", "Heredoc",
    "Instruction", "Label", "Maintainer", "Mount", "OnBuild", "Pairs", "Run", "Shell", "Stage", "StopSignal", "User",
    "Volume", "Workdir",
]  # fmt: skip

Pairs: TypeAlias = tuple[tuple[str, str], ...]


class Heredoc(msgspec.Struct, frozen=True):
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


class Command(msgspec.Struct, frozen=True):
    """Of RUN, CMD, ENTRYPOINT and HEALTHCHECK: a line for the shell, or an argument vector."""

    line: str = ""
    argv: tuple[str, ...] | None = None
    """None: shell form."""

    def vector(self, shell: tuple[str, ...]) -> tuple[str, ...]:
        """What is executed; *shell* is SHELL's vector."""
        return (*shell, self.line) if self.argv is None else self.argv


class Mount(msgspec.Struct, frozen=True):
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
    unkept: str = ""
    """What a build with one user id can't honour: ``uid=1000, mode=0400``."""


class Instruction(msgspec.Struct, frozen=True, kw_only=True):
    keyword: ClassVar[str] = ""
    line: int
    """1-based, of its first line."""
    text: str
    """As written, in one line."""


class From(Instruction, frozen=True, kw_only=True):
    keyword: ClassVar[str] = "FROM"
    image: str
    platform: str = ""
    name: str = ""
    """Lower-case; empty: known by its number alone."""


class Arg(Instruction, frozen=True, kw_only=True):
    keyword: ClassVar[str] = "ARG"
    pairs: tuple[tuple[str, str | None], ...]


class Env(Instruction, frozen=True, kw_only=True):
    keyword: ClassVar[str] = "ENV"
    pairs: Pairs


class Label(Instruction, frozen=True, kw_only=True):
    keyword: ClassVar[str] = "LABEL"
    pairs: Pairs


class Copy(Instruction, frozen=True, kw_only=True):
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


class Run(Instruction, frozen=True, kw_only=True):
    keyword: ClassVar[str] = "RUN"
    command: Command
    mounts: tuple[Mount, ...] = ()
    network: Literal["default", "none", "host"] = "default"
    script: str = ""
    """A heredoc that begins with ``#!``: a program of its own, in place of the command."""


class Cmd(Instruction, frozen=True, kw_only=True):
    keyword: ClassVar[str] = "CMD"
    command: Command


class Entrypoint(Instruction, frozen=True, kw_only=True):
    keyword: ClassVar[str] = "ENTRYPOINT"
    command: Command


class Shell(Instruction, frozen=True, kw_only=True):
    keyword: ClassVar[str] = "SHELL"
    argv: tuple[str, ...]


class Workdir(Instruction, frozen=True, kw_only=True):
    keyword: ClassVar[str] = "WORKDIR"
    path: str


class User(Instruction, frozen=True, kw_only=True):
    keyword: ClassVar[str] = "USER"
    user: str


class Expose(Instruction, frozen=True, kw_only=True):
    keyword: ClassVar[str] = "EXPOSE"
    ports: tuple[str, ...]


class Volume(Instruction, frozen=True, kw_only=True):
    keyword: ClassVar[str] = "VOLUME"
    paths: tuple[str, ...]


class StopSignal(Instruction, frozen=True, kw_only=True):
    keyword: ClassVar[str] = "STOPSIGNAL"
    signal: str


class Healthcheck(Instruction, frozen=True, kw_only=True):
    """Times in nanoseconds, 0 where not given; *command* None: ``HEALTHCHECK NONE``."""

    keyword: ClassVar[str] = "HEALTHCHECK"
    command: Command | None
    times: dict[str, int] = {}
    """By the flag's name: ``interval``, ``timeout``, ``start-period``, ``start-interval``."""
    retries: int = 0


class OnBuild(Instruction, frozen=True, kw_only=True):
    keyword: ClassVar[str] = "ONBUILD"
    trigger: str
    """The instruction as written, with its heredocs."""


class Maintainer(Instruction, frozen=True, kw_only=True):
    keyword: ClassVar[str] = "MAINTAINER"
    author: str


class Stage(msgspec.Struct, frozen=True):
    index: int
    base: From
    instructions: tuple[Instruction, ...]

    @property
    def title(self) -> str:
        """How steps name it: its name, else ``stage-0``."""
        return self.base.name or f"stage-{self.index}"


class Dockerfile(msgspec.Struct, frozen=True):
    file: str
    """As the user knows it."""
    escape: str
    arguments: tuple[Arg, ...]
    """Before the first FROM."""
    stages: tuple[Stage, ...]
    notes: tuple[str, ...] = ()
    """What is worth saying about its text: deprecated forms, a syntax directive that is not followed."""
