"""RUN: a command in a sandbox over the image so far, as its root; what it leaves is the layer."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ...errors import BuildError, ContainerError
from ...image.model import Layer
from ...image.store import Staging
from ...sandbox.model import Bind, Overlay
from ..report import Reporter
from ..tree import Tree
from .accounts import Account, find_account
from .metadata import DEFAULT_PATH, DEFAULT_SHELL
from .model import Run
from .mounts import Mounted, missing_places, mount_key, mounted
from .platform import debian_architecture
from .runfolder import RunFolder, remove_unused
from .work import Step, take_layer
from .writing import Writer

__all__ = ["run"]

_APT_SETTINGS = b'APT::Sandbox::User "root";\n'
"""apt can't become _apt with one user id, and must not try; in a file, since apt's methods read it as well."""
_APT_CONFIG = "/run/jc/apt.conf"
_SCRIPT = "/run/jc/script"
_SYSTEM_FOLDERS = ("/proc", "/dev", "/sys", "/run")
_OWNERS = re.compile(r"\b(chown|chgrp)\b|\binstall\b[^;&|]*\s-[a-z]*[og]\b")


def run(step: Step, instruction: Run) -> None:
    """Carry out ``RUN``; :class:`BuildError` where the command fails."""
    config = step.state.execution
    shell = config.shell or DEFAULT_SHELL
    argv = (_SCRIPT,) if instruction.script else instruction.command.vector(shell)
    account = _account(step)
    env = {**step.state.scope.counted, **config.environment}
    key: dict[str, Any] = {
        "argv": argv, "script": instruction.script, "env": env, "cwd": config.working_dir, "user": config.user,
        "home": account.home, "network": instruction.network != "none", "architecture": step.state.architecture,
        "mounts": mount_key(step, instruction),
    }  # fmt: skip

    def make(reporter: Reporter) -> Layer:
        from ..emulation import check_architecture

        check_architecture(debian_architecture(step.state.architecture))
        store = step.build.store
        with store.staging() as staging:
            _execute(step, instruction, argv, env, account, staging, reporter)
            reporter.phase("committing")
            layer = store.commit_layer(staging.upper, created_by=instruction.text)
        dropped = store.layer_record(layer.diff_id).facts.dropped
        if dropped:
            step.build.note(f"{step.place}: sockets and devices are left out of the layer: {', '.join(dropped[:5])}")
        return layer

    if _OWNERS.search(instruction.script or " ".join(argv)):
        step.build.note(
            f"{step.place}: changes of owners have no effect: a build without root has one user id, and all files of "
            "the image belong to root"
        )
    take_layer(step, key, make, phase="running")


def _account(step: Step) -> Account:
    """Who the command believes to be. Only root's id is there: another user gets its home and name."""
    user = step.state.execution.user
    paths = [layer.path for layer in step.state.layers]
    if user.partition(":")[0] in {"", "root", "0"}:
        return find_account(paths, "0") or Account("root", 0, "/root")
    step.build.note(
        f"{step.place}: RUN as {user} runs as the build's root, with {user}'s HOME and USER: "
        "a build without root has one user id"
    )
    return find_account(paths, user) or Account(user.partition(":")[0], -1, "/")


def _execute(
    step: Step, instruction: Run, argv: tuple[str, ...], env: Mapping[str, str], account: Account, staging: Staging,
    reporter: Reporter,
) -> None:  # fmt: skip
    """Run it, and take away what mounting has made in the upper folder."""
    from ..emulation import (
        step_sandbox,
    )  # late, as what it brings: a build with all in the cache starts nothing
    from ..execution import execute

    build, config = step.build, step.state.execution
    network = instruction.network != "none"
    with mounted(step, instruction, staging) as mounts:
        binds = tuple(mounts.binds)
        if instruction.script:
            binds = (*binds, _script(instruction.script, staging))
        cwd = config.working_dir or "/"
        below = step.below
        folder = RunFolder(below, staging)
        _make_working_folder(step, cwd, staging)
        reporter.phase("running")
        sandbox = step_sandbox(
            argv,
            root=Overlay(tuple(layer.path for layer in step.state.layers), staging.upper, staging.work),
            store=build.store.root, network=network, binds=(folder.bind, *binds), limits=build.bounds.limits, cwd=cwd,
        )  # fmt: skip
        sandbox = sandbox._replace(
            env=_environment(step, env, account, mounts, network=network),
            tmpfs=tuple(mounts.tmpfs),
            files={**sandbox.files, **mounts.files, _APT_CONFIG: _APT_SETTINGS},
        )
        made = missing_places(below, [*_SYSTEM_FOLDERS, *mounts.targets, *sandbox.files, _SCRIPT])
        command = instruction.script.splitlines()[0] if instruction.script else " ".join(argv)
        try:
            execute(sandbox, command=command, reporter=reporter, cancel=build.cancel, bounds=build.bounds)
        except ContainerError as error:
            raise _failure(step, error.message, error.output) from error
        except BuildError as error:
            if type(error) is not BuildError:
                raise  # cancelled
            raise _failure(step, error.message, error.output) from error
    folder.finish(path for path in made if path.startswith("run/"))
    with Tree(staging.upper) as tree:
        for path in made:
            remove_unused(tree, staging.upper, path)


def _failure(step: Step, message: str, output: str) -> BuildError:
    text = message.removeprefix(f"step {step.title!r}: ")
    return BuildError(
        f"{step.place}: {text}", step=step.title, output=output, log=step.build.log,
        hint="correct the instruction and build again: the steps before it are cached",
    )  # fmt: skip


def _environment(
    step: Step, env: Mapping[str, str], account: Account, mounts: Mounted, *, network: bool
) -> dict[str, str]:
    """As other builders have it: PATH, HOME, arguments, the image's variables. Proxies are the host's, and go."""
    from ..network import host_network

    settings = host_network().env if network else {}
    user = {} if account.uid == 0 else {"USER": account.name, "LOGNAME": account.name}
    defaults = {"PATH": DEFAULT_PATH, "HOME": account.home, "APT_CONFIG": _APT_CONFIG, **user}
    return {**defaults, **settings, **step.state.scope.proxies, **env, **mounts.env}


def _script(text: str, staging: Staging) -> Bind:
    path = staging.path / "script"
    path.write_text(text)
    path.chmod(0o700)
    return Bind(path, _SCRIPT)


def _make_working_folder(step: Step, cwd: str, staging: Staging) -> None:
    """A working directory that a base's configuration names and its files lack (runc makes it, too)."""
    below = step.below
    if below.item(below.place(cwd)) is None:
        with Tree(staging.upper) as tree:
            Writer(tree, below).folder(cwd)
