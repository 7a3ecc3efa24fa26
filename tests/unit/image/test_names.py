"""Digests, references, and decoding documents."""

from __future__ import annotations

import hashlib
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_containers.errors import ReferenceError, UntrustedContentError
from jupyter_containers.image.digest import hex_of, parse_digest, sha256_of, sha256_of_stream, short_name
from jupyter_containers.image.model import (
    ExecutionConfig,
    Healthcheck,
    ImageConfig,
    Manifest,
    decode,
    encode,
)
from jupyter_containers.image.reference import parse_reference

DIGEST = "sha256:" + "0123456789abcdef" * 4


def test_digest_of_bytes_and_stream() -> None:
    data = b"x" * 3_000_000
    assert sha256_of(data) == "sha256:" + hashlib.sha256(data).hexdigest()
    assert sha256_of_stream(io.BytesIO(data)) == (sha256_of(data), len(data))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sha256:",
        "sha256:12",
        DIGEST.upper(),
        DIGEST + "0",
        DIGEST + "\n",
        "sha512:" + "0" * 128,
        "../" + DIGEST,
    ],
)
def test_what_is_no_digest_is_refused(text: str) -> None:
    with pytest.raises(ReferenceError, match="not a digest"):
        parse_digest(text)


def test_short_names_are_26_characters_and_differ() -> None:
    names = {short_name(sha256_of(bytes([number]))) for number in range(256)}
    assert len(names) == 256
    assert {len(name) for name in names} == {26}
    assert all(name == name.lower() and name.isalnum() for name in names)
    assert hex_of(DIGEST) == DIGEST[7:]


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("thesis", ("", "thesis", "latest", "")),
        ("thesis:2", ("", "thesis", "2", "")),
        ("group/thesis", ("", "group/thesis", "latest", "")),
        ("localhost/thesis", ("localhost", "thesis", "latest", "")),
        ("localhost:5000/a/b:v1", ("localhost:5000", "a/b", "v1", "")),
        ("ghcr.io/org/image:tag", ("ghcr.io", "org/image", "tag", "")),
        (f"ghcr.io/org/image@{DIGEST}", ("ghcr.io", "org/image", "", DIGEST)),
        (f"image:tag@{DIGEST}", ("", "image", "tag", DIGEST)),
        ("[2001:db8::1]:5000/a", ("[2001:db8::1]:5000", "a", "latest", "")),
        ("a--b__c.d", ("", "a--b__c.d", "latest", "")),
    ],
)
def test_references_are_parsed(text: str, parts: tuple[str, str, str, str]) -> None:
    found = parse_reference(text)
    assert (found.registry, found.repository, found.tag, found.digest) == parts


@pytest.mark.parametrize(
    "text",
    [
        "", ":", "a:", ":tag", "UPPER", "a//b", "/a", "a/", "a b", "a:b:c", "a@sha256:12", "a@", "-a", "a_-b",
        "a:" + "t" * 129, "ghcr.io/", "a/../b", "..", "a\n", "x" * 300,
    ],
)  # fmt: skip
def test_what_is_no_reference_is_refused(text: str) -> None:
    with pytest.raises(ReferenceError):
        parse_reference(text)


component = st.from_regex(r"[a-z0-9]{1,8}([._-][a-z0-9]{1,8}){0,2}", fullmatch=True)


@given(
    registry=st.sampled_from(["", "localhost", "ghcr.io", "example.org:5000"]),
    path=st.lists(component, min_size=1, max_size=3),
    tag=st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,20}", fullmatch=True),
    digest=st.sampled_from(["", DIGEST]),
)
def test_references_are_written_as_they_are_read(registry: str, path: list[str], tag: str, digest: str) -> None:
    if not registry and len(path) > 1 and ("." in path[0] or path[0] == "localhost"):
        return  # reads as a registry, rightly
    text = "/".join([*([registry] if registry else []), *path]) + f":{tag}" + (f"@{digest}" if digest else "")
    found = parse_reference(text)
    assert str(found) == text
    assert parse_reference(str(found)) == found


@given(st.text(max_size=40))
def test_any_text_is_a_reference_or_a_told_error(text: str) -> None:
    try:
        found = parse_reference(text)
    except ReferenceError:
        return
    assert parse_reference(str(found)) == found


def test_config_documents_survive_a_round_trip() -> None:
    config = ImageConfig(
        architecture="amd64",
        config=ExecutionConfig(
            env=("PATH=/bin", "A=1", "A=2"), entrypoint=("/init",), cmd=("sh",), working_dir="/w", user="1000:100",
            labels={"b": "1", "a": "2"}, stop_signal="SIGINT", volumes={"/data": {}}, exposed_ports={"80/tcp": {}},
            healthcheck=Healthcheck(test=("CMD", "true"), interval=1_000_000_000),
        ),
    )  # fmt: skip
    data = encode(config)
    assert decode(data, ImageConfig, what="x") == config
    assert config.execution.environment == {"PATH": "/bin", "A": "2"}
    assert b'"WorkingDir":"/w"' in data
    assert data.index(b'"a"') < data.index(b'"b"')


def test_configs_by_other_programs_are_read() -> None:
    # As `docker save` writes it: null lists, properties that nobody specifies.
    data = b'{"architecture":"amd64","os":"linux","config":{"Env":null,"Cmd":["bash"],"Tty":false},'
    data += b'"container":"1","rootfs":{"type":"layers","diff_ids":[]},"docker_version":"20"}'
    config = decode(data, ImageConfig, what="x")
    assert config.execution.cmd == ("bash",)
    assert config.execution.environment == {}


@pytest.mark.parametrize(
    ("data", "cause"),
    [
        (b"[]", "array"),
        (b'{"os":"linux"}', "architecture"),
        (b'{"architecture":1}', "int"),
        (b'{"architecture":"a","x":"\xff"}', "utf-8"),
        (b'{"architecture":"a","x":' + b"[" * 100_000, "deep"),
        (b'{"architecture":"a"}' + b" " * (5 << 20), "bytes of JSON"),
        (b'{"architecture":"a"', "truncated"),
        (b'{"architecture":"a"}{}', "trailing"),
    ],
)
def test_bad_documents_are_one_clear_error(data: bytes, cause: str) -> None:
    with pytest.raises(UntrustedContentError, match=f"(?i)the config.*{cause}"):
        decode(data, ImageConfig, what="the config")


def test_manifests_need_their_parts() -> None:
    with pytest.raises(UntrustedContentError, match="config"):
        decode(b'{"schemaVersion":2,"layers":[]}', Manifest, what="manifest")
