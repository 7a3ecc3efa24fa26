"""dpkg's side of a tree: which paths are left out, and its database (dpkg(1), deb-triggers(5))."""

from __future__ import annotations

import fnmatch
import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from .deb import Control
from .tree import Tree

__all__ = ["PATH_FILTER", "Unpacked", "is_left_out", "order", "write_database"]

PATH_FILTER: tuple[tuple[str, str], ...] = (
    ("exclude", "/usr/share/doc/*"),
    ("include", "/usr/share/doc/*/copyright"),
    ("exclude", "/usr/share/man/*"),
    ("exclude", "/usr/share/groff/*"),
    ("exclude", "/usr/share/info/*"),
    ("exclude", "/usr/share/lintian/*"),
    ("exclude", "/usr/share/linda/*"),
    ("exclude", "/usr/share/locale/*"),
    ("include", "/usr/share/locale/locale.alias"),
)
"""Left out of images, as Debian's slim images do; also written to dpkg.cfg.d, so that later installs obey it.
The last rule that matches a path counts."""

_RULES = tuple((kind == "exclude", re.compile(fnmatch.translate(pattern))) for kind, pattern in PATH_FILTER)
_FILTERED = "usr/share/"
_SCRIPTS = frozenset({"preinst", "postinst", "prerm", "postrm", "config"})


@lru_cache(maxsize=4096)
def is_left_out(path: str) -> bool:
    """Whether the file *path* (relative to the root) stays out of the tree."""
    if not path.startswith(_FILTERED):
        return False
    out = False
    for excludes, pattern in _RULES:
        if pattern.match("/" + path):
            out = excludes
    return out


def dpkg_config() -> str:
    """The filter and the speed settings as a file of /etc/dpkg/dpkg.cfg.d."""
    rules = "\n".join(f"path-{kind} {pattern}" for kind, pattern in PATH_FILTER)
    return f"# An image layer is kept whole or not at all: no need to wait for the disk.\nforce-unsafe-io\n\n{rules}\n"


@dataclass(frozen=True, slots=True)
class Unpacked:
    """A package whose files are in the tree."""

    control: Control
    paths: Sequence[str]
    """Its paths as the archive has them, relative, without a slash at the end; ``""`` is the root."""
    conffiles: Mapping[str, str]
    """MD5 (dpkg's choice) of each conffile by path with leading slash."""


def write_database(tree: Tree, packages: Iterable[Unpacked]) -> None:
    """Write /var/lib/dpkg as if dpkg itself had just unpacked *packages* into an empty root."""
    packages = sorted(packages, key=lambda package: package.control.info_name)
    base = "var/lib/dpkg"
    for folder in ("", "/alternatives", "/info", "/parts", "/triggers", "/updates"):
        tree.folder(base + folder, 0o755)
    tree.file(f"{base}/info/format", b"1\n", 0o644)
    for name in ("available", "diversions", "statoverride"):
        tree.file(f"{base}/{name}", b"", 0o644)
    for package in packages:
        stem = f"{base}/info/{package.control.info_name}"
        listing = "".join(f"/{path or '.'}\n" for path in package.paths)
        tree.file(f"{stem}.list", listing.encode("utf-8", "surrogateescape"), 0o644)
        for name, content in package.control.files.items():
            tree.file(f"{stem}.{name}", content, 0o755 if name in _SCRIPTS else 0o644)
    for name, text in _triggers(packages).items():
        tree.file(f"{base}/triggers/{name}", text.encode(), 0o644)
    status = "\n".join(_stanza(package) for package in packages)
    tree.file(f"{base}/status", status.encode("utf-8", "surrogateescape"), 0o644)


def conffile_paths(control: Control) -> tuple[str, ...]:
    """The package's conffiles, with leading slash; those with a flag (``remove-on-upgrade``) are not in it."""
    lines = control.files.get("conffiles", b"").decode("utf-8", "surrogateescape").splitlines()
    return tuple(line.strip() for line in lines if line.startswith("/"))


def md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def order(packages: Sequence[Control]) -> list[Control]:
    """Dependencies first: the order for running ``preinst``. Cycles are cut at the name that comes first.

    base-files and base-passwd lead, since every other script may rely on them (essential packages are no one's
    declared dependency).
    """
    providers: dict[str, list[Control]] = defaultdict(list)
    for control in packages:
        providers[control.name].append(control)
        for name in _names(control.fields.get("Provides", "")):
            providers[name].append(control)
    first = {"base-files": 0, "base-passwd": 1}
    waiting = sorted(packages, key=lambda item: (first.get(item.name, 2), item.name, item.fields["Architecture"]))
    done: list[Control] = []
    seen: set[int] = set()

    def visit(control: Control) -> None:
        if id(control) in seen:
            return
        seen.add(id(control))
        if control.name not in first:
            for field in ("Pre-Depends", "Depends"):
                for name in _names(control.fields.get(field, "")):
                    for provider in providers.get(name, ()):
                        visit(provider)
        done.append(control)

    for control in waiting:
        visit(control)
    return done


def _names(relation: str) -> list[str]:
    found = re.split(r"[,|]", relation)
    return [re.split(r"[\s:(\[]", item.strip(), maxsplit=1)[0] for item in found if item.strip()]


def _stanza(package: Unpacked) -> str:
    fields = dict(package.control.fields)
    lines = [f"Package: {fields.pop('Package')}", "Status: install ok unpacked"]
    lines += [f"{name}: {value}".replace(": \n", ":\n") for name, value in fields.items()]
    if package.conffiles:
        lines.append("Conffiles:")
        lines += [f" {path} {digest}" for path, digest in package.conffiles.items()]
    return "\n".join(lines) + "\n"


def _triggers(packages: Iterable[Unpacked]) -> dict[str, str]:
    """The files of /var/lib/dpkg/triggers: ``File`` for paths, one for each named trigger."""
    found: dict[str, list[str]] = {"File": [], "Unincorp": []}
    for package in packages:
        owner = package.control.info_name
        text = package.control.files.get("triggers", b"").decode("utf-8", "replace")
        for line in text.splitlines():
            kind, _, name = line.partition("#")[0].strip().partition(" ")
            name = name.strip()
            if not kind.startswith("interest") or not name:
                continue
            interested = f"{owner}/noawait" if kind == "interest-noawait" else owner
            if name.startswith("/"):
                found["File"].append(f"{name} {interested}")
            elif re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9+.:_-]*", name):
                found.setdefault(name, []).append(interested)
    return {name: "".join(f"{line}\n" for line in lines) for name, lines in found.items()}
