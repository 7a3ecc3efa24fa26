"""Whether a lock fits its spec: told without a question to the network."""

from __future__ import annotations

import hashlib
import os
import tomllib
from pathlib import Path
from typing import Any

import msgspec

from ..errors import NotFoundError, SpecError
from ..paths import Paths
from ..spec.dockerfile import dockerfile_digest
from ..spec.model import LoadedSpec
from ..spec.requirement import distribution_name, local_path
from .model import Lock
from .universe import parse_wish

__all__ = ["base_file", "check_lock", "host_architecture", "spec_digest"]

_DEBIAN = {
    "x86_64": "amd64", "aarch64": "arm64", "riscv64": "riscv64", "ppc64le": "ppc64el", "s390x": "s390x",
    "armv7l": "armhf", "i686": "i386",
}  # fmt: skip
"""``uname -m`` → Debian architecture."""


def host_architecture() -> str:
    """Debian's name of this machine's architecture."""
    machine = os.uname().machine
    return _DEBIAN.get(machine, machine)


def check_lock(loaded: LoadedSpec, lock: Lock, *, paths: Paths | None = None) -> tuple[str, ...]:
    """Why the lock does not fit the spec any more; empty where it does. Asks no network.

    With *paths* also whether the environment that is the base was built anew.
    """
    reasons: list[str] = []
    spec = loaded.spec
    if lock.base.source != spec.origin:
        reasons.append(f"the base is {spec.origin}, the lock has {lock.base.source}")
    architecture = host_architecture()
    if lock.base.kind == "debian" and architecture not in lock.base.packages:
        reasons.append(f"it has no packages for {architecture}, only for {', '.join(lock.base.packages)}")
    elif lock.base.kind == "debian":
        locked = {package.name for package in (*lock.base.packages[architecture], *lock.apt.get(architecture, ()))}
        missing = [item for item in spec.packages.apt if parse_wish(item).name not in locked]
        if missing and spec_digest(loaded) != lock.spec_digest:
            reasons.append(f"it lacks the Debian packages {', '.join(missing)}")
    if lock.python is not None or spec.packages.pip:
        have = {package["name"] for package in (lock.python.pylock.get("packages", ()) if lock.python else ())}
        names = [name for item in spec.packages.pip if (name := distribution_name(item)) is not None]
        missing = [name for name in names if name not in have]
        if missing and spec_digest(loaded) != lock.spec_digest:
            reasons.append(f"it lacks the Python packages {', '.join(missing)}")
    if not reasons and spec_digest(loaded) != lock.spec_digest:
        reasons.append("the spec was changed since")
    if not reasons:
        reasons += _changed_base(loaded, lock, paths)
    return tuple(reasons)


def spec_digest(loaded: LoadedSpec) -> str:
    """``sha256:…`` over what of the spec, and of the files that it names, has a say in the resolution."""
    from .requirements import kernel_packages, wants_python

    spec = loaded.spec
    packages = spec.packages
    parts: dict[str, Any] = {
        "base": spec.origin,
        "python": spec.python,
        "wants": [wants_python(spec, adopted=loaded.pylock is not None), *kernel_packages(spec)],
        "apt": sorted(packages.apt),
        "pip": sorted(packages.pip),
        "constraints": sorted(packages.constraints),
        "index": [packages.index_url, *packages.extra_index_urls],
        "local": {item: _local_digest(loaded.folder / path) for item in packages.pip if (path := local_path(item))},
    }
    if spec.build.dockerfile:
        parts["dockerfile"] = dockerfile_digest(loaded)
    if loaded.pylock is not None:
        parts["adopted"] = [_file_digest(loaded.pylock), sorted(packages.groups), sorted(packages.extras)]
    return f"sha256:{hashlib.sha256(msgspec.json.encode(parts, order='sorted')).hexdigest()}"


def _changed_base(loaded: LoadedSpec, lock: Lock, paths: Paths | None) -> list[str]:
    if lock.base.kind == "environment" and paths is not None:
        from ..spec.catalog import find_record

        name = lock.base.source.partition(":")[2]
        try:
            image = find_record(paths, name).image
        except NotFoundError:
            return [f"there is no environment {name!r} any more"]
        return [f"the environment {name} was built anew"] if image is not None and image != lock.base.digest else []
    if lock.base.kind in {"scratch", "oci"}:
        file = base_file(loaded, lock.base.source)
        try:
            # Such a file has some 100 MB: looked into again only where it is newer than the lock.
            index = file / "index.json" if file.is_dir() else file
            if index.stat().st_mtime <= loaded.lock_file.stat().st_mtime:
                return []
        except OSError as error:
            return [f"{error.filename}: {error.strerror}"]
        digest = _base_digest(file, lock.base.kind, paths)
        return [f"{file.name} was changed"] if digest not in {lock.base.digest, ""} else []
    return []


def base_file(loaded: LoadedSpec, source: str) -> Path:
    """The file or folder of a base ``oci:PATH``, ``oci-archive:PATH`` or ``scratch+PATH``."""
    file = Path(
        source.removeprefix("scratch+") if source.startswith("scratch+") else source.partition(":")[2]
    ).expanduser()
    return file if file.is_absolute() else loaded.folder / file


def _base_digest(file: Path, kind: str, paths: Paths | None) -> str:
    """As the lock would have it; empty where it can't be told without a store."""
    if kind == "scratch":
        from .bases import digest_file

        return digest_file(file)
    if paths is None:
        return ""
    from ..image.layout import read_image_config
    from ..image.store import Store

    return read_image_config(Store(paths.store), file)[0]


def _local_digest(path: Path) -> str:
    """Of a local package what decides its requirements: a folder's ``[project]`` table, or the file itself."""
    if not path.is_dir():
        return _file_digest(path)
    try:
        project = tomllib.loads((path / "pyproject.toml").read_text("utf-8")).get("project", {})
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError):
        return "no project table"  # the resolution tells what is amiss
    keys = ("name", "version", "dependencies", "optional-dependencies", "requires-python", "dynamic")
    text = repr([(key, project.get(key)) for key in keys]) if isinstance(project, dict) else ""
    return hashlib.sha256(text.encode()).hexdigest()


def _file_digest(file: Path) -> str:
    try:
        with file.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise SpecError(
            f"cannot read {file}: {os.strerror(error.errno or 0)}", hint="correct the path in the spec"
        ) from error
