"""What an image is made of, as a list of components with their package URLs: from the lock, and of a base that is no
Debian archive's, from what its dpkg says.

The bills of materials (:mod:`.cyclonedx`, :mod:`.spdx`) and the provenance (:mod:`.provenance`) are made of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Literal
from urllib.parse import quote

import msgspec

from .artifacts import Artifact, select_artifacts
from .model import DebianPackage, Lock
from .packages import Candidate

__all__ = ["Bill", "Component", "make_bill", "package_url"]

Kind = Literal["deb", "pypi", "image", "generic"]
_SAFE = ":~._-"
"""Characters that purl-spec leaves as they are in a version, beside letters and digits."""


class Component(msgspec.Struct, frozen=True, kw_only=True):
    """One thing in the image."""

    kind: Kind
    name: str
    version: str
    url: str
    """Package URL (github.com/package-url/purl-spec)."""
    part: Literal["base", "apt", "python", "image"]
    """What of the lock it stands in; ``image``: only the base image's own list tells of it."""
    sha256: str = ""
    """Hex, of the file that was installed; empty where the lock has none."""
    source: str = ""
    """Where the file is to be had: an http(s) or git address, or empty."""
    filename: str = ""


class Bill(msgspec.Struct, frozen=True, kw_only=True):
    """The components of one image, and what else there is to say of it."""

    name: str
    """The environment's."""
    architecture: str
    image: str
    """Digest of the image's configuration."""
    manifest: str = ""
    """Digest of the manifest that the bill is attached to, where there is one."""
    lock: str
    """``sha256:…`` of the lock's text."""
    suite: str = ""
    """Debian's; empty for other bases."""
    date: str = ""
    """When the archives were as locked; empty where the lock does not tell."""
    components: tuple[Component, ...]
    complete: bool
    """Everything in the image is a component: no step ran a command of the spec, and the base is of packages only."""


def make_bill(
    lock: Lock, *, name: str, architecture: str, image: str, lock_digest: str, manifest: str = "",
    complete: bool, installed: Mapping[str, Candidate] | None = None,
) -> Bill:  # fmt: skip
    """The bill of the image of *lock* for *architecture* (Debian's name).

    *installed*: what dpkg of a foreign base lists. *complete*: nothing but packages was put into the image.
    """
    found = [
        *(_debian(item, lock, "base") for item in lock.base.packages.get(architecture, ())),
        *(_debian(item, lock, "apt") for item in lock.apt.get(architecture, ())),
    ]
    if lock.python is not None:
        found += [_python(item, lock) for item in select_artifacts(lock.python, architecture=architecture)]
    known = {(item.kind, item.name) for item in found}
    if installed:
        found += [_installed(item, lock) for _, item in sorted(installed.items()) if ("deb", item.name) not in known]
    if lock.base.kind != "debian":
        found.insert(0, _base(lock))
    return Bill(
        name=name, architecture=architecture, image=image, manifest=manifest, lock=lock_digest, suite=lock.base.suite,
        date=lock.base.date, components=tuple(_once(found)), complete=complete and lock.base.kind == "debian",
    )  # fmt: skip


def package_url(
    kind: str, name: str, version: str = "", *, namespace: str = "", qualifiers: Mapping[str, str] | None = None
) -> str:
    """A package URL; ``pkg:deb/debian/tzdata@2025b-4?arch=all&distro=trixie``."""
    space = f"{quote(namespace, safe='')}/" if namespace else ""
    at = f"@{quote(version, safe=_SAFE)}" if version else ""
    pairs = [f"{key}={quote(value, safe=_SAFE + '/')}" for key, value in sorted((qualifiers or {}).items()) if value]
    return f"pkg:{kind}/{space}{quote(name, safe='.-_~')}{at}{'?' + '&'.join(pairs) if pairs else ''}"


def _once(components: Iterable[Component]) -> Iterator[Component]:
    """Each URL once: it is what a bill refers to a component by."""
    seen: set[str] = set()
    for item in components:
        if item.url not in seen:
            seen.add(item.url)
            yield item


def _deb_url(name: str, version: str, architecture: str, suite: str) -> str:
    return package_url("deb", name, version, namespace="debian", qualifiers={"arch": architecture, "distro": suite})


def _debian(item: DebianPackage, lock: Lock, part: Literal["base", "apt"]) -> Component:
    archive = (item.archive or lock.base.archive).rstrip("/")
    return Component(
        kind="deb", name=item.name, version=item.version, part=part, sha256=item.sha256,
        url=_deb_url(item.name, item.version, item.architecture, lock.base.suite),
        source=f"{archive}/{item.filename}" if archive else "", filename=item.filename.rpartition("/")[2],
    )  # fmt: skip


def _installed(item: Candidate, lock: Lock) -> Component:
    return Component(
        kind="deb", name=item.name, version=item.version, part="image",
        url=_deb_url(item.name, item.version, item.architecture, lock.base.suite),
    )  # fmt: skip


def _python(item: Artifact, lock: Lock) -> Component:
    name = re.sub(r"[-_.]+", "-", item.name).lower()
    sha256 = item.sha256
    qualifiers = {}
    if item.kind == "directory":
        sha256 = next((entry.sha256 for entry in lock.inputs if entry.path == item.url_or_path), "")
    elif item.kind == "vcs":
        qualifiers["vcs_url"] = item.url_or_path
    elif item.kind in {"wheel", "sdist"}:
        qualifiers["file_name"] = item.filename
    remote = item.kind in {"wheel", "sdist", "vcs"} and "://" in item.url_or_path
    local = item.kind == "directory" or not remote
    url = package_url("generic" if local else "pypi", name, item.version, qualifiers=qualifiers)
    return Component(
        kind="generic" if local else "pypi", name=name, version=item.version, part="python", sha256=sha256, url=url,
        source=item.url_or_path if remote else "", filename=item.filename,
    )  # fmt: skip


def _base(lock: Lock) -> Component:
    """The image or archive that was started from."""
    base = lock.base
    name = re.sub(r"[^a-z0-9._-]+", "-", base.source.rpartition(":")[2].rpartition("/")[2].lower()).strip("-") or "base"
    kind: Kind = "generic" if base.kind == "scratch" else "image"
    return Component(
        kind=kind, name=name, version=base.digest, part="base", sha256=base.digest.removeprefix("sha256:"),
        url=package_url("oci" if kind == "image" else "generic", name, base.digest),
    )  # fmt: skip
