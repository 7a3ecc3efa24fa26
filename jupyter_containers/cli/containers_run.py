"""``run``."""

from __future__ import annotations

import argparse
import signal
import sys
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import NotFoundError
from .base import Command
from .container_options import (
    above_zero,
    from_zero,
    is_path,
    parse_environment,
    parse_limit_size,
    parse_limit_time,
    parse_mount,
    parse_pair,
    without_separator,
)
from .run_settings import LIMITS, check_settings, merged, read_defaults

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

    from ..environments import Environments
    from ..runtime.base import Container
    from ..spec.model import LoadedSpec
    from ..views import Resolved

__all__ = ["Run"]

_FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)


class Run(Command):
    name = "run"
    summary = "run a command in a new container"
    description = (
        "Run COMMAND, else the image's own, in a new container of an environment or image. An environment that is "
        "not built is built first. Without options: no network, nothing of the host, limits as the spec has them."
    )
    examples = (
        "  jupyter containers run --rm ml-intro python -c 'import numpy; print(numpy.__version__)'\n"
        '  jupyter containers run -it --rm -v "$PWD:/work" -w /work ml-intro bash\n'
        "  jupyter containers run -d --name worker --memory 2G --cpus 1.5 --network full ml-intro python job.py"
    )

    def arguments(self, parser: argparse.ArgumentParser) -> None:
        add = parser.add_argument
        add("-i", "--interactive", action="store_true", help="connect standard input")
        add("-t", "--tty", action="store_true", help="give it a terminal")
        add("-d", "--detach", action="store_true", help="run in the background and print the id")
        add("--rm", action="store_true", help="remove the container when it ends")
        add("--name", default="", help="else two words are made up")
        add("-v", "--volume", action="append", default=[], metavar="SRC:DST[:ro]", help="make a host path visible")
        add("-e", "--env", action="append", default=[], metavar="K[=V]", help="set a variable, or pass the host's on")
        add("-w", "--workdir", default="", metavar="DIR", help="working directory in the container")
        add("-u", "--user", default="", metavar="USER[:GROUP]",
            help="inside, name or number (default: the image's, else root); outside it is always yourself")  # fmt: skip
        add("--entrypoint", metavar="PROGRAM", help="in place of the image's; empty: none")
        add("--hostname", default="")
        add("--network", choices=["none", "full"], help="full: that of the host (default: the spec's, else none)")
        add("-m", "--memory", type=parse_limit_size, metavar="SIZE", help="such as 512M or 2G")
        add("--cpus", type=above_zero(float), metavar="N", help="such as 1.5")
        add("--pids-limit", type=above_zero(int), metavar="N", dest="pids", help="processes and threads at once")
        add("--disk", type=parse_limit_size, metavar="SIZE", help="of the writable layer")
        add("--gpus", type=from_zero(int), metavar="N")
        add("--files", type=above_zero(int), metavar="N", help="that each process may have open")
        add("--time", type=parse_limit_time, metavar="TIME", help="after which it is ended, such as 30m or 2h")
        add("--accept-unenforced", action="append", default=[], choices=LIMITS, metavar="LIMIT",
            help="run even if this host can't enforce it")  # fmt: skip
        add("--label", action="append", default=[], metavar="K=V")
        add("image", metavar="ENV|IMAGE", help="an environment's name or folder, or an image")
        add("command", nargs=argparse.REMAINDER, metavar="COMMAND", help="and its arguments")

    def run(self, options: argparse.Namespace) -> int:
        from ..environments import Environments

        mounts = tuple(parse_mount(text) for text in options.volume)
        env = parse_environment(options.env)
        labels = dict(parse_pair(text) for text in options.label)
        asked = {name: getattr(options, name) for name in (*LIMITS, "network") if getattr(options, name) is not None}
        accepted = tuple(options.accept_unenforced)
        environments = Environments()
        if not options.detach:
            environments.runtime.expect_start()
        environments.reap()
        # Before a build that may take minutes.
        resolved = resolve_or_build(
            environments, options.image, check=lambda loaded: check_settings(environments, loaded, asked, accepted)
        )
        defaults = read_defaults(resolved)
        container = environments.create(
            options.image if resolved.environment is None else resolved.environment.name,
            command_of(environments, resolved, options.command, entrypoint=options.entrypoint),
            name=options.name, env=env, cwd=options.workdir, user=options.user, hostname=options.hostname,
            accept_unenforced=accepted, tty=options.tty, remove=options.rm,
            die_with_parent=not options.detach, labels=labels, **merged(defaults, asked, mounts),
        )  # fmt: skip
        try:
            if options.detach:
                container.start()
                print(container.id)
                return 0
            return attend(container, tty=options.tty, interactive=options.interactive)
        except BaseException:
            if container.poll() is None:
                remove_quietly(container)
            raise


