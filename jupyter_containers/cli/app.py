"""``jupyter containers``: finds the command, and imports nothing else before it has."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module

from .._version import __version__
from .ending import EXIT_USAGE, end_with

__all__ = ["main"]

# name: (group, module, class, summary). The summary stands here as well as in the class so that the list of
# commands needs no import; tests/unit/cli/test_app.py holds the two together.
COMMANDS: dict[str, tuple[str, str, str, str]] = {
    "init": ("Environments", "spec", "Init", "write a first spec from what a folder has"),
    "explain": ("Environments", "spec", "Explain", "show which files make the spec, and the result"),
    "schema": ("Environments", "spec", "Schema", "print the JSON Schema of the spec"),
    "lock": ("Environments", "lock", "LockCommand", "resolve a spec to exact versions and hashes"),
    "build": ("Environments", "build", "Build", "build the image of a spec"),
    "add": (
        "Environments",
        "packages",
        "Add",
        "add Python packages to an environment, and to a kernel that runs",
    ),
    "remove": ("Environments", "packages", "Remove", "remove Python packages from an environment"),
    "env": ("Environments", "env", "Env", "list, show, add and remove environments"),
    "builds": ("Environments", "build", "Builds", "list builds"),
    "share": ("Environments", "share", "Share", "write an environment to one file, for other machines"),
    "open": ("Environments", "share", "Open", "take in an environment from a file that `share` wrote"),
    "to-dockerfile": ("Environments", "export", "ToDockerfile", "write an environment as a Dockerfile"),
    "to-devcontainer": ("Environments", "export", "ToDevcontainer", "write an environment as a devcontainer.json"),
    "execute": ("Notebooks", "execute", "Execute", "run notebooks in containers, side by side"),
    "carry": ("Notebooks", "carry", "Carry", "write an environment into a notebook, which brings it along"),
    "kernelspec": (
        "Notebooks",
        "kernelspec",
        "Kernelspec",
        "install, list and remove kernelspecs of environments",
    ),
    "kernel": (
        "Notebooks",
        "kernel",
        "Kernel",
        "run an environment's kernel behind a connection file (for clients without provisioners)",
    ),
    "run": ("Containers", "containers_run", "Run", "run a command in a new container"),
    "exec": ("Containers", "containers_exec", "Exec", "run a command in a running container"),
    "ps": ("Containers", "containers_list", "Ps", "list containers"),
    "logs": ("Containers", "containers_list", "Logs", "show the output of a container or a build"),
    "stop": ("Containers", "containers_control", "Stop", "stop containers: SIGTERM, then SIGKILL"),
    "kill": ("Containers", "containers_control", "Kill", "send a signal to containers"),
    "pause": ("Containers", "containers_control", "Pause", "stop all processes of containers, until `resume`"),
    "resume": ("Containers", "containers_control", "Resume", "let paused containers go on"),
    "update": ("Containers", "containers_control", "Update", "change limits of containers that run"),
    "rm": ("Containers", "containers_control", "Rm", "remove containers"),
    "inspect": (
        "Containers",
        "containers_list",
        "Inspect",
        "show all that is known of a container, environment or image",
    ),
    "stats": ("Containers", "containers_usage", "StatsCommand", "show what containers use"),
    "top": ("Containers", "containers_usage", "Top", "list the processes of a container"),
    "diff": ("Containers", "containers_usage", "Diff", "list the files a container changed"),
    "cp": ("Containers", "containers_files", "Cp", "copy files between the host and a container"),
    "commit": ("Containers", "containers_files", "Commit", "make an image of a container's changes"),
    "export": ("Containers", "containers_files", "Export", "write a container's files as a tar"),
    "import": ("Containers", "containers_files", "ImportCommand", "make an image of a root file system's tar"),
    "images": ("Store", "images", "Images", "list images"),
    "history": ("Store", "images", "HistoryCommand", "show what an image is made of"),
    "tag": ("Store", "images", "Tag", "give an image another name"),
    "rmi": ("Store", "images", "Rmi", "remove images, or one of their names"),
    "save": ("Store", "ship_files", "Save", "write images to a file or folder"),
    "load": ("Store", "ship_files", "Load", "take images in from a file or folder"),
    "sbom": ("Store", "attest", "Sbom", "print an image's bill of materials"),
    "provenance": ("Store", "attest", "Provenance", "print how an image came about"),
    "diff-image": ("Store", "store", "DiffImage", "explain how two images differ"),
    "df": ("Store", "store", "Df", "show what images, containers, caches and builds take of the disk"),
    "prune": ("Store", "store", "Prune", "free disk: what nothing refers to, or what was not used for long"),
    "pin": ("Store", "store", "Pin", "keep images from `prune`, or list what is kept"),
    "unpin": ("Store", "store", "Unpin", "let `prune` take images again"),
    "publish": ("Store", "store", "Publish", "put images into a store that other users share"),
    "verify": ("Store", "store", "Verify", "hash everything in the store again, and repair it"),
    "pull": ("Registries", "ship", "Pull", "take an image from a registry"),
    "push": ("Registries", "ship", "Push", "send an image to a registry"),
    "copy": ("Registries", "ship", "Copy", "copy an image from registry to registry"),
    "search-tags": ("Registries", "ship", "SearchTags", "list the tags of an image in a registry"),
    "login": ("Registries", "ship_login", "Login", "remember a login for a registry"),
    "logout": ("Registries", "ship_login", "Logout", "forget a login for a registry"),
    "doctor": ("Host", "doctor", "Doctor", "try what this host can do, and name the remedies"),
}


def main(argv: Sequence[str] | None = None) -> None:
    """The console script; never returns."""
    # Python has no stream for a descriptor that the caller closed (`>&-`), and prints would fail.
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115
    end_with(lambda: _main(list(sys.argv[1:] if argv is None else argv)))


def _main(argv: list[str]) -> int:
    if not argv or argv[0] in {"-h", "--help", "help"}:
        print(_usage())
        return 0
    if argv[0] in {"-V", "--version"}:
        print(__version__)
        return 0
    entry = COMMANDS.get(argv[0])
    if entry is None:
        import difflib  # late: for mistakes only

        near = difflib.get_close_matches(argv[0], COMMANDS, 1)
        guess = f"did you mean `{near[0]}`?" if near else "`jupyter containers --help` lists the commands"
        print(f"error: no command {argv[0]!r}\nhint: {guess}", file=sys.stderr)
        return EXIT_USAGE
    from .base import execute

    _, module, name, _ = entry
    command = getattr(import_module(f".{module}", __package__), name)()
    return execute(command, argv[1:])


def _usage() -> str:
    lines = [
        "usage: jupyter containers COMMAND [OPTIONS]",
        "",
        "Notebook kernels in containers built from declarative specs: no root, no daemon.",
    ]
    group, width = "", max(map(len, COMMANDS))
    for name, (its_group, _, _, summary) in COMMANDS.items():
        if its_group != group:
            group = its_group
            lines += ["", f"{group}:"]
        lines.append(f"  {name:<{width}} {summary}")
    return "\n".join([*lines, "", "`jupyter containers COMMAND --help` explains a command."])
