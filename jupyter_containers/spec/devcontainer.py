"""devcontainer.json (containers.dev, "Dev Container metadata reference"): what of it makes an environment of notebooks.

The image or Dockerfile, variables, mounts, and the commands that prepare the container are taken over. What is an
editor's business is passed over with a note, and what can't be had is refused with a word why.
"""

from __future__ import annotations

import posixpath
import re
import shlex
from collections.abc import Callable, Mapping
from typing import Any

from .assembly import Assembly
from .jsonc import parse_jsonc
from .model import HOME
from .repo2docker import copy_named
from .walk import Key, Place

__all__ = ["is_devcontainer", "read_devcontainer"]

_NOTES = {
    "forwardPorts": "kernels need no port; `run -p` publishes one",
    "portsAttributes": "kernels need no port",
    "otherPortsAttributes": "kernels need no port",
    "appPort": "kernels need no port",
    "customizations": "settings of an editor",
    "extensions": "settings of an editor",
    "settings": "settings of an editor",
    "workspaceFolder": "the notebook's folder is seen in the container at its own path",
    "workspaceMount": "the notebook's folder is seen in the container at its own path",
    "overrideCommand": "the kernel is what is started",
    "shutdownAction": "a kernel's container ends with it",
    "updateRemoteUserUID": "files belong to who owns the folder in any case",
    "userEnvProbe": "no shell is asked for variables: write them into containerEnv",
    "waitFor": "commands run in the build, before any kernel",
    "init": "every container has an init",
    "hostRequirements": "what the host has is not looked at; `[resources]` of a spec sets limits",
    "privileged": "no container gets privileges",
    "capAdd": "no container gets capabilities",
    "securityOpt": "containers have the filter of system calls that all have",
    "runArgs": "options of docker's own command line",
    "initializeCommand": "it would run on this host, outside of any container",
    "postStartCommand": "it would run at each start; write what prepares the image into postCreateCommand",
    "postAttachCommand": "it would run when an editor attaches",
    "secrets": "kernels get no secrets of an editor",
    "cacheFrom": "steps have a cache of their own",
}
"""Keys that are passed over, and why."""
_REFUSED = {
    "dockerComposeFile": (
        "several containers (docker compose) are not started",
        "Name the `image` or `build.dockerfile` of the one service that has the notebooks",
    ),
    "service": ("a service of docker compose is not started", "Name its `image` or `build.dockerfile`"),
    "features": (
        "features are not installed: they are programs of strangers that run as root in the build",
        "Write what they install into the Dockerfile, or into apt packages of a jupyter-container.toml",
    ),
}
_SILENT = frozenset({"$schema", "name"})
_COMMANDS = ("onCreateCommand", "updateContentCommand", "postCreateCommand")
"""In the order in which they are run."""
_VARIABLE = re.compile(r"\$\{([A-Za-z]+)(?::([^}]*))?\}")


def is_devcontainer(name: str) -> bool:
    return posixpath.basename(name) in {"devcontainer.json", ".devcontainer.json"}


def read_devcontainer(assembly: Assembly, name: str) -> None:
    """Add what the file *name* says to *assembly*; paths in it start at its own folder, as its format has it."""
    file = assembly.folder.shown(name)
    document, lines = parse_jsonc(assembly.folder.read_text(name), file)
    assembly.use(name, "a development container")
    _Reading(assembly, name, document, lines).run()


