"""What stands in a notebook's metadata of its environment: read as the untrusted thing that it is, told in words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

import msgspec

from .errors import InputError, Problem
from .misfits import find_misfit
from .spec.names import check_name

if TYPE_CHECKING:
    from .lock.model import Lock
    from .spec.model import LoadedSpec

__all__ = ["METADATA", "VERSION", "Carried", "describe_carried", "read_carried", "whole_reference"]

METADATA = "jupyter_containers"
"""The key of a notebook's metadata."""
VERSION = 1

_MOST_REFERENCES = 20
_LONGEST = {"name": 1000, "spec": 1 << 20, "lock": 8 << 20}
"""Characters. The lock of a whole TeX has half a million."""


_ANEW = (
    "It was changed or cut off on its way: get the notebook anew, or have it written again "
    "(Containerise in JupyterLab, `jupyter containers carry`)"
)


class Carried(msgspec.Struct, frozen=True, kw_only=True):
    """What stands in the metadata. Unknown keys are those of a later version, or of others of this program's parts."""

    version: int
    name: str
    spec: str
    """The text of a jupyter-container.toml."""
    lock: str
    """The text of a jupyter-container.lock that fits it."""
    digest: Annotated[str, msgspec.Meta(pattern=r"^sha256:[0-9a-f]{64}$")]
    """Of the image that both give."""
    references: tuple[str, ...] = ()
    """Names under which registries have that image."""


def read_carried(metadata: Any) -> Carried | None:
    """The value of the key, checked as far as it can be by itself; None where no environment is in it.

    :class:`InputError` where it is not valid.
    """
    if metadata is None or (isinstance(metadata, dict) and not {"spec", "lock", "digest"} & metadata.keys()):
        return None
    try:
        carried = msgspec.convert(metadata, Carried)
        if carried.version != VERSION:
            raise ValueError(f"version {carried.version} is not known; this program reads {VERSION}")
        for key, most in _LONGEST.items():
            if len(getattr(carried, key)) > most:
                raise ValueError(f"its {key} has more than {most} characters")
        check_name(carried.name)
        return msgspec.structs.replace(
            carried, references=tuple(map(whole_reference, carried.references[:_MOST_REFERENCES]))
        )
    except (msgspec.ValidationError, ValueError, InputError) as error:
        cause, key = (error.message, "") if isinstance(error, InputError) else find_misfit(error)
        problem = Problem(file=METADATA, key=key, cause=cause, remedy=_ANEW)
        raise InputError("the notebook's environment is not valid", problems=[problem]) from error


def whole_reference(reference: str) -> str:
    from .image.registry_settings import remote_reference

    return str(remote_reference(reference))


def describe_carried(carried: Carried, loaded: LoadedSpec, lock: Lock) -> Iterator[str]:
    """What opening it would do; the words of its spec are a stranger's."""
    from .lock.fit import host_architecture
    from .spec.grants import describe_grant, grant_of

    for reference in carried.references:
        yield f"pull its image from {reference}, or build it:"
    architecture = host_architecture()
    debian = [*lock.base.packages.get(architecture, ()), *lock.apt.get(architecture, ())]
    if debian:
        yield f"install {len(debian)} Debian packages from {_host(lock.base.archive)}"
    if lock.base.kind == "image":
        yield f"take the image {lock.base.source.partition(':')[2]}"
    packages = lock.python.pylock.get("packages", ()) if lock.python is not None else ()
    hosts = sorted({_host(url) for package in packages for url in _urls(package)})
    if packages:
        names = ", ".join(sorted(str(package["name"]) for package in packages)[:8])
        more = "" if len(packages) <= 8 else f" and {len(packages) - 8} more"
        yield f"install {len(packages)} Python packages from {', '.join(hosts)}: {names}{more}"
    sources = [str(package["name"]) for package in packages if not package.get("wheels")]
    if sources:
        yield f"run code of {', '.join(sources)} in a sandbox, to build them"
    yield from describe_grant(grant_of(loaded))


def _urls(package: dict[str, Any]) -> Iterator[str]:
    for item in (*package.get("wheels", ()), package.get("sdist"), package.get("archive"), package.get("vcs")):
        if isinstance(item, dict) and isinstance(item.get("url"), str):
            yield item["url"]


def _host(url: str) -> str:
    return urlsplit(url).hostname or url