def attend(container: Container, *, tty: bool, interactive: bool) -> int:
    """Start it with this process's streams, pass signals on, and return its exit code."""
    if tty:
        from .terminal import Terminal

        terminal = Terminal()
        try:
            with terminal.raw():
                container.start(stdin=terminal.slave, stdout=terminal.slave, stderr=terminal.slave)
                terminal.copy(ended=lambda: container.poll() is not None)
        finally:
            terminal.close()
        code = container.wait()
    else:
        sys.stdout.flush()
        with forwarded(container) as begin:
            container.start(stdin=0 if interactive else None, stdout=1, stderr=2)
            begin()
            code = container.wait()
    cause = getattr(container, "cause", "")
    if cause and not cause.startswith(("exit code ", "killed by ")):
        print(f"error: {container.config.name}: {cause}", file=sys.stderr)
    return code


@contextmanager
def forwarded(container: Container) -> Iterator[Callable[[], None]]:
    """Signals to this process go to the container, as docker's --sig-proxy has it.

    Those that the caller had us ignore (nohup; a shell's background job) are still ignored. Call what is yielded when
    the container runs: signals that came before are sent then.
    """
    from ..errors import ContainerError

    early: list[int] | None = []

    def forward(number: int, frame: FrameType | None) -> None:
        if early is not None:
            early.append(number)
            return
        with suppress(ContainerError, NotFoundError):  # it has ended in the meantime
            container.signal(number)

    def begin() -> None:
        nonlocal early
        waiting, early = early, None
        for number in waiting or ():
            forward(number, None)

    heard = [number for number in _FORWARDED if signal.getsignal(number) != signal.SIG_IGN]
    before = {number: signal.signal(number, forward) for number in heard}
    try:
        yield begin
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def resolve_or_build(environments: Environments, reference: str, *, check: Callable[[LoadedSpec], None]) -> Resolved:
    """What *reference* stands for; an environment that is not built, and the spec in a path, is built with progress,
    once *check* has let it pass."""
    spec_file = reference
    if not is_path(reference):
        try:
            return environments.resolve(reference)
        except NotFoundError:
            try:
                spec_file = environments.view(reference).spec_file
            except NotFoundError as error:  # it names what there is
                mark = " " if error.hint.endswith("?") else "; "
                hint = f"{error.hint}{mark}`jupyter containers pull` fetches an image"
                raise NotFoundError(f"{error.message}, and no image", hint=hint) from None
    from ..spec.load import load_spec
    from ..views import Resolved
    from .progress import BuildProgress

    if Path(spec_file).expanduser().exists():  # else the build tells that it is gone
        check(load_spec(Path(spec_file).expanduser()))
    with BuildProgress(verbose=False) as monitor:
        built = environments.build(reference, monitor=monitor)
    return Resolved(reference=reference, image=built.image.digest, environment=built.record)


def command_of(
    environments: Environments, resolved: Resolved, words: list[str], *, entrypoint: str | None = None
) -> list[str]:
    """The image's Entrypoint before the command that was given, else its Cmd (OCI image-spec, config.md).

    With an *entrypoint* of the user's the image's Cmd, which is made for its own, has no say, as in docker.
    """
    given = without_separator(words)
    if entrypoint is not None:
        return [*([entrypoint] if entrypoint else []), *given]
    execution = environments.store.image(resolved.image).config.execution
    return [*(execution.entrypoint or ()), *(given or execution.cmd or ())]


def remove_quietly(container: Container) -> None:
    """After an error that is about to be told; what can't be removed now is reaped later."""
    from ..errors import ContainersError

    try:
        container.remove(force=True)
    except (ContainersError, OSError):
        return