class _Reading:
    """One file on its way into the assembly."""

    def __init__(self, assembly: Assembly, name: str, document: Mapping[str, Any], lines: Mapping[Key, int]) -> None:
        self._assembly, self._name, self._document, self._lines = assembly, name, document, lines
        self._folder = posixpath.dirname(name)

    def run(self) -> None:
        readers: dict[str, Callable[[Any], None]] = {
            "image": self._image, "build": self._build, "dockerFile": self._old_dockerfile, "context": _nothing,
            "containerEnv": self._container_env, "remoteEnv": self._remote_env, "mounts": self._mounts,
            "remoteUser": self._user, "containerUser": self._user, "features": self._features,
            **dict.fromkeys(_COMMANDS, _nothing),
        }  # fmt: skip
        title = self._document.get("name")
        if isinstance(title, str) and title.strip():
            self._assembly.set(("display-name",), title, self._place("name"))
        for key, value in self._document.items():
            if key in readers:
                readers[key](value)
            elif key in _REFUSED:
                self._refuse(*_REFUSED[key], key)
            elif key not in _SILENT:
                self._pass_over(key, _NOTES.get(key, "no key of the format"))
        for key in _COMMANDS:
            if key in self._document:
                self._commands(self._document[key], key)

    # What the image is made from

    def _image(self, value: Any) -> None:
        if "build" in self._document or "dockerFile" in self._document:
            self._refuse("is named, and a Dockerfile as well", "Remove one of the two", "image")
        elif (image := self._text(value, "image")) is not None:
            self._assembly.set(("base",), f"image:{image}", self._place("image"))

    def _build(self, value: Any) -> None:
        if not isinstance(value, dict):
            self._refuse("has to be an object", "", "build")
            return
        if "dockerfile" not in value:
            self._refuse("names no `dockerfile`", "Add it, or name an `image`", "build")
        for key, item in value.items():
            if key == "dockerfile":
                self._dockerfile(item, value.get("context", "."), ("build", "dockerfile"), ("build", "context"))
            elif key == "args":
                for name, text in self._pairs(item, "build", "args").items():
                    self._assembly.set(("build", "args", name), text, self._place("build", "args", name))
            elif key == "target":
                if (target := self._text(item, "build", "target")) is not None:
                    self._assembly.set(("build", "target"), target, self._place("build", "target"))
            elif key != "context":
                self._pass_over(f"build.{key}", _NOTES.get(key, "no key that is known here"))

    def _old_dockerfile(self, value: Any) -> None:
        self._dockerfile(value, self._document.get("context", "."), ("dockerFile",), ("context",))

    def _dockerfile(self, file: Any, context: Any, file_key: Key, context_key: Key) -> None:
        both = ((file, ("build", "dockerfile"), file_key), (context, ("build", "context"), context_key))
        for value, key, place in both:
            text = self._text(value, *place)
            if text is not None:
                inside = posixpath.normpath(posixpath.join(self._folder, text))
                self._assembly.set(key, inside, self._place(*place))

    # Variables

    def _container_env(self, value: Any) -> None:
        for name, text in self._pairs(value, "containerEnv").items():
            self._assembly.set(("build", "env", name), text, self._place("containerEnv", name))

    def _remote_env(self, value: Any) -> None:
        if isinstance(value, dict):
            for name in [name for name, text in value.items() if text is None]:
                self._pass_over(f"remoteEnv.{name}", "a variable can't be taken away")
            value = {name: text for name, text in value.items() if text is not None}
        for name, text in self._pairs(value, "remoteEnv").items():
            self._assembly.set(("kernel", "env", name), text, self._place("remoteEnv", name))

    # Mounts

    def _mounts(self, value: Any) -> None:
        if not isinstance(value, list):
            self._refuse("has to be a list", "", "mounts")
            return
        for at, item in enumerate(value):
            fields = _mount_fields(item)
            place = self._place("mounts", at)
            if fields is None:
                self._refuse("is not a mount", "Write source=…,target=…,type=bind", "mounts", at)
                continue
            source = self._text(fields.get("source", fields.get("src", "")), "mounts", at)
            target = self._text(
                fields.get("target", fields.get("dst", fields.get("destination", ""))), "mounts", at
            )  # fmt: skip
            kind = fields.get("type", "volume")
            if source is None or target is None:
                continue
            if kind == "bind":
                read_only = str(fields.get("readonly", fields.get("ro", "false"))).lower() in {"true", "1", ""}
                mount = {"source": source, "target": target, "mode": "ro" if read_only else "rw"}
                self._assembly.add(("mounts",), mount, place)
            elif kind in {"volume", "tmpfs"}:
                self._pass_over(f"mounts[{at}]", f"{target} is the container's own: a {kind} does not outlast it here")
            else:
                self._refuse(f"a mount of the type {kind!r} is not offered", "Use type=bind", "mounts", at)

    # The rest

    def _user(self, value: Any) -> None:
        if value == "root":
            reason = "kernels do not run as root"
        else:
            reason = "kernels run as the user with the id 1000, which is the image's own where it has one"
        self._pass_over("remoteUser" if "remoteUser" in self._document else "containerUser", reason)

    def _features(self, value: Any) -> None:
        if value:
            self._refuse(*_REFUSED["features"], "features")

    def _commands(self, value: Any, key: str) -> None:
        """A line for a shell, an argument vector, or several of either by name, which run one after the other here."""
        commands = value if isinstance(value, dict) else {"": value}
        for name, command in commands.items():
            place = (key, name) if name else (key,)
            if isinstance(command, list) and command and all(isinstance(word, str) for word in command):
                line = shlex.join(command)
            elif isinstance(command, str) and command.strip():
                line = command
            else:
                self._refuse("is no command", "Write a text, or a list of words", *place)
                continue
            replaced = self._text(line, *place, variables={"containerWorkspaceFolder": HOME})
            if replaced is not None:
                copy_named(self._assembly, self._name, replaced, self._place(*place))
                line = f"cd {HOME} && HOME={HOME} {_as_one(replaced)}"
                self._assembly.add(("build", "run"), line, self._place(*place))

    # Telling

    def _text(self, value: Any, *key: str | int, variables: Mapping[str, str] | None = None) -> str | None:
        """*value* with its variables; None, and told, where it is no text or has one that is not given."""
        if not isinstance(value, str):
            self._refuse("has to be a text", "", *key)
            return None
        name = posixpath.basename(str(self._assembly.folder.path))
        known = {"localWorkspaceFolder": ".", "localWorkspaceFolderBasename": name, **(variables or {})}
        wrong: list[str] = []

        def replace(match: re.Match[str]) -> str:
            if match[1] == "localEnv" and match[2] in {"HOME", "USERPROFILE"}:
                return "~" if match[2] == "HOME" else ""
            if match[1] in known:
                return known[match[1]]
            wrong.append(match[0])
            return ""

        text = _VARIABLE.sub(replace, value)
        if wrong:
            cause = f"{wrong[0]} is not filled in: a spec may come from a stranger, and sees no variable of this host"
            self._refuse(cause, "Write the value itself", *key)
            return None
        return text

    def _pairs(self, value: Any, *key: str) -> dict[str, str]:
        if not isinstance(value, dict):
            self._refuse("has to be an object", "", *key)
            return {}
        pairs = {name: self._text(text, *key, name) for name, text in value.items()}
        return {name: text for name, text in pairs.items() if text is not None}

    def _place(self, *key: str | int) -> Place:
        for end in range(len(key), 0, -1):
            if key[:end] in self._lines:
                return Place(self._assembly.folder.shown(self._name), self._lines[key[:end]], _shown(key))
        return Place(self._assembly.folder.shown(self._name), key=_shown(key))

    def _refuse(self, cause: str, remedy: str, *key: str | int) -> None:
        self._assembly.report(self._place(*key), cause, remedy)

    def _pass_over(self, key: str, reason: str) -> None:
        self._assembly.ignore(self._name, f"{key}: {reason}")


def _nothing(value: Any) -> None:
    """Read elsewhere."""


def _as_one(command: str) -> str:
    """*command* as one that a variable can be set for: by itself only the first of several would get it."""
    return f"sh -c {shlex.quote(command)}"


def _mount_fields(item: Any) -> dict[str, Any] | None:
    """Of a mount as ``--mount`` of docker has it, or as an object."""
    if isinstance(item, dict):
        return item
    if not isinstance(item, str):
        return None
    fields = dict(part.partition("=")[::2] for part in item.split(","))
    return fields if "target" in fields or "dst" in fields or "destination" in fields else None


def _shown(key: Key) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in key).lstrip(".")
