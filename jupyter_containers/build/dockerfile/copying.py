"""COPY, and the part of ADD that is the same: what is selected, and where it goes."""

from __future__ import annotations

import posixpath
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ...errors import BuildError, InputError, Problem
from ...image.model import Layer
from ..report import Reporter
from ..tree import Tree
from .accounts import find_owner
from .bases import find_source
from .model import Copy, Heredoc
from .patterns import Ignore, has_wildcards, make_ignore
from .selection import fingerprint, list_items, match
from .sources import Entry, Source
from .words import expand
from .work import Step, take_layer
from .writing import Writer

__all__ = ["Picked", "Target", "copy", "copy_layer", "note_owner", "pick", "problem", "read_target"]


@dataclass(frozen=True, slots=True)
class Picked:
    """One thing that a COPY takes."""

    source: Source
    named: str
    """As the pattern found it, relative to the source's root."""
    path: str
    """The same without links."""
    is_folder: bool
    exclude: Ignore | None = None

    @property
    def name(self) -> str:
        return posixpath.basename(self.named)

    def entries(self) -> Iterable[Entry]:
        return list_items(self.source, self.path, exclude=self.exclude)


@dataclass(frozen=True, slots=True)
class Target:
    path: str
    """Absolute."""
    is_folder: bool
    """It was written with a slash at its end, or as ``.``."""


def copy(step: Step, instruction: Copy) -> None:
    """Carry out ``COPY``: :class:`BuildError` where a source is missing or can't go where it is to go."""
    source, origin = find_source(step, instruction.from_)
    picked = pick(step, instruction, source)
    key: dict[str, Any] = {
        # Layers have a name for all that is in them; a folder of the host has to be read.
        "sources": [item.named for item in picked] + [origin] if origin else [[p.named, _hash(p)] for p in picked],
        "exclude": instruction.exclude if origin else (),
    }
    heredocs = [(heredoc.name, heredoc_text(step, heredoc)) for heredoc in instruction.heredocs]
    key |= shared_key(step, instruction) | {"heredocs": heredocs}
    note_owner(step, instruction)

    def make(reporter: Reporter) -> Layer:
        return copy_layer(step, instruction, picked, {name: text.encode() for name, text in heredocs}, reporter)

    take_layer(step, key, make, phase="copying")


def shared_key(step: Step, instruction: Copy) -> dict[str, Any]:
    target = read_target(step, instruction)
    return {
        "target": [target.path, target.is_folder],
        "chmod": read_mode(step, instruction),
        "parents": instruction.parents,
    }


def pick(step: Step, instruction: Copy, source: Source, patterns: Iterable[str] | None = None) -> list[Picked]:
    """What the sources name. :class:`BuildError` where one names nothing, or is left out by .dockerignore."""
    exclude = None
    if instruction.exclude:
        lines = enumerate([step.expand(pattern) for pattern in instruction.exclude], instruction.line)
        exclude = make_ignore(lines, step.build.dockerfile.file)
    result: list[Picked] = []
    for text in instruction.sources if patterns is None else patterns:
        pattern = step.expand(text)
        try:
            found = match(source, pattern)
        except ValueError as error:
            raise problem(step, str(error)) from error
        if not found and not (has_wildcards(pattern) and len(instruction.sources) > 1):
            # One pattern of several that fits nothing is how optional files are copied: `COPY a.txt b.tx[t] /`.
            raise problem(step, f"{text}: nothing of that name in {source.name}", _why(source, pattern))
        for named, path in found:
            item = source.item(path)
            assert item is not None
            result.append(Picked(source, named, path, stat.S_ISDIR(item.mode), exclude))
    if not result and not instruction.heredocs:
        raise problem(step, "none of the patterns fits anything")
    return result


def _why(source: Source, pattern: str) -> str:
    path = posixpath.normpath("/" + pattern).strip("/")
    if source.excludes(path):
        return ".dockerignore leaves it out"
    return ""


def problem(step: Step, cause: str, remedy: str = "") -> BuildError:
    """The error of an instruction that can't be carried out."""
    where = Problem(step.build.dockerfile.file, cause, remedy, line=step.instruction.line)
    return BuildError(f"step {step.title!r}: {where}", step=step.title, log=step.build.log)


def read_target(step: Step, instruction: Copy) -> Target:
    text = step.expand(instruction.target)
    if not text:
        raise InputError(
            f"{step.build.dockerfile.file} is not valid",
            problems=[Problem(step.build.dockerfile.file, "the target is empty once expanded", line=instruction.line)],
        )
    path = posixpath.normpath(posixpath.join("/", step.state.execution.working_dir, text)).replace("//", "/")
    return Target(path, text.endswith("/") or text.split("/")[-1] in {".", ".."})


def read_mode(step: Step, instruction: Copy) -> int | None:
    text = step.expand(instruction.chmod)
    if not text:
        return None
    try:
        return int(text, 8)
    except ValueError:
        raise problem(step, f"--chmod={text} is not octal") from None


def note_owner(step: Step, instruction: Copy) -> None:
    """Say that owners are not kept; a name that the image does not know is an error all the same."""
    owner = step.expand(instruction.chown)
    if not owner:
        return
    paths = [layer.path for layer in step.state.layers]
    if find_owner(paths, owner) != (0, 0):
        step.build.note(
            f"{step.place}: --chown={owner} is not kept: a build without root makes images whose files all belong to "
            "root (as the container's own user sees them, they are its own)"
        )


def heredoc_text(step: Step, heredoc: Heredoc) -> str:
    if not heredoc.expand:
        return heredoc.text
    return expand(heredoc.text, step.state.variables, step.build.dockerfile.escape, quotes=False)


def copy_layer(
    step: Step, instruction: Copy, picked: Iterable[Picked], files: Mapping[str, bytes], reporter: Reporter
) -> Layer:
    """The layer with *picked*, and *files* of our own by name."""
    with step.build.store.staging() as staging:
        with Tree(staging.fs) as tree:
            writer = Writer(tree, step.below, chmod=read_mode(step, instruction))
            write_picked(step, instruction, list(picked), files, writer)
        reporter.say(f"copied {writer.files} files")
        reporter.phase("committing")
        return step.build.store.commit_layer(staging.fs, created_by=instruction.text)


def write_picked(
    step: Step, instruction: Copy, picked: list[Picked], files: Mapping[str, bytes], writer: Writer
) -> None:
    target = read_target(step, instruction)
    into = target.is_folder or len(picked) + len(files) > 1 or writer.is_folder(target.path)
    try:
        for item in picked:
            place = target.path
            if instruction.parents:
                place = posixpath.join(place, item.named)
            elif not item.is_folder and into:
                place = posixpath.join(place, item.name)
            if item.is_folder and not instruction.parents:
                # What is in the folder is copied, not the folder: the target, where new, has a folder's usual mode.
                writer.folder(place)
            writer.write_all(item.entries(), place)
        for name, content in files.items():
            writer.file(posixpath.join(target.path, name) if into else target.path, content, 0o644)
    except OSError as error:
        raise problem(step, f"cannot copy {error.filename or _names(picked)}: {error.strerror}") from error
    except BuildError as error:
        raise problem(step, error.message) from error


def _names(picked: Iterable[Picked]) -> str:
    return ", ".join(item.named for item in picked)


def _hash(item: Picked) -> str:
    return fingerprint(item.entries())
