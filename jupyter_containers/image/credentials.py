"""Who the user is at a registry: from our own file of logins, docker's configuration and its credential programs.

Looked at in this order, the first that knows the registry wins:

1. our own file, ``$XDG_CONFIG_HOME/jupyter-containers/auth.json`` (mode 0600), the only one that is written;
2. docker's ``config.json`` (in ``$DOCKER_CONFIG``, else ``~/.docker``): ``credHelpers``, ``credsStore``, ``auths``.

Both files have docker's format (docker/cli, ``cli/config/configfile``), the programs docker's protocol
(github.com/docker/docker-credential-helpers). Secrets are in no message and in no value's text.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import re
import stat
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from ..errors import InputError, RegistryError
from ..misfits import find_misfit
from .durable import write_atomically
from .locks import hold
from .registry_auth import Credential

__all__ = ["Credentials", "registry_key"]

_DOCKER_HUB = "https://index.docker.io/v1/"
"""What docker calls its own registry in its files."""
_HUB_NAMES = ("docker.io", "index.docker.io", "registry-1.docker.io")
_PROGRAM = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_PATIENCE = 60.0
"""Seconds: the program may ask its user."""
_LONGEST_ANSWER = 1 << 20
_NOT_FOUND = "credentials not found"
"""Said on standard output by all programs (credentials/error.go), with exit status 1."""


class _Entry(msgspec.Struct, frozen=True, omit_defaults=True):
    """One of ``auths``; docker writes others' fields too, which are kept in its file and not needed here."""

    auth: str = ""
    username: str = ""
    password: str = ""
    identitytoken: str = ""
    registrytoken: str = ""


class _File(msgspec.Struct, frozen=True, rename="camel"):
    auths: dict[str, _Entry] = {}
    creds_store: str = ""
    cred_helpers: dict[str, str] = {}


class _ProgramAnswer(msgspec.Struct, frozen=True, rename="pascal"):
    username: str = ""
    secret: str = ""


@dataclass(frozen=True, slots=True)
class Credentials:
    """The user's logins. :meth:`current` finds the files."""

    own: Path
    docker: Path | None = None
    """None: docker's configuration is not looked at."""

    @classmethod
    def current(cls, environ: Mapping[str, str] | None = None) -> Credentials:
        """Those of the user that *environ* (default: this process's) describes."""
        env = os.environ if environ is None else environ
        home = Path(env.get("HOME") or Path.home())
        base = env.get("XDG_CONFIG_HOME", "")
        config = Path(base) if base.startswith("/") else home / ".config"  # relative ones are ignored, as XDG has it
        docker = Path(env.get("DOCKER_CONFIG") or home / ".docker")
        return cls(config / "jupyter-containers" / "auth.json", docker / "config.json")

    def find(self, registry: str) -> Credential | None:
        """What the user has for *registry*, or None. Raises :class:`InputError` for a file that can't be read, and
        :class:`RegistryError` where a credential program fails."""
        found = _entry(self.own, _read(self.own), registry)
        if found or self.docker is None:
            return found
        config = _read(self.docker)
        program = next((config.cred_helpers[key] for key in config.cred_helpers if _means(key, registry)), "")
        if program or config.creds_store:
            found = _ask(program or config.creds_store, registry)
        return found or _entry(self.docker, config, registry)

    def store(self, registry: str, credential: Credential) -> None:
        """Remember *credential* in our own file."""
        pair = f"{credential.username}:{credential.password}".encode()
        entry = {"auth": base64.b64encode(pair).decode("ascii")}
        if credential.identity_token:
            entry["identitytoken"] = credential.identity_token
        self._change(registry, entry)

    def forget(self, registry: str) -> bool:
        """Take *registry* out of our own file. False where it was not in it."""
        return self._change(registry, None)

    def _change(self, registry: str, entry: dict[str, str] | None) -> bool:
        key = registry_key(registry)
        try:
            self.own.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with hold(self.own.with_name(".auth.lock")):
                document = _document(self.own)
                auths = document.setdefault("auths", {})
                present = [name for name in auths if _means(name, registry)]
                for name in present:
                    del auths[name]
                if entry is not None:
                    auths[key] = entry
                if present or entry is not None:
                    write_atomically(self.own, json.dumps(document, indent=2).encode() + b"\n")
        except OSError as error:
            raise InputError(f"cannot write {self.own}: {error.strerror}", hint="look at its folder's owner") from error
        return bool(present)


