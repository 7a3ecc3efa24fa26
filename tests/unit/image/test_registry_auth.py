"""Challenges, tokens, and where URLs may lead: decisions on texts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_containers.errors import ReferenceError, RegistryError, UntrustedContentError
from jupyter_containers.image.registry_auth import Challenge, Credential, Token, basic, parse_challenges, read_token
from jupyter_containers.image.registry_settings import RegistrySettings, host_of, is_loopback, remote_reference
from jupyter_containers.image.transport import check_way, netloc, origin, shown

WORD = st.text("abcdefghijklmnopqrstuvwxyz", min_size=1, max_size=8)
VALUE = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20)


@pytest.mark.parametrize(
    ("header", "found"),
    [
        ("Basic", [("basic", {})]),
        ('Basic realm="a b"', [("basic", {"realm": "a b"})]),
        (
            'Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull,push"',
            [("bearer", {"realm": "https://auth.docker.io/token", "service": "registry.docker.io",
                         "scope": "repository:a/b:pull,push"})],
        ),
        ('Bearer realm = "x" , error="invalid"', [("bearer", {"realm": "x", "error": "invalid"})]),
        ('Bearer realm="x", Basic realm="y"', [("bearer", {"realm": "x"}), ("basic", {"realm": "y"})]),
        ("Negotiate YWJj==, Basic realm=y", [("negotiate", {}), ("basic", {"realm": "y"})]),
        (r'Basic realm="a \"quoted\" \\ one"', [("basic", {"realm": r'a "quoted" \ one'})]),
        ('BEARER REALM="x"', [("bearer", {"realm": "x"})]),
        ("", []),
        ('"nonsense"', []),
        ('Bearer realm="not closed', [("bearer", {})]),
    ],
)  # fmt: skip
def test_challenges(header: str, found: list[tuple[str, dict[str, str]]]) -> None:
    assert [(challenge.scheme, challenge.parameters) for challenge in parse_challenges([header])] == found


@given(st.lists(st.tuples(WORD, st.dictionaries(WORD, VALUE, min_size=1, max_size=3)), min_size=1, max_size=3))
def test_any_challenges_come_back(challenges: list[tuple[str, dict[str, str]]]) -> None:
    def quoted(value: str) -> str:
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'

    header = ", ".join(
        f"{scheme} " + ", ".join(f"{name}={quoted(value)}" for name, value in parameters.items())
        for scheme, parameters in challenges
    )
    assert parse_challenges([header]) == tuple(Challenge(scheme, parameters) for scheme, parameters in challenges)


@given(st.text(max_size=300))
def test_any_header_ends(header: str) -> None:
    for challenge in parse_challenges([header]):
        assert challenge.scheme == challenge.scheme.lower()


def test_secrets_are_in_no_text() -> None:
    credential = Credential("ann", "s3cret", "s3cret", "s3cret")
    assert "s3cret" not in f"{credential} {credential!r} {Token('s3cret', 0)!r}"
    assert basic(Credential("ann", "pässword:1")) == "Basic YW5uOnDDpHNzd29yZDox"


def test_tokens() -> None:
    assert read_token(b'{"token":"a","expires_in":100}', realm="r", now=10).expires == 100
    assert read_token(b'{"access_token":"b","expires_in":1}', realm="r", now=0) == Token("b", 54.0)
    for body in (b"{}", b'{"token":"with blank"}', b'{"token":"new\\nline"}'):
        with pytest.raises(RegistryError, match="no token"):
            read_token(body, realm="https://auth.example", now=0)
    with pytest.raises(UntrustedContentError, match=r"auth\.example"):
        read_token(b'{"token":1}', realm="https://auth.example", now=0)


@pytest.mark.parametrize(
    ("name", "whole"),
    [
        ("debian", "docker.io/library/debian:latest"),
        ("jupyter/base:1", "docker.io/jupyter/base:1"),
        ("index.docker.io/debian:12", "docker.io/library/debian:12"),
        ("ghcr.io/a:1", "ghcr.io/a:1"),
        ("localhost/a", "localhost/a:latest"),
        ("[::1]:5000/a", "[::1]:5000/a:latest"),
    ],
)
def test_names_in_full(name: str, whole: str) -> None:
    assert str(remote_reference(name)) == whole


def test_hosts() -> None:
    assert host_of("docker.io") == "registry-1.docker.io"
    assert host_of("[::1]:5000") == "[::1]:5000"
    for bad in ("", "a/b", "nodots", "http://x.example", "user@x.example", "x.example:port", "x.example/../y"):
        with pytest.raises(ReferenceError, match="not a registry"):
            host_of(bad)
    for here in ("localhost", "localhost:5000", "127.0.0.1:80", "127.9.9.9", "[::1]:5000"):
        assert is_loopback(here)
    for elsewhere in ("localhost.example", "127.0.0.1.example:80", "10.0.0.1", "[2001:db8::1]:5000", ""):
        assert not is_loopback(elsewhere)


def test_origins() -> None:
    assert origin("https://a.example/x") == origin("https://A.example:443/y")
    for other in ("http://a.example", "https://b.example", "https://a.example:444", "https://a.example.b"):
        assert origin(other) != origin("https://a.example")
    assert netloc("http://a.example:80/x") == "a.example"
    assert netloc("https://[::1]:5000/x") == "[::1]:5000"
    assert shown("https://user:word@a.example/x?X-Signature=abc#f") == "https://a.example/x"


PLAIN = RegistrySettings(insecure=frozenset({"plain.example:5000"}))


@pytest.mark.parametrize(
    ("source", "target", "refused"),
    [
        ("https://r.example", "https://cdn.example/x", ""),
        ("https://r.example", "http://cdn.example/x", "plain http"),
        ("https://r.example", "http://r.example/x", "plain http"),
        ("https://r.example", "https://localhost/x", "this machine"),
        ("https://r.example", "http://127.0.0.1:8888/api", "this machine"),
        *(
            ("https://r.example", f"https://{host}/x", "this machine")
            for host in (
                "LOCALHOST:8888",
                "localhost.",
                "a.localhost",
                "127.1",
                "127.000.000.001",
                "2130706433",
                "0x7f.1",
                "0",
                "0.0.0.0:8888",
                "[::]",
                "[::1]:8888",
                "[::ffff:127.0.0.1]",
                "[::ffff:7f00:1]",
                "169.254.169.254",
                "[fe80::1]",
                "[fe80::1%25eth0]",
                "[::ffff:169.254.169.254]",
                "224.0.0.1",
            )
        ),
        ("https://r.example", "https://localhost.example/x", ""),
        ("https://r.example", "https://127.example/x", ""),
        ("https://r.example", "https://10.0.0.7/x", ""),
        ("https://r.example", "http://[::ffff:127.0.0.1]/x", "plain http"),
        ("https://r.example", "gopher://r.example/x", "no address"),
        ("https://r.example", "FILE:///etc/passwd", "no address"),
        ("https://r.example", "https:///etc/passwd", "no address"),
        ("https://r.example", "//cdn.example/x", "no address"),
        ("http://localhost:5000", "http://127.0.0.1:9000/x", ""),
        ("http://localhost:5000", "http://cdn.example/x", "plain http"),
        ("http://plain.example:5000", "http://plain.example:5000/x", ""),
        ("http://plain.example:5000", "http://plain.example/x", "plain http"),
        ("https://r.example", "file:///etc/passwd", "no address"),
        ("https://r.example", "ftp://cdn.example/x", "no address"),
        ("https://r.example", "https://user:word@cdn.example/x", "no address"),
        ("https://r.example", "https://cdn.example:port/x", "no address"),
        ("https://r.example", "", "no address"),
    ],
)
def test_where_a_registry_may_lead(source: str, target: str, refused: str) -> None:
    if not refused:
        check_way("r.example", source, target, PLAIN)
        return
    with pytest.raises(RegistryError, match=refused) as error:
        check_way("r.example", source, target, PLAIN)
    assert "word" not in str(error.value)
