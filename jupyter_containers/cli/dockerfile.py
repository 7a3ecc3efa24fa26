"""``build`` of a Dockerfile: its options, and the run."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterable
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InputError
from .output import print_json, printable

if TYPE_CHECKING:
    from ..build.dockerfile.logged import Request

__all__ = ["add_options", "is_asked_for", "run"]

_LARGEST_SECRET = 500 << 10
"""Bytes; the bound of other builders (BuildKit, ``secrets.MaxSecretSize``)."""


def add_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("a Dockerfile", "with -f, or any of these, PATH is the build context")
    group.add_argument("-f", "--file", metavar="FILE", help="the Dockerfile (default: PATH/Dockerfile; -: from a pipe)")
    group.add_argument("-t", "--tag", action="append", default=[], metavar="NAME[:TAG]", help="name the image")
    group.add_argument("--build-arg", action="append", default=[], metavar="NAME[=VALUE]", help="set an ARG")
    group.add_argument("--target", default="", metavar="STAGE", help="build this stage, and what it needs")
    group.add_argument("--secret", action="append", default=[], metavar="id=…,src=…", help="for RUN --mount")
    group.add_argument("--pull", action="store_true", help="ask registries also for images that are here already")
    group.add_argument("--platform", default="", metavar="OS/ARCH", help="build for another platform")


def is_asked_for(options: argparse.Namespace) -> bool:
    """Whether the options are those of a Dockerfile's build."""
    names = ("file", "tag", "build_arg", "target", "secret", "platform", "pull")
    return any(getattr(options, name) for name in names)


def run(options: argparse.Namespace) -> int:
    """Build it, print the result, return the exit status."""
    from ..build.monitor import silent
    from ..environments import Environments
    from .progress import BuildProgress

    for name in ("locked", "upgrade"):
        if getattr(options, name):
            raise InputError(f"--{name} is for specs: a Dockerfile has no lock")
    request = read_request(options)
    start = time.monotonic()
    notes: list[str] = []
    progress = nullcontext(silent) if options.quiet else BuildProgress(verbose=options.verbose)
    with progress as monitor:

        def note(text: str) -> None:
            notes.append(text)
            if isinstance(monitor, BuildProgress):
                monitor.say(f"note: {printable(text)}")
            else:
                print(f"note: {printable(text)}", file=sys.stderr)

        built = Environments().build_dockerfile(request, monitor=monitor, note=note)
    image = built.image
    if options.json:
        print_json({"image": image.digest, "tags": request.tags, "build": built.build_id, "notes": notes})
    elif options.quiet:
        print(image.digest)
    else:
        names = ", ".join(request.tags) or "built"
        print(f"{names}: ready in {time.monotonic() - start:.1f} s ({image.digest[:19]})")
    return 0


def read_request(options: argparse.Namespace) -> Request:
    """The options as a request; :class:`InputError` for those that are not well formed."""
    from ..build.dockerfile.logged import Request

    piped = options.file == "-"
    return Request(
        context=Path(options.path), file=Path(options.file) if options.file and not piped else None,
        text=sys.stdin.read() if piped else None, tags=tuple(options.tag), target=options.target,
        arguments=dict(_arguments(options.build_arg)), secrets=dict(map(_secret, options.secret)),
        platform=options.platform, no_cache=options.no_cache, fresh=options.pull,
    )  # fmt: skip


def _arguments(texts: Iterable[str]) -> Iterable[tuple[str, str]]:
    """``NAME=VALUE``; ``NAME`` alone takes the value that this process's environment has, as docker does."""
    for text in texts:
        name, equals, value = text.partition("=")
        if not name:
            raise InputError(f"--build-arg {text!r} has no name", hint="write NAME=VALUE")
        if equals:
            yield name, value
        elif name in os.environ:
            yield name, os.environ[name]


def _secret(text: str) -> tuple[str, bytes]:
    fields = dict(part.partition("=")[::2] for part in text.split(","))
    unknown = set(fields) - {"id", "src", "source", "env", "type"}
    identity = fields.get("id", "")
    if not identity or unknown:
        raise InputError(f"--secret {text!r} is not well formed", hint="write id=NAME,src=FILE or id=NAME,env=VARIABLE")
    path = fields.get("src") or fields.get("source")
    if path:
        try:
            content = Path(path).expanduser().read_bytes()
        except OSError as error:
            raise InputError(f"cannot read the secret {identity}: {path}: {error.strerror}") from error
    else:
        variable = fields.get("env", identity)
        if variable not in os.environ:
            raise InputError(f"the secret {identity}: this process has no variable {variable}")
        content = os.fsencode(os.environ[variable])
    if len(content) > _LARGEST_SECRET:
        raise InputError(f"the secret {identity} has more than {_LARGEST_SECRET} bytes")
    return identity, content
