"""Bills of materials and provenance, held to other people's readers of the formats."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from jupyter_containers.lock.bill import Bill, make_bill, package_url
from jupyter_containers.lock.cyclonedx import dump_cyclonedx
from jupyter_containers.lock.model import (
    ArtifactHash,
    Base,
    DebianPackage,
    Interpreter,
    Lock,
    PinnedImage,
    PythonPackages,
)
from jupyter_containers.lock.packages import read_status
from jupyter_containers.lock.provenance import dump_provenance
from jupyter_containers.lock.spdx import dump_spdx

ONE, TWO = "1" * 64, "2" * 64
IMAGE, MANIFEST, LOCK = f"sha256:{'a' * 64}", f"sha256:{'b' * 64}", f"sha256:{'c' * 64}"
REPOSITORY = "https://git.example.org/f.git"
COMMIT = "4f1d7e0c7c1f5c3a2b1d0e9f8a7b6c5d4e3f2a1b"


def deb(name: str, version: str, architecture: str = "amd64", **more: str) -> DebianPackage:
    return DebianPackage(
        name=name, version=version, architecture=architecture, size=1, sha256=ONE,
        filename=f"pool/main/{name[0]}/{name}/{name}_{version}_{architecture}.deb", **more,
    )  # fmt: skip


def wheel(name: str, version: str) -> dict[str, Any]:
    file = f"{name.replace('-', '_')}-{version}-py3-none-any.whl"
    url = f"https://files.example.org/{file}"
    return {"name": name, "version": version, "wheels": [{"name": file, "url": url, "hashes": {"sha256": TWO}}]}


PYTHON = PythonPackages(
    interpreter=Interpreter(version="3.13", path="/usr/bin/python3", full_version="3.13.5", glibc="2.41"),
    pylock={
        "lock-version": "1.0",
        "packages": [
            wheel("ruamel.yaml", "0.18"),
            {"name": "mine", "version": "1", "directory": {"path": "mine"}},
            {"name": "fresh", "version": "2", "vcs": {"type": "git", "url": REPOSITORY, "commit-id": COMMIT}},
            {**wheel("for-windows", "1"), "marker": "sys_platform == 'win32'"},
        ],
    },
)  # fmt: skip
DEBIAN = Lock(
    spec_digest=LOCK,
    base=Base(
        kind="debian", source="debian:trixie", suite="trixie", archive="http://deb.debian.org/debian",
        date="2026-11-21T09:15:44Z",
        packages={"amd64": (deb("libc6", "2.41-12+b1"), deb("tzdata", "1:2025b-4", "all"))},
    ),
    apt={"amd64": (deb("graphviz", "2.42.4-3~deb13u1", archive="http://deb.debian.org/debian-security"),)},
    python=PYTHON,
    inputs=(ArtifactHash(path="mine", sha256=ONE),),
)  # fmt: skip
DOCKERFILE = Lock(
    spec_digest=LOCK,
    base=Base(
        kind="dockerfile", source="dockerfile:Dockerfile", suite="bookworm", digest=IMAGE,
        images=(PinnedImage(name="python:3.12", digest=IMAGE, reference=f"docker.io/library/python@{MANIFEST}"),),
    ),
    inputs=(ArtifactHash(path="dockerfile:Dockerfile", sha256=TWO),),
)  # fmt: skip
STATUS = b"Package: dash\nStatus: install ok installed\nArchitecture: amd64\nVersion: 0.5.12-2\n\n"


def bill_of(lock: Lock, **more: Any) -> Bill:
    given = {"name": "ml-intro", "architecture": "amd64", "image": IMAGE, "lock_digest": LOCK, "complete": True}
    return make_bill(lock, **{**given, **more})


BILLS = {
    "debian": bill_of(DEBIAN),
    "attached": bill_of(DEBIAN, manifest=MANIFEST, complete=False),
    "dockerfile": bill_of(DOCKERFILE, installed=read_status(STATUS)),
}


def test_components_are_what_is_installed() -> None:
    found = {item.name: item for item in BILLS["debian"].components}
    assert list(found) == ["libc6", "tzdata", "graphviz", "fresh", "mine", "ruamel-yaml"]
    assert found["libc6"].url == "pkg:deb/debian/libc6@2.41-12%2Bb1?arch=amd64&distro=trixie"
    assert found["tzdata"].url == "pkg:deb/debian/tzdata@1:2025b-4?arch=all&distro=trixie"
    assert found["graphviz"].source.startswith("http://deb.debian.org/debian-security/pool/main/g/")
    assert found["ruamel-yaml"].sha256 == TWO
    assert found["ruamel-yaml"].source == "https://files.example.org/ruamel.yaml-0.18-py3-none-any.whl"
    assert (found["mine"].kind, found["mine"].sha256, found["mine"].source) == ("generic", ONE, "")
    assert found["fresh"].source == f"git+https://git.example.org/f.git@{COMMIT}"
    assert BILLS["debian"].complete


def test_a_foreign_base_tells_its_own_packages() -> None:
    bill = BILLS["dockerfile"]
    assert [(item.kind, item.name, item.part) for item in bill.components] == [
        ("image", "dockerfile", "base"),
        ("deb", "dash", "image"),
    ]
    assert not bill.complete


@pytest.mark.parametrize("name", BILLS)
def test_cyclonedx_is_valid(name: str) -> None:
    from cyclonedx.model.bom import Bom
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    text = dump_cyclonedx(BILLS[name]).decode()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    bom = Bom.from_json(json.loads(text))  # type: ignore[attr-defined]
    assert bom.validate()
    assert {item.bom_ref.value for item in bom.components} == {item.url for item in BILLS[name].components}


@pytest.mark.parametrize("name", BILLS)
def test_spdx_is_valid(name: str, tmp_path: Path) -> None:
    from spdx_tools.spdx.parser.parse_anything import parse_file
    from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document

    file = tmp_path / "bill.spdx.json"
    file.write_bytes(dump_spdx(BILLS[name]))
    document = parse_file(str(file))
    assert [message.validation_message for message in validate_full_spdx_document(document)] == []
    assert len(document.packages) == 1 + len(BILLS[name].components)


def test_package_urls_are_canonical() -> None:
    from packageurl import PackageURL

    for bill in BILLS.values():
        for item in bill.components:
            parsed = PackageURL.from_string(item.url)
            assert parsed.name == item.name
            assert (parsed.version or "") == item.version
            assert PackageURL.from_string(parsed.to_string()) == parsed
    assert package_url("generic", "a b", "1/2", qualifiers={"empty": ""}) == "pkg:generic/a%20b@1%2F2"


def test_provenance_names_every_file_by_its_hash() -> None:
    statement = json.loads(dump_provenance(BILLS["attached"], 'name = "ml-intro"', DEBIAN, build_format="3"))
    assert statement["_type"] == "https://in-toto.io/Statement/v1"
    assert statement["predicateType"] == "https://slsa.dev/provenance/v1"
    assert [subject["digest"] for subject in statement["subject"]] == [{"sha256": "b" * 64}, {"sha256": "a" * 64}]
    definition = statement["predicate"]["buildDefinition"]
    assert definition["externalParameters"] == {"spec": 'name = "ml-intro"', "architecture": "amd64"}
    materials = {item["name"]: item for item in definition["resolvedDependencies"]}
    assert materials["graphviz 2.42.4-3~deb13u1"]["digest"] == {"sha256": ONE}
    assert materials["fresh 2"]["digest"] == {"gitCommit": COMMIT}
    assert materials["mine"]["digest"] == {"sha256": ONE}
    assert materials["jupyter-container.lock"]["digest"] == {"sha256": "c" * 64}
    assert all(item.get("digest") for item in definition["resolvedDependencies"])


def test_provenance_of_a_dockerfile_names_its_images() -> None:
    statement = json.loads(dump_provenance(BILLS["dockerfile"], "", DOCKERFILE, build_format="3"))
    materials = {item["name"]: item for item in statement["predicate"]["buildDefinition"]["resolvedDependencies"]}
    assert materials["python:3.12"]["uri"] == f"docker.io/library/python@{MANIFEST}"
    assert materials["dockerfile:Dockerfile"]["digest"] == {"sha256": TWO}
    assert "dash 0.5.12-2" not in materials  # what the base brought is the base's


def test_documents_follow_from_the_bill_alone() -> None:
    again = msgspec.structs.replace(BILLS["debian"])
    assert dump_cyclonedx(again) == dump_cyclonedx(BILLS["debian"])
    assert dump_spdx(again) == dump_spdx(BILLS["debian"])
    assert dump_cyclonedx(BILLS["attached"]) != dump_cyclonedx(BILLS["debian"])
