"""A bill of materials as CycloneDX 1.6 JSON (ECMA-424, cyclonedx.org/docs/1.6/json).

The same bill gives the same bytes: there is no time stamp, and the serial number follows from what the bill is of.
"""

from __future__ import annotations

import uuid
from typing import Any

import msgspec

from .._version import __version__
from .bill import Bill, Component, package_url

__all__ = ["CYCLONEDX_TYPE", "dump_cyclonedx", "serial_number"]

CYCLONEDX_TYPE = "application/vnd.cyclonedx+json"
_PREFIX = "jupyter-containers"


def dump_cyclonedx(bill: Bill) -> bytes:
    """The document, indented, with a line end."""
    root = package_url("oci", bill.name, bill.manifest or bill.image, qualifiers={"arch": bill.architecture})
    properties = [
        {"name": f"{_PREFIX}:image", "value": bill.image},
        {"name": f"{_PREFIX}:lock", "value": bill.lock},
    ]
    if bill.suite:
        properties.append({"name": f"{_PREFIX}:debian-suite", "value": bill.suite})
    if bill.date:
        properties.append({"name": f"{_PREFIX}:debian-date", "value": bill.date})
    document: dict[str, Any] = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": serial_number(bill),
        "version": 1,
        "metadata": {
            "lifecycles": [{"phase": "build"}],
            "tools": {"components": [{"type": "application", "name": "jupyter_containers", "version": __version__}]},
            "component": {
                "type": "container", "bom-ref": root, "name": bill.name, "version": bill.manifest or bill.image,
                "purl": root, "properties": properties,
            },
        },
        "components": [_component(item) for item in bill.components],
        "dependencies": [{"ref": root, "dependsOn": [item.url for item in bill.components]}],
        "compositions": [{"aggregate": "complete" if bill.complete else "incomplete", "assemblies": [root]}],
    }  # fmt: skip
    return msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n"


def serial_number(bill: Bill) -> str:
    """``urn:uuid:…``: the same for the same image, manifest and lock (RFC 9562, version 5)."""
    return uuid.uuid5(uuid.NAMESPACE_OID, " ".join([bill.image, bill.manifest, bill.lock, __version__])).urn


def _component(item: Component) -> dict[str, Any]:
    found: dict[str, Any] = {
        "type": "container" if item.kind == "image" else "library",
        "bom-ref": item.url,
        "name": item.name,
        "version": item.version,
    }
    if item.sha256:
        found["hashes"] = [{"alg": "SHA-256", "content": item.sha256}]
    found["purl"] = item.url
    if item.source.startswith(("http://", "https://")):
        reference: dict[str, Any] = {"type": "distribution", "url": item.source}
        if item.sha256:
            reference["hashes"] = [{"alg": "SHA-256", "content": item.sha256}]
        found["externalReferences"] = [reference]
    elif item.source:
        found["externalReferences"] = [{"type": "vcs", "url": item.source}]
    found["properties"] = [{"name": f"{_PREFIX}:part", "value": item.part}]
    return found
