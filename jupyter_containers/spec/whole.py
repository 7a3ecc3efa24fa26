"""What no value of a spec shows alone: two mounts at one place, a kernel without its command.

The rules look at the raw document, so that they speak up beside the problems of single values, with indexes that
are the user's own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from .checks import CHECKS, Wrong
from .requirement import distribution_name
from .walk import Key

__all__ = ["find_conflicts"]

Conflict = tuple[Key, str, str]
"""The key, the cause, the remedy."""


def find_conflicts(document: dict[str, Any], *, has_pylock: bool, show: Callable[[Key], str]) -> Iterator[Conflict]:
    """The conflicts in *document*; *show* tells in words where a key was written."""
    yield from _targets_twice(document, ("mounts",), "mount-target", show)
    yield from _targets_twice(document, ("build", "copy"), "copy-target", show)
    yield from _dockerfile(document)
    yield from _kernel(document)
    yield from _pins(document, show)
    wants_python = has_pylock or bool(_items(document, ("packages", "pip")))
    if document.get("python") == "none":
        if wants_python:
            yield ("python",), 'is "none", and there are Python packages to install', "Remove one of the two"
        elif not _items(document, ("kernel", "argv")) and _language(document) == "python" and not _is_image(document):
            yield (
                ("python",),
                'is "none", and the kernel is a Python one',
                "Write the kernel's command as `kernel.argv`",
            )


def _targets_twice(document: dict[str, Any], key: Key, check: str, show: Callable[[Key], str]) -> Iterator[Conflict]:
    seen: dict[str, int] = {}
    for at, item in enumerate(_items(document, key)):
        target = item.get("target") if isinstance(item, dict) else None
        if not isinstance(target, str):
            continue
        try:
            target = CHECKS[check](target)
        except Wrong:
            continue
        first = seen.setdefault(target, at)
        if first != at:
            yield (
                (*key, at, "target"),
                f"{target!r} is taken already, in {show((*key, first))}",
                "Give it another target",
            )


def _dockerfile(document: dict[str, Any]) -> Iterator[Conflict]:
    build = document.get("build")
    if not isinstance(build, dict):
        return
    if "dockerfile" in build:
        if "base" in document:
            cause = "is named, and a Dockerfile as well, which names its own with FROM"
            yield ("base",), cause, "Remove one of the two"
        return
    for key in ("context", "target", "args"):
        if key in build:
            yield ("build", key), "belongs to a Dockerfile, and none is named", "Add `dockerfile`, or remove it"


def _kernel(document: dict[str, Any]) -> Iterator[Conflict]:
    argv = [item for item in _items(document, ("kernel", "argv")) if isinstance(item, str)]
    if not argv:
        language = _language(document)
        known = language in {"", "python"} or (language == "r" and _has_irkernel(document))
        if not known:
            example = '["/usr/bin/R", "--slave", "-e", "IRkernel::main()", "--args", "{connection_file}"]'
            cause = f"a kernel of the language {document['kernel']['language']!r} needs `kernel.argv`"
            remedy = f"Write its command, such as argv = {example}"
            if language == "r":
                remedy = "Add r-cran-irkernel to `packages.apt`, or write the kernel's command"
            yield ("kernel", "language"), cause, remedy
        return
    if not argv[0].startswith("/"):
        # jupyter_client replaces a bare `python` by the host's own (KernelManager.format_kernel_cmd).
        yield ("kernel", "argv", 0), f"{argv[0]!r} is not an absolute path in the image", "Write the whole path"
    if not any("{connection_file}" in item for item in argv):
        cause = "does not hand the kernel its connection file"
        yield ("kernel", "argv"), cause, "Add the item `{connection_file}` after the kernel's option for it"


def _language(document: dict[str, Any]) -> str:
    """Of the kernel, in lower case; Python's where it is not said, or not well formed, which is told elsewhere."""
    kernel = document.get("kernel")
    language = kernel.get("language", "python") if isinstance(kernel, dict) else "python"
    return language.strip().lower() if isinstance(language, str) else "python"


def _has_irkernel(document: dict[str, Any]) -> bool:
    """Whether Debian's R kernel is among the packages: its command is known then."""
    packages = [item for item in _items(document, ("packages", "apt")) if isinstance(item, str)]
    return any(item.partition("=")[0].partition("/")[0].strip() == "r-cran-irkernel" for item in packages)


def _is_image(document: dict[str, Any]) -> bool:
    """Whether the base is an image of somebody else's: its kernel is injected where it has none."""
    base, build = document.get("base"), document.get("build")
    made = isinstance(build, dict) and bool(build.get("dockerfile"))
    return made or (isinstance(base, str) and base.startswith(("oci-archive:", "oci:", "image:")))


def _pins(document: dict[str, Any], show: Callable[[Key], str]) -> Iterator[Conflict]:
    """A package pinned to two versions under the same markers can't be installed."""
    pinned: dict[str, list[tuple[int, str]]] = {}
    for at, text in enumerate(_items(document, ("packages", "pip"))):
        name = distribution_name(text) if isinstance(text, str) else None
        if name is not None and "==" in text:
            pinned.setdefault(name, []).append((at, text))
    for name, items in pinned.items():
        if sum(text.count("==") for _, text in items) > 1:
            yield from _unlike_pins(name, items, show)


def _unlike_pins(name: str, items: list[tuple[int, str]], show: Callable[[Key], str]) -> Iterator[Conflict]:
    from packaging.requirements import InvalidRequirement, Requirement  # late: it costs 15 ms

    exact: dict[str, tuple[str, int]] = {}
    for at, text in items:
        try:
            requirement = Requirement(text.partition(" --hash=")[0])
        except InvalidRequirement:
            continue
        for part in requirement.specifier:
            if part.operator != "==" or "*" in part.version:
                continue
            first, where = exact.setdefault(str(requirement.marker), (part.version, at))
            if first != part.version:
                other = show(("packages", "pip", where))
                yield (
                    ("packages", "pip", at),
                    f"{name} is wanted as {part.version} here and as {first} at {other}",
                    "Keep one of them",
                )


def _items(document: dict[str, Any], key: Key) -> list[Any]:
    value: Any = document
    for part in key:
        value = value.get(part) if isinstance(value, dict) else None
    return value if isinstance(value, list) else []