def registry_key(registry: str) -> str:
    """What *registry* is called in such files."""
    return _DOCKER_HUB if registry in _HUB_NAMES else registry


def _means(key: str, registry: str) -> bool:
    """Whether a file's *key*, which old versions wrote as a URL, is *registry*."""
    host = key.removeprefix("https://").removeprefix("http://").partition("/")[0]
    return host == registry or (host in _HUB_NAMES and registry in _HUB_NAMES)


def _document(path: Path) -> dict[str, Any]:
    """The file as it is; empty where there is none."""
    try:
        data = path.read_bytes()
        document = json.loads(data) if data.strip() else {}
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read {path}: {_cause(error)}", hint="correct or remove the file") from error
    if not isinstance(document, dict) or not isinstance(document.get("auths", {}), dict):
        raise InputError(f"cannot read {path}: it is not an object with `auths`", hint="correct or remove the file")
    return document


def _read(path: Path) -> _File:
    document = {key: value for key, value in _document(path).items() if value is not None}
    try:
        return msgspec.convert(document, _File)
    except msgspec.ValidationError as error:
        cause, key = find_misfit(error)
        raise InputError(
            f"cannot read {path}: {f'{key} ' if key else 'it '}{cause}", hint="correct or remove the file"
        ) from error


def _cause(error: Exception) -> str:
    # A JSON error's text tells the place, and nothing of the content.
    return (error.strerror or "") if isinstance(error, OSError) else str(error)


def _entry(path: Path, config: _File, registry: str) -> Credential | None:
    entry = next((config.auths[key] for key in config.auths if _means(key, registry)), None)
    if entry is None:
        return None
    if stat.S_IMODE(path.stat().st_mode) & 0o077 and path.name == "auth.json":
        raise InputError(f"{path} can be read by others, and holds passwords", hint=f"`chmod 600 {path}`")
    username, password = entry.username, entry.password
    if entry.auth:
        try:
            username, colon, password = base64.b64decode(entry.auth, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            colon = ""
        if not colon:
            raise InputError(
                f"{path}: `auth` of {registry} is not base64 of USER:PASSWORD", hint="log in again"
            ) from None
    found = Credential(username, password.rstrip("\0"), entry.identitytoken, entry.registrytoken)
    return found or None


def _ask(program: str, registry: str) -> Credential | None:
    """What ``docker-credential-<program> get`` knows."""
    if not _PROGRAM.fullmatch(program):
        raise InputError(f"{program[:100]!r} can't name a credential program", hint="correct docker's config.json")
    name = f"docker-credential-{program}"
    try:
        done = subprocess.run(
            [name, "get"], input=registry_key(registry).encode(), capture_output=True, timeout=_PATIENCE, check=False
        )
    except FileNotFoundError as error:
        raise RegistryError(
            f"{name}, which docker's config.json names for {registry}, is not installed",
            hint="install it, or `jupyter containers login`, which comes before it",
        ) from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise RegistryError(
            f"{name} gave no answer for {registry}: {type(error).__name__}", hint="try it by hand"
        ) from error
    if done.returncode != 0:
        # Errors are said on standard output, where secrets are said on success.
        said = done.stdout[:300].decode("utf-8", "replace").strip()
        if _NOT_FOUND in said:
            return None
        raise RegistryError(f"{name} failed for {registry}: {said or done.returncode}", hint="try it by hand")
    try:
        answer = msgspec.json.decode(done.stdout[:_LONGEST_ANSWER], type=_ProgramAnswer)
    except msgspec.DecodeError:
        # No "from": the text of the cause could hold the secret.
        raise RegistryError(f"{name} gave no JSON for {registry}", hint="try it by hand") from None
    if answer.username == "<token>":
        return Credential(identity_token=answer.secret) or None
    return Credential(answer.username, answer.secret) or None
