"""Each instruction's own grammar (BuildKit, ``instructions/parse.go``): a statement becomes a value, or is refused."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from .flags import Flags, Refused, parse_duration, parse_mount, refuse_unless
from .lexer import Statement
from .model import (
    Arg,
    Cmd,
    Command,
    Copy,
    Entrypoint,
    Env,
    Expose,
    From,
    Healthcheck,
    Heredoc,
    Instruction,
    Label,
    Maintainer,
    OnBuild,
    Run,
    Shell,
    StopSignal,
    User,
    Volume,
    Workdir,
)  # fmt: skip
from .words import json_words, listed_words, split_words

__all__ = ["BUILDERS", "Refused"]

_HEREDOC_ALONE = re.compile(r"<<-?\S+")


def _command(rest: str) -> Command:
    argv = json_words(rest)
    return Command(rest) if argv is None else Command(argv=argv)


def _from(statement: Statement, escape: str) -> From:
    flags = Flags(statement, "platform")
    words = statement.rest.split()
    named = len(words) == 3 and words[1].lower() == "as"
    refuse_unless(len(words) == 1 or named, "it takes one image, or `IMAGE AS NAME`")
    name = words[2].lower() if named else ""
    platform = flags.one("platform")
    return From(line=statement.line, text=statement.text, image=words[0], platform=platform, name=name)


def _arg(statement: Statement, escape: str) -> Arg:
    Flags(statement)
    pairs: list[tuple[str, str | None]] = []
    for word in split_words(statement.rest, escape):
        name, equals, value = word.partition("=")
        refuse_unless(bool(name), f"{word!r}: there is no name before the =")
        pairs.append((name, value if equals else None))
    refuse_unless(bool(pairs), "it takes a NAME or NAME=DEFAULT")
    return Arg(line=statement.line, text=statement.text, pairs=tuple(pairs))


def _pairs(statement: Statement, escape: str) -> tuple[tuple[str, str], ...]:
    Flags(statement)
    words = split_words(statement.rest, escape)
    refuse_unless(bool(words), "it takes NAME=VALUE")
    if "=" not in words[0]:
        # The old form: one name, and the rest of the line.
        name, *value = statement.rest.split(maxsplit=1)
        refuse_unless(bool(value), f"{name} has no value: write {name}=VALUE")
        return ((name, value[0]),)
    for word in words:
        refuse_unless("=" in word and not word.startswith("="), f"{word!r} is not of the form NAME=VALUE")
    return tuple((name, value) for name, _, value in (word.partition("=") for word in words))


def _env(statement: Statement, escape: str) -> Env:
    return Env(line=statement.line, text=statement.text, pairs=_pairs(statement, escape))


def _label(statement: Statement, escape: str) -> Label:
    return Label(line=statement.line, text=statement.text, pairs=_pairs(statement, escape))


def _copy(statement: Statement, escape: str) -> Copy:
    add = statement.keyword == "ADD"
    known = (
        "chown",
        "chmod",
        "link",
        "exclude",
        *(("checksum", "keep-git-dir") if add else ("from", "parents")),
    )
    flags = Flags(statement, *known)
    words = listed_words(statement.rest)
    refuse_unless(len(words) >= 2, "it takes at least one source and a target")
    heredocs = statement.heredocs
    sources = tuple(word for word in words[:-1] if not (heredocs and _HEREDOC_ALONE.fullmatch(word)))
    if len(words) > 2 and not words[-1].endswith("/"):
        raise Refused(f"several sources need a folder as their target: {words[-1]}/ with a slash at its end")
    chmod = flags.one("chmod")
    if chmod and "$" not in chmod and not re.fullmatch(r"0?[0-7]{3,4}", chmod):
        raise Refused(f"--chmod={chmod}: modes are written as octal digits, 0644 or 755")
    checksum = flags.one("checksum")
    if checksum and "$" not in checksum and not re.fullmatch(r"sha256:[0-9a-f]{64}", checksum):
        raise Refused(f"--checksum={checksum} is not sha256: and 64 hexadecimal digits")
    return Copy(
        line=statement.line, text=statement.text, sources=sources, target=words[-1], add=add, heredocs=heredocs,
        from_=_stage_name(flags.one("from")), chown=flags.one("chown"), chmod=chmod, link=flags.true("link"),
        parents=flags.true("parents"), exclude=flags.all("exclude"), checksum=checksum,
    )  # fmt: skip


def _stage_name(text: str) -> str:
    refuse_unless("$" not in text, f"--from={text}: variables mean nothing here; name a stage `FROM {text} AS …`")
    return text


def _run(statement: Statement, escape: str) -> Run:
    flags = Flags(statement, "mount", "network", "security")
    if flags.one("security", "sandbox") != "sandbox":
        raise Refused("--security=insecure needs real root, which a build here never has")
    network = flags.one("network", "default")
    if network not in {"default", "none", "host"}:
        raise Refused(f"--network={network} is none of default, none, host")
    mounts = tuple(parse_mount(text) for text in flags.all("mount"))
    command, script = _with_heredocs(statement.rest, statement.heredocs)
    refuse_unless(bool(command.line.strip() or command.argv or script), "it takes a command")
    return Run(
        line=statement.line, text=statement.text, command=command, mounts=mounts, script=script,
        network=network,  # type: ignore[arg-type]
    )  # fmt: skip


def _with_heredocs(rest: str, heredocs: tuple[Heredoc, ...]) -> tuple[Command, str]:
    """The command, and a script that is one by itself. A shell reads heredocs that follow a command."""
    if not heredocs:
        return _command(rest), ""
    if len(heredocs) == 1 and _HEREDOC_ALONE.fullmatch(rest):
        text = heredocs[0].text
        return (Command(), text) if text.startswith("#!") else (Command(text), "")
    return Command(rest + "".join(f"\n{heredoc.content}{heredoc.name}" for heredoc in heredocs) + "\n"), ""


def _cmd(statement: Statement, escape: str) -> Cmd:
    Flags(statement)
    return Cmd(line=statement.line, text=statement.text, command=_command(statement.rest))


def _entrypoint(statement: Statement, escape: str) -> Entrypoint:
    Flags(statement)
    return Entrypoint(line=statement.line, text=statement.text, command=_command(statement.rest))


def _shell(statement: Statement, escape: str) -> Shell:
    Flags(statement)
    argv = json_words(statement.rest)
    if not argv:
        raise Refused('it takes a list in JSON: SHELL ["/bin/bash", "-c"]')
    return Shell(line=statement.line, text=statement.text, argv=argv)


def _workdir(statement: Statement, escape: str) -> Workdir:
    Flags(statement)
    refuse_unless(bool(statement.rest), "it takes a path")
    return Workdir(line=statement.line, text=statement.text, path=statement.rest)


def _user(statement: Statement, escape: str) -> User:
    Flags(statement)
    refuse_unless(len(statement.rest.split()) == 1, "it takes one USER, UID or USER:GROUP")
    return User(line=statement.line, text=statement.text, user=statement.rest)


def _expose(statement: Statement, escape: str) -> Expose:
    Flags(statement)
    refuse_unless(bool(statement.rest), "it takes at least one port")
    return Expose(line=statement.line, text=statement.text, ports=tuple(statement.rest.split()))


def _volume(statement: Statement, escape: str) -> Volume:
    Flags(statement)
    paths = listed_words(statement.rest)
    refuse_unless(bool(paths) and all(paths), "it takes at least one path, and none is empty")
    return Volume(line=statement.line, text=statement.text, paths=paths)


def _stop_signal(statement: Statement, escape: str) -> StopSignal:
    Flags(statement)
    refuse_unless(len(statement.rest.split()) == 1, "it takes one signal")
    return StopSignal(line=statement.line, text=statement.text, signal=statement.rest)


def _healthcheck(statement: Statement, escape: str) -> Healthcheck:
    flags = Flags(statement, "interval", "timeout", "start-period", "start-interval", "retries")
    kind, _, rest = statement.rest.partition(" ")
    if kind.upper() == "NONE":
        refuse_unless(not rest.strip() and not statement.flags, "NONE takes no flags and no command")
        return Healthcheck(line=statement.line, text=statement.text, command=None)
    refuse_unless(kind.upper() == "CMD" and bool(rest.strip()), "it takes NONE, or CMD and a command")
    durations = ("interval", "timeout", "start-period", "start-interval")
    times = {name: parse_duration(name, flags.one(name)) for name in durations}
    retries = flags.one("retries", "0")
    refuse_unless(retries.isdigit(), f"--retries={retries} is not a number")
    return Healthcheck(
        line=statement.line,
        text=statement.text,
        command=_command(rest.strip()),
        times=times,
        retries=int(retries),
    )


def _on_build(statement: Statement, escape: str) -> OnBuild:
    Flags(statement)
    refuse_unless(bool(statement.rest), "it takes an instruction")
    trigger = statement.body.split(maxsplit=1)[1]
    return OnBuild(line=statement.line, text=statement.text, trigger=trigger)


def _maintainer(statement: Statement, escape: str) -> Maintainer:
    Flags(statement)
    refuse_unless(bool(statement.rest), "it takes a name")
    return Maintainer(line=statement.line, text=statement.text, author=statement.rest)


BUILDERS: Mapping[str, Callable[[Statement, str], Instruction]] = {
    "ADD": _copy, "ARG": _arg, "CMD": _cmd, "COPY": _copy, "ENTRYPOINT": _entrypoint, "ENV": _env, "EXPOSE": _expose,
    "FROM": _from, "HEALTHCHECK": _healthcheck, "LABEL": _label, "MAINTAINER": _maintainer, "ONBUILD": _on_build,
    "RUN": _run, "SHELL": _shell, "STOPSIGNAL": _stop_signal, "USER": _user, "VOLUME": _volume, "WORKDIR": _workdir,
}  # fmt: skip
