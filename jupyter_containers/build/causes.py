"""Why two images are not the same: in words, from their specs and locks where those were kept, and from the files."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from typing import Any

from ..image.compare import FileDifference, ImageDifference
from ..image.store import Store
from ..lock.compare import compare as compare_locks
from ..lock.fit import host_architecture
from ..lock.model import Lock
from .kept import Kept, read_kept

__all__ = ["find_causes"]

_MOST = 12
"""Names in one line."""
_TRACES = ("/var/log/", "/var/cache/", "/var/tmp/", "/tmp/", "/root/.cache/")  # noqa: S108  of an image
_RANDOM = ("/etc/machine-id", "/etc/ssh/ssh_host_", "/var/lib/dbus/machine-id")


def find_causes(store: Store, difference: ImageDifference) -> tuple[str, ...]:
    """The likely causes of *difference*, the surest first; empty where the two are one."""
    if difference.is_empty:
        return ()
    a, b = read_kept(store, difference.a), read_kept(store, difference.b)
    causes = [*(_of_specs(a, b) if a and b else ())]
    if a and b and not causes and a.lock_text != b.lock_text:
        causes.append("the locks differ in hashes, dates or sources, and in no version")
    if a and b and not causes:
        causes.append("both were made from the same spec and the same lock")
        causes += _of_steps(difference)
    elif not causes:
        causes += _of_history(difference)
    causes += _of_files(difference.files)
    if not causes and difference.config:
        causes.append("only the configuration is another: the files are the same")
    return tuple(causes)


def _of_specs(a: Kept, b: Kept) -> Iterator[str]:
    one, other = tomllib.loads(a.spec), tomllib.loads(b.spec)
    keys = [key for key in sorted(one.keys() | other.keys()) if one.get(key) != other.get(key)]
    if keys:
        yield f"the specs differ in {', '.join(keys)}"
    yield from _of_bases(a.lock, b.lock)
    changes = compare_locks(a.lock, b.lock, host_architecture())
    for what, names in (
        ("added", [f"{each.name} {each.version}" for each in changes.added]),
        ("removed", [f"{each.name} {each.version}" for each in changes.removed]),
        ("changed", [f"{each.name} {each.before} → {each.after}" for each in changes.changed]),
    ):
        if names:
            yield f"the locks differ: packages {what}: {_some(names)}"
    inputs = {item.path: item.sha256 for item in a.lock.inputs}
    later = {item.path: item.sha256 for item in b.lock.inputs}
    changed = [path for path in sorted(inputs.keys() | later.keys()) if inputs.get(path) != later.get(path)]
    if changed:
        yield f"files that the build takes in have changed: {_some(changed)}"


def _of_bases(a: Lock, b: Lock) -> Iterator[str]:
    for name in ("source", "suite", "digest"):
        one, other = getattr(a.base, name), getattr(b.base, name)
        if one != other:
            yield f"the locks differ: the base's {name} is {one or 'none'} → {other or 'none'}"
            return


def _of_steps(difference: ImageDifference) -> Iterator[str]:
    steps = [layer.created_by_b or layer.created_by_a for layer in difference.layers]
    commands = [step for step in steps if step.startswith(("run", "RUN"))]
    if commands:
        yield f"a command of the build does not do the same each time: {_some(commands)}"
    elif steps:
        yield f"built by another version of this program, or damaged since (`verify`): {_some(steps)}"


def _of_history(difference: ImageDifference) -> Iterator[str]:
    layer = next(iter(difference.layers), None)
    if layer is not None and layer.created_by_a != layer.created_by_b:
        yield (
            f"layer {layer.position + 1} is the first that differs: {layer.created_by_a or 'none'!r} against "
            f"{layer.created_by_b or 'none'!r}"
        )
    elif layer is not None:
        yield f"layer {layer.position + 1} ({layer.created_by_a or 'without a note'}) came out differently"


def _of_files(files: tuple[FileDifference, ...]) -> Iterator[str]:
    if not files:
        return
    if all(each.changes and set(each.changes) <= {"time"} for each in files):
        yield "only times differ: built on different days without a fixed one (SOURCE_DATE_EPOCH)"
        return
    for what, found in (
        ("byte code of Python", [each for each in files if each.path.endswith(".pyc")]),
        ("logs, caches and temporary files", [each for each in files if each.path.startswith(_TRACES)]),
        ("what is made at random", [each for each in files if each.path.startswith(_RANDOM)]),
    ):
        if found:
            yield f"{len(found)} of the {len(files)} differences are {what}"


def _some(names: list[Any]) -> str:
    more = f" and {len(names) - _MOST} more" if len(names) > _MOST else ""
    return ", ".join(names[:_MOST]) + more
