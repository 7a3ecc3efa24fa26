"""The rules for single values of a spec: what is well formed, and what to write instead.

A rule takes the value as the file has it and returns the value that the spec keeps, or raises :class:`Wrong`.
:data:`CHECKS` is the table that the annotations of :mod:`.model` point into.
"""

from __future__ import annotations

import math
import posixpath
import re
from collections.abc import Callable, Mapping
from typing import Any

from ..errors import ReferenceError
from .durations import parse_duration
from .model import HOME
from .names import LONGEST, is_name, make_name
from .requirement import Wrong, check_constraint, check_requirement
from .sizes import parse_size

__all__ = ["CHECKS", "Wrong", "check_base", "check_mount_target", "is_inside"]

_SUITE = r"[a-z][a-z0-9-]{0,31}"
_APT = r"(?P<name>[a-z0-9][a-z0-9+.-]+)(?:=(?P<version>[0-9][A-Za-z0-9.+:~-]*)|/(?P<suite>[a-z][a-z0-9-]*))?"
_ENV_NAME = r"[A-Za-z_][A-Za-z0-9_]*"
_GROUP = r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?"
_MODULE = r"[^\W\d]\w*(?:\.[^\W\d]\w*)*"
_VERSION = r"\d{1,3}(?:\.\d{1,3}){0,2}"

_SYSTEM_TREES = (
    *("/bin", "/boot", "/dev", "/etc", "/lib", "/lib32", "/lib64", "/libx32", "/proc", "/run", "/sbin", "/sys", "/usr"),
    "/opt/venv",
)
"""A mount at or below these would hide the image's system (hier(7)), what the runtime itself mounts, or the
environment's Python packages."""
_SYSTEM_FOLDERS = ("/", "/home", "/opt", "/var")
"""Folders of the image that hold more than a user's data; a folder in them is fine."""


def check_base(text: str) -> str:
    """``debian:<suite>``, ``image:REFERENCE``, ``oci-archive:PATH``, ``oci:PATH``, ``env:NAME`` or ``scratch+PATH``."""
    kind, separator, rest = text.partition("+" if text.startswith("scratch+") else ":")
    if separator and kind == "debian":
        if not re.fullmatch(_SUITE, rest):
            raise Wrong(f"{rest!r} is not a Debian suite", "Write `debian:trixie` or `debian:bookworm`")
    elif separator and kind in {"oci-archive", "oci", "scratch"}:
        if not rest.strip() or "\0" in rest:
            raise Wrong(f"{text!r} names no file", f"Write `{kind}{separator}PATH`")
    elif separator and kind == "image":
        _check_image(rest)
    elif separator and kind == "env":
        if not is_name(rest):
            raise Wrong(f"{rest!r} is not an environment name", f"Write `env:{make_name(rest)}`")
    elif text in {"debian", "scratch"}:
        raise Wrong(f"{text!r} is not complete", "Write `debian:trixie`, or `scratch+PATH` with a root archive's path")
    else:
        raise Wrong(
            f"{text!r} is not a base",
            f"Write `image:{text}` for an image of a registry, or `debian:<suite>`, `env:NAME`, `oci-archive:PATH`",
        )
    return text


def check_mount_target(text: str) -> str:
    """An absolute path in the container that hides nothing the container needs; returned normalised."""
    path = _absolute(text, "a mount's target")
    if path in _SYSTEM_FOLDERS or any(is_inside(path, tree) for tree in _SYSTEM_TREES):
        raise Wrong(
            f"{text!r} is a system path of the container",
            f"Mount below {HOME}, /data, /srv or another path of your own",
        )
    return path


def is_inside(path: str, folder: str) -> bool:
    """Whether the normalised *path* is *folder* or below it."""
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def _check_image(text: str) -> None:
    from ..image.reference import parse_reference  # late: most specs name no image

    try:
        parse_reference(text)
    except ReferenceError as error:
        raise Wrong(error.message, error.hint) from None


def _check_name(text: str) -> str:
    if not is_name(text):
        raise Wrong(
            f"{text!r} is not an environment name: lower-case letters and digits with single `.`, `_`, `-` between "
            f"them, at most {LONGEST} characters",
            f"Write {make_name(text)!r}",
        )
    return text


def _check_python(text: str) -> str:
    if text == "none" or re.fullmatch(_VERSION, text):
        return text
    from packaging.specifiers import InvalidSpecifier, SpecifierSet  # late: it costs 15 ms

    try:
        # An empty set of specifiers would be "any version", which is said by leaving the key out.
        if text.strip() and SpecifierSet(text):
            return text
    except InvalidSpecifier:
        pass
    raise Wrong(f"{text!r} is not a Python version", 'Write a version ("3.13"), a range (">=3.11,<3.14") or "none"')


def _check_apt(text: str) -> str:
    if re.fullmatch(_APT, text):
        return text
    name, colon, _ = text.partition(":")
    if colon and re.fullmatch(_APT, name):
        raise Wrong(f"{text!r}: packages of a foreign architecture are not installed", f"Write {name!r}")
    if " " in text.strip():
        raise Wrong(f"{text!r} holds a space", "Write each package as an item of its own")
    if re.fullmatch(_APT, text.lower()):
        raise Wrong(f"{text!r} is not a Debian package name", f"Write {text.lower()!r}")
    raise Wrong(f"{text!r} is not a Debian package", "Write `name`, `name=version` or `name/suite`")


def _check_size(value: Any) -> int:
    if isinstance(value, str):
        try:
            size = parse_size(value)
        except ValueError as error:
            raise Wrong(str(error)) from None
    else:
        size = value
    if size <= 0:
        raise Wrong(f"{value!r} leaves nothing to work with", "Leave the key out for no limit")
    return size


