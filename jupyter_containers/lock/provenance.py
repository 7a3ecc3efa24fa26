"""How an image came about, as an in-toto statement (in-toto.io/Statement/v1) with SLSA's predicate
(slsa.dev/spec/v1.0/provenance): what was asked for, and each file that went in, by its hash.

It is not signed and tells no time: who wants to vouch for it signs it. The same build gives the same bytes.
"""

from __future__ import annotations

from typing import Any

import msgspec

from .._version import __version__
from .bill import Bill, Component
from .model import Lock

__all__ = ["BUILD_TYPE", "IN_TOTO_TYPE", "PREDICATE_TYPE", "dump_provenance"]

IN_TOTO_TYPE = "application/vnd.in-toto+json"
PREDICATE_TYPE = "https://slsa.dev/provenance/v1"
BUILD_TYPE = "urn:jupyter-containers:build:v1"
"""docs/sharing.md tells what the parameters of this type mean."""


def dump_provenance(bill: Bill, spec: str, lock: Lock, *, build_format: str) -> bytes:
    """The statement of the image of *bill*. *spec*: its text. *build_format*: the version of what the steps do."""
    subjects = [{"name": bill.name, "digest": {"sha256": _hex(bill.manifest or bill.image)}}]
    if bill.manifest:
        subjects.append({"name": f"{bill.name} (configuration)", "digest": {"sha256": _hex(bill.image)}})
    dependencies = [_material(item) for item in bill.components if item.part != "image"]
    dependencies += [
        {"name": f"{image.name}", "uri": image.reference or image.name, "digest": {"sha256": _hex(image.digest)}}
        for image in lock.base.images
    ]
    dependencies += [{"name": item.path, "digest": {"sha256": item.sha256}} for item in lock.inputs]
    statement: dict[str, Any] = {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": subjects,
        "predicateType": PREDICATE_TYPE,
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": {"spec": spec, "architecture": bill.architecture},
                "internalParameters": {"format": build_format},
                "resolvedDependencies": [
                    *dependencies,
                    {"name": "jupyter-container.lock", "digest": {"sha256": _hex(bill.lock)}},
                ],
            },
            "runDetails": {
                "builder": {
                    "id": f"pkg:pypi/jupyter-containers@{__version__}",
                    "version": {"jupyter_containers": __version__},
                },
            },
        },
    }
    return msgspec.json.format(msgspec.json.encode(statement), indent=2) + b"\n"


def _material(item: Component) -> dict[str, Any]:
    found: dict[str, Any] = {"name": f"{item.name} {item.version}".strip(), "uri": item.url}
    if item.sha256:
        found["digest"] = {"sha256": item.sha256}
    elif "@" in item.source:
        # ``git+https://host/x.git@<commit>``: the commit is what names the content.
        found["digest"] = {"gitCommit": item.source.rpartition("@")[2].partition("#")[0]}
    if item.source:
        found["downloadLocation"] = item.source
    return found


def _hex(digest: str) -> str:
    return digest.removeprefix("sha256:")
