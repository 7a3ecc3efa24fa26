"""Commands that look: ``ps``, ``logs``, ``inspect``."""

from __future__ import annotations

import argparse
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from ..errors import NotFoundError
from .base import Command
from .container_options import from_zero
from .output import age, print_json, print_table

if TYPE_CHECKING:
    from ..environments import Environments
    from ..runtime.base import ContainerState

__all__ = ["Inspect", "Logs", "Ps", "describe"]


class Ps(Command):
    name = "ps"
    summary = "list containers"
    examples = "  jupyter containers ps -a\n  jupyter containers rm $(jupyter containers ps -aq)"

    def arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("-a", "--all", action="store_true", help="those that have ended as well")
        parser.add_argument("-q", "--quiet", action="store_true", help="print ids alone")
        self.add_json(parser)

    def run(self, options: argparse.Namespace) -> int:
        from ..environments import Environments

        environments = Environments()
        environments.reap()
        states = environments.containers(all=options.all)
        if options.json:
            print_json(states)
        elif options.quiet:
            print("".join(f"{state.id}\n" for state in states), end="")
        else:
            print_table(
                ("CONTAINER ID", "IMAGE", "COMMAND", "CREATED", "STATUS", "NAME"),
                [
                    (
                        state.id, state.image_name or state.image[:19], shorten(" ".join(state.argv)),
                        f"{age(time.time() - state.created_at)} ago", describe(state), state.name,
                    )
                    for state in states
                ],
            )  # fmt: skip
        return 0


class Logs(Command):
    name = "logs"
    summary = "show the output of a container or a build"
    examples = "  jupyter containers logs -f --tail 20 quiet-otter"

    def arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("name", help="a container's name or id, or a build's id")
        parser.add_argument("-f", "--follow", action="store_true", help="go on until it ends")
        parser.add_argument("-n", "--tail", type=from_zero(int), metavar="N", help="the last N lines only")

    def run(self, options: argparse.Namespace) -> int:
        from ..environments import Environments

        environments = Environments()
        try:
            container = environments.container(options.name)
        except NotFoundError as missing:
            return self._build(environments, options, missing)
        from ..runtime.container import BundledContainer

        if options.follow and isinstance(container, BundledContainer):
            for data in container.follow(tail=options.tail):
                sys.stdout.buffer.write(data)
                sys.stdout.buffer.flush()
        else:
            text = container.logs(tail=options.tail)
            if not text and not container.logs() and container.config.die_with_parent:
                print("no log: its output went to where it was started", file=sys.stderr)
            sys.stdout.buffer.write(text.encode("utf-8", "surrogateescape"))
        return 0

    def _build(self, environments: Environments, options: argparse.Namespace, missing: NotFoundError) -> int:
        try:
            environments.find_build(options.name)
        except NotFoundError:
            raise NotFoundError(
                f"no container and no build {options.name!r}",
                hint="`jupyter containers ps -a` and `jupyter containers builds` list them",
            ) from missing
        if options.follow:
            for event in environments.follow(options.name):
                if event.kind == "output":
                    print(event.text, flush=True)
            return 0
        lines = environments.build_log(options.name).splitlines(keepends=True)
        print("".join(lines if options.tail is None else lines[max(len(lines) - options.tail, 0) :]), end="")
        return 0


class Inspect(Command):
    name = "inspect"
    summary = "show all that is known of a container, environment or image"
    description = (
        "Print JSON: the state of each container, what it was created from, where its files are, and of each limit "
        "by what it is enforced. Of an image: names, layers, and its configuration."
    )

    def arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("name", nargs="+", help="containers, environments, or images")
        self.add_json(parser)  # accepted for symmetry: it always prints JSON

    def run(self, options: argparse.Namespace) -> int:
        from ..environments import Environments

        environments = Environments()
        print_json([_inspect(environments, name) for name in options.name])
        return 0


def describe(state: ContainerState, *, now: float | None = None) -> str:
    """A container's status in words: ``running 5m``, ``exited (137) 2m ago: out of memory (…)``."""
    now = time.time() if now is None else now
    if state.status in ("running", "paused"):
        return f"{state.status} {age(now - (state.started_at or state.created_at))}"
    if state.status == "created":
        return "created"
    code = "?" if state.exit_code is None else str(state.exit_code)
    when = f" {age(now - state.ended_at)} ago" if state.ended_at else ""
    why = f": {state.cause}" if state.cause and not state.cause.startswith("exit code ") else ""
    return f"exited ({code}){when}{why}"


def _inspect(environments: Environments, name: str) -> dict[str, object]:
    try:
        container = environments.container(name)
    except NotFoundError:
        return _inspect_image(environments, name)
    folder = environments.paths.containers / container.id
    return {
        "kind": "container",
        "state": container.state(),
        "config": container.config,
        "exposed_ports": _ports(environments, container.config.image),
        "folder": folder,
        "writable_layer": folder / "upper",
        "log": folder / "log",
    }


def _ports(environments: Environments, image: str) -> list[str]:
    """What the image says that it listens on: for people, no port of the host is opened."""
    try:
        return sorted(environments.store.image(image).config.execution.exposed_ports or ())
    except NotFoundError:
        return []


def _inspect_image(environments: Environments, name: str) -> dict[str, object]:
    try:
        view = environments.view(name)
    except NotFoundError:
        try:
            return {"kind": "image", "image": environments.storage.inspect(name)}
        except NotFoundError:
            raise NotFoundError(
                f"no container, no environment and no image {name!r}",
                hint="`jupyter containers ps -a`, `env list` and `images` list them",
            ) from None
    image = None
    if view.image is not None:
        with suppress(NotFoundError):  # it was pruned; the view tells
            image = environments.storage.inspect(view.image)
    return {"kind": "environment", "environment": view, "image": image, "starts": environments.starts.look(view.name)}


def shorten(text: str, length: int = 30) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"