def _check_duration(value: Any) -> int:
    if isinstance(value, str):
        try:
            seconds = parse_duration(value)
        except ValueError as error:
            raise Wrong(str(error)) from None
    else:
        seconds = value
    if seconds <= 0:
        raise Wrong(f"{value!r} leaves no time to work", "Leave the key out for no limit")
    return int(seconds)


def _check_cpus(value: float) -> float:
    if not math.isfinite(value) or value <= 0:
        raise Wrong(f"{value} is not a number of processors", "Write a number above 0, such as 0.5 or 2")
    return float(value)


def _check_positive(value: int) -> int:
    if value < 1:
        raise Wrong(f"{value} is less than 1", "Leave the key out for no limit")
    return value


def _check_count(value: int) -> int:
    if value < 0:
        raise Wrong(f"{value} is less than 0")
    return value


def _check_line(text: str) -> str:
    if not text.strip():
        raise Wrong("is empty", "Remove it")
    return _check_text(text)


def _check_text(text: str) -> str:
    if "\0" in text:
        raise Wrong("holds a NUL character", "Remove it")
    return text


def _check_env_name(text: str) -> str:
    if not re.fullmatch(_ENV_NAME, text):
        raise Wrong(f"{text!r} is not a variable name", "Use letters, digits and `_`, no digit first")
    return text


def _check_group(text: str) -> str:
    if not re.fullmatch(_GROUP, text):
        raise Wrong(f"{text!r} is not a name of a dependency group or an extra", "Write it as pyproject.toml has it")
    return text


def _check_module(text: str) -> str:
    if not re.fullmatch(_MODULE, text):
        raise Wrong(f"{text!r} is not a module name", "Write it as in an `import` statement")
    return text


def _check_url(text: str) -> str:
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(text)
        host = parts.hostname
    except ValueError as error:
        raise Wrong(f"{text!r} is not a URL: {error}") from None
    if parts.scheme not in {"http", "https"} or not host or re.search(r"\s", text):
        raise Wrong(f"{text!r} is not an http(s) URL", "Write it as `https://HOST/simple`")
    if parts.username is not None or parts.password is not None:
        # The URL would end up in the lock, in the image and in logs.
        bare = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
        raise Wrong("the URL holds a user name or a password", f"Write {bare!r} and put the password into ~/.netrc")
    return text


_FROM_ELSEWHERE = "Put it into the spec's folder, and write its path there"
"""A build takes nothing of the host from outside of the spec's folder."""


def _check_copy_source(text: str) -> str:
    return _relative(text, "a copy's source", "the spec's folder", _FROM_ELSEWHERE)


def _check_copy_target(text: str) -> str:
    path = _relative(text, "a copy's target", f"the kernel user's home, {HOME}", _inside_home(text))
    return HOME if path == "." else f"{HOME}/{path}"


def _inside_home(text: str) -> str:
    """What to write for an absolute target."""
    path = posixpath.normpath(HOME + text[1:] if text == "~" or text.startswith("~/") else text)
    if is_inside(path, HOME):
        return f"Write {posixpath.relpath(path, HOME)!r}"
    name = posixpath.basename(path) or "file"
    return f'Write {name!r}, and move it by a line of `build.run`, which is root\'s: "mv {HOME}/{name} {path}"'


def _check_dockerfile(text: str) -> str:
    return _relative(text, "its path", "the spec's folder", _FROM_ELSEWHERE)


def _check_context(text: str) -> str:
    return _relative(text, "a build context", "the spec's folder", _FROM_ELSEWHERE)


def _check_mount_source(text: str) -> str:
    if not text.strip() or "\0" in text:
        raise Wrong(f"{text!r} is not a path", "Write a path of the host: absolute, `~/…` or relative to the spec")
    if text.startswith("~") and not (text == "~" or text.startswith("~/")):
        raise Wrong(f"{text!r} is another user's home", "Write the absolute path")
    return text


def _relative(text: str, what: str, start: str, remedy: str) -> str:
    """*remedy*: for a path that is absolute."""
    if "\0" in text or not text.strip():
        raise Wrong(f"{text!r} is not a path")
    if text.startswith(("/", "~")):
        raise Wrong(f"{text!r} is absolute; {what} is relative to {start}", remedy)
    if ".." in text.split("/"):
        raise Wrong(f"{text!r} holds `..`; {what} stays inside of {start}", "Write a path without `..`")
    return posixpath.normpath(text)


def _absolute(text: str, what: str) -> str:
    if "\0" in text or not text.startswith("/"):
        raise Wrong(f"{text!r} is not absolute, and {what} has to be", f"Write `{HOME}/{text.lstrip('~/') or 'data'}`")
    if ".." in text.split("/"):
        raise Wrong(f"{text!r} holds `..`", f"Write {posixpath.normpath(text)!r}")
    # normpath keeps two leading slashes, as POSIX lets it
    return "/" + posixpath.normpath(text).lstrip("/")


CHECKS: Mapping[str, Callable[[Any], Any]] = {
    "apt": _check_apt,
    "base": check_base,
    "constraint": check_constraint,
    "copy-source": _check_copy_source,
    "context": _check_context,
    "copy-target": _check_copy_target,
    "count": _check_count,
    "dockerfile": _check_dockerfile,
    "cpus": _check_cpus,
    "env-name": _check_env_name,
    "env-value": _check_text,
    "group": _check_group,
    "line": _check_line,
    "module": _check_module,
    "mount-source": _check_mount_source,
    "mount-target": check_mount_target,
    "name": _check_name,
    "positive": _check_positive,
    "python": _check_python,
    "requirement": check_requirement,
    "size": _check_size,
    "duration": _check_duration,
    "text": _check_text,
    "url": _check_url,
}
