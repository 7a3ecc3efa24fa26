"""Flags of instructions, and the ``--mount`` of RUN."""

from __future__ import annotations

import csv
import re
from typing import Any

from ...spec.sizes import parse_size
from .lexer import Statement
from .model import Mount

__all__ = ["Flags", "Refused", "parse_duration", "parse_mount", "refuse_unless"]

_REPEATABLE = frozenset({"mount", "exclude"})
_SWITCHES = frozenset({"link", "parents", "keep-git-dir"})
_UNITS = {"ns": 1, "us": 10**3, "µs": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
_DURATION = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)")


class Refused(Exception):
    """An instruction that is not well formed; *causes* in words."""

    def __init__(self, *causes: str, remedy: str = "") -> None:
        super().__init__("; ".join(causes))
        self.causes = causes
        self.remedy = remedy


def refuse_unless(condition: bool, cause: str) -> None:
    if not condition:
        raise Refused(cause)


class Flags:
    """The flags of a statement, checked against those that are *known*; all unknown ones are refused together."""

    def __init__(self, statement: Statement, *known: str) -> None:
        self._values: dict[str, list[str]] = {}
        causes = []
        for flag in statement.flags:
            name, equals, value = flag.removeprefix("--").partition("=")
            if name not in known:
                allowed = ", ".join(f"--{each}" for each in known) or "none"
                causes.append(f"unknown flag --{name} (it takes: {allowed})")
            elif name in self._values and name not in _REPEATABLE:
                causes.append(f"--{name} is given twice")
            elif not equals and name not in _SWITCHES:
                causes.append(f"--{name} needs a value: --{name}=…")
            elif name in _SWITCHES and value.lower() not in {"", "true", "false"}:
                causes.append(f"--{name}={value} is neither true nor false")
            else:
                self._values.setdefault(name, []).append(value if equals else "true")
        if causes:
            raise Refused(*causes)

    def one(self, name: str, default: str = "") -> str:
        return self._values.get(name, [default])[0]

    def all(self, name: str) -> tuple[str, ...]:
        return tuple(self._values.get(name, ()))

    def true(self, name: str) -> bool:
        return self.one(name, "false").lower() == "true"


def parse_duration(name: str, text: str) -> int:
    """Go's ``1m30s`` in nanoseconds; empty: 0. :class:`Refused`."""
    if not text or text == "0":
        return 0
    parts = _DURATION.findall(text)
    if "".join(number + unit for number, unit in parts) != text:
        raise Refused(f"--{name}={text} is not a duration", remedy="Write 30s, 1m30s or 500ms")
    total = int(sum(float(number) * _UNITS[unit] for number, unit in parts))
    if total < 10**6:
        raise Refused(f"--{name}={text} is less than a millisecond")
    return total


_KEYS = {
    # aliases: the reference's own
    "type": "kind", "target": "target", "dst": "target", "destination": "target", "source": "source", "src": "source",
    "from": "from_", "id": "id", "ro": "read_only", "readonly": "read_only", "rw": "writable", "readwrite": "writable",
    "sharing": "sharing", "required": "required", "mode": "mode", "uid": "uid", "gid": "gid", "size": "size",
    "env": "env",
}  # fmt: skip
_OF_KIND = {
    "bind": {"target", "source", "from_", "read_only", "writable"},
    "cache": {"target", "source", "from_", "id", "read_only", "writable", "sharing", "mode", "uid", "gid"},
    "tmpfs": {"target", "size"},
    "secret": {"target", "id", "required", "mode", "uid", "gid", "source", "env"},
}
_SWITCH_KEYS = frozenset({"read_only", "writable", "required"})


def parse_mount(text: str) -> Mount:
    """``type=cache,target=/root/.cache,sharing=locked``; :class:`Refused`."""
    found: dict[str, str] = {}
    for field in next(csv.reader([text])):
        word, equals, value = field.partition("=")
        key = _KEYS.get(word.strip().lower())
        if key is None:
            raise Refused(f"--mount={text}: unknown key {word!r}")
        if not equals and key not in _SWITCH_KEYS:
            raise Refused(f"--mount={text}: {word} needs a value")
        found[key] = value if equals else "true"
    kind = found.pop("kind", "bind")
    if kind == "ssh":
        raise Refused("--mount=type=ssh: no agent is forwarded into builds", remedy="Give a key as a type=secret mount")
    if kind not in _OF_KIND:
        raise Refused(f"--mount={text}: {kind!r} is none of bind, cache, secret, tmpfs")
    wrong = sorted(set(found) - _OF_KIND[kind])
    if wrong:
        raise Refused(f"--mount={text}: {', '.join(wrong).replace('_', '')} means nothing for type={kind}")
    return Mount(**_values(kind, found, text))


def _values(kind: str, found: dict[str, str], text: str) -> dict[str, Any]:
    switches = {key: _switch(found[key], key, text) for key in _SWITCH_KEYS & found.keys()}
    read_only = switches.get("read_only", not switches["writable"] if "writable" in switches else kind == "bind")
    values: dict[str, Any] = {
        "kind": kind,
        "read_only": read_only,
        "required": switches.get("required", False),
    }
    values |= {key: found[key] for key in ("target", "source", "from_", "id", "env") if key in found}
    if "$" in values.get("from_", ""):
        raise Refused(f"--mount={text}: variables mean nothing in from=; name a stage for it")
    if kind != "secret" and not values.get("target"):
        raise Refused(f"--mount={text}: it needs a target")
    if kind == "secret" and not (values.get("id") or values.get("source") or values.get("target")):
        raise Refused(f"--mount={text}: a secret needs an id")
    unkept = ("uid", "gid", "mode") if kind == "secret" else ("uid", "gid")
    values["unkept"] = ", ".join(f"{key}={found[key]}" for key in unkept if found.get(key, "0") != "0")
    if "sharing" in found:
        if found["sharing"] not in {"shared", "private", "locked"}:
            raise Refused(f"--mount={text}: sharing is shared, private or locked")
        values["sharing"] = found["sharing"]
    if "mode" in found:
        refuse_unless(re.fullmatch(r"0?[0-7]{3,4}", found["mode"]) is not None, f"--mount={text}: mode is octal")
        values["mode"] = int(found["mode"], 8)
    if "size" in found:
        try:
            values["size"] = parse_size(found["size"])
        except ValueError as error:
            raise Refused(f"--mount={text}: {error}") from error
    return values


def _switch(value: str, key: str, text: str) -> bool:
    refuse_unless(value.lower() in {"true", "false", "1", "0"}, f"--mount={text}: {key} is true or false")
    return value.lower() in {"true", "1"}
