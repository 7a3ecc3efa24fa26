"""A bill of materials as SPDX 2.3 JSON (ISO/IEC 5962:2021 and its successor, spdx.github.io/spdx-spec/v2.3).

SPDX wants a time: it is that of the archives which the lock was made from, or else the one that images here bear.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from .._version import __version__
from .bill import Bill, Component, package_url
from .cyclonedx import serial_number

__all__ = ["SPDX_TYPE", "dump_spdx"]

SPDX_TYPE = "application/spdx+json"
_UNKNOWN = "NOASSERTION"
_NO_DATE = "1980-01-02T00:00:00Z"


def dump_spdx(bill: Bill) -> bytes:
    """The document, indented, with a line end."""
    identity = serial_number(bill).removeprefix("urn:uuid:")
    root = package_url("oci", bill.name, bill.manifest or bill.image, qualifiers={"arch": bill.architecture})
    packages = [_package("SPDXRef-image", bill.name, bill.manifest or bill.image, root, purpose="CONTAINER")]
    relations = [_relation("SPDXRef-DOCUMENT", "DESCRIBES", "SPDXRef-image")]
    for number, item in enumerate(bill.components, 1):
        reference = f"SPDXRef-{number}-{re.sub(r'[^A-Za-z0-9.-]+', '-', item.name)}"
        packages.append(_component(reference, item))
        relations.append(_relation("SPDXRef-image", "CONTAINS", reference))
    document = {
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": bill.name,
        "documentNamespace": f"https://spdx.org/spdxdocs/{bill.name}-{identity}",
        "creationInfo": {
            "created": bill.date or _NO_DATE,
            "creators": [f"Tool: jupyter_containers-{__version__}"],
            "comment": f"Of the image {bill.image} and the lock {bill.lock}.",
        },
        "packages": packages,
        "relationships": relations,
    }
    return msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n"


def _package(reference: str, name: str, version: str, url: str, *, purpose: str = "LIBRARY") -> dict[str, Any]:
    return {
        "SPDXID": reference,
        "name": name,
        "versionInfo": version,
        "downloadLocation": _UNKNOWN,
        "filesAnalyzed": False,
        "primaryPackagePurpose": purpose,
        "licenseConcluded": _UNKNOWN,
        "licenseDeclared": _UNKNOWN,
        "copyrightText": _UNKNOWN,
        "externalRefs": [
            {"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": url}
        ],
    }  # fmt: skip


def _component(reference: str, item: Component) -> dict[str, Any]:
    purpose = "CONTAINER" if item.kind == "image" else "LIBRARY"
    package = _package(reference, item.name, item.version, item.url, purpose=purpose)
    if item.source:
        package["downloadLocation"] = item.source
    if item.filename:
        package["packageFileName"] = item.filename
    if item.sha256:
        package["checksums"] = [{"algorithm": "SHA256", "checksumValue": item.sha256}]
    if not item.version:
        del package["versionInfo"]
    return package


def _relation(one: str, kind: str, other: str) -> dict[str, str]:
    return {"spdxElementId": one, "relationshipType": kind, "relatedSpdxElement": other}
