"""Logins: our own file, docker's configuration, credential programs."""

from __future__ import annotations

import base64
import json
import os
import stat
from pathlib import Path

import pytest

from jupyter_containers.errors import InputError, RegistryError
from jupyter_containers.image.credentials import Credentials
from jupyter_containers.image.registry_auth import Credential


def pair(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


@pytest.fixture
def logins(tmp_path: Path) -> Credentials:
    (tmp_path / "docker").mkdir()
    return Credentials.current(
        {"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path / "config"), "DOCKER_CONFIG": str(tmp_path / "docker")}
    )


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where ``docker-credential-test`` can be written."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return folder / "docker-credential-test"


def docker(logins: Credentials, **config: object) -> None:
    assert logins.docker is not None
    logins.docker.write_text(json.dumps(config))


def write_program(path: Path, script: str) -> None:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def test_where_the_files_are(tmp_path: Path) -> None:
    found = Credentials.current({"HOME": "/home/ann", "XDG_CONFIG_HOME": "relative"})
    assert found == Credentials(
        Path("/home/ann/.config/jupyter-containers/auth.json"), Path("/home/ann/.docker/config.json")
    )


def test_none(logins: Credentials) -> None:
    assert logins.find("ghcr.io") is None
    assert not logins.forget("ghcr.io")


def test_own_file(logins: Credentials) -> None:
    logins.store("ghcr.io", Credential("ann", "pass:wörd"))
    logins.store("docker.io", Credential("bob", "x"))
    assert stat.S_IMODE(logins.own.stat().st_mode) == 0o600
    assert stat.S_IMODE(logins.own.parent.stat().st_mode) == 0o700
    assert logins.find("ghcr.io") == Credential("ann", "pass:wörd")
    assert logins.find("ghcr.io:443") is None
    assert logins.find("docker.io") == Credential("bob", "x")
    assert set(json.loads(logins.own.read_text())["auths"]) == {"ghcr.io", "https://index.docker.io/v1/"}
    assert logins.forget("docker.io")
    assert logins.find("docker.io") is None
    assert logins.find("ghcr.io")


def test_own_file_comes_before_dockers_which_is_never_written(logins: Credentials) -> None:
    docker(logins, auths={"ghcr.io": {"auth": pair("docker:d")}, "quay.io": {"auth": pair("q:q")}})
    assert logins.docker is not None
    before = logins.docker.read_bytes()
    logins.store("ghcr.io", Credential("ann", "own"))
    assert logins.find("ghcr.io") == Credential("ann", "own")
    assert logins.find("quay.io") == Credential("q", "q")
    logins.forget("ghcr.io")
    assert logins.find("ghcr.io") == Credential("docker", "d")
    assert logins.docker.read_bytes() == before


@pytest.mark.parametrize(
    ("entry", "found"),
    [
        ({"auth": pair("ann:word")}, Credential("ann", "word")),
        ({"username": "ann", "password": "word"}, Credential("ann", "word")),
        ({"auth": pair("0:"), "identitytoken": "t"}, Credential("0", "", "t")),
        ({"registrytoken": "t"}, Credential(registry_token="t")),
        ({"auth": pair("ann:word"), "email": "ann@a.example", "more": {}}, Credential("ann", "word")),
        ({}, None),
    ],
)
def test_entries(logins: Credentials, entry: dict[str, object], found: Credential | None) -> None:
    for key in ("r.example", "https://r.example", "https://r.example/v1/"):
        docker(logins, auths={key: entry}, HttpHeaders={"User-Agent": "x"}, credsStore=None)
        assert logins.find("r.example") == found
        assert logins.find("other.example") is None


def test_files_that_cannot_be_read(logins: Credentials) -> None:
    for text in ("{", "[]", '{"auths": []}', '{"auths": {"a.example": {"auth": 1}}}', '{"credsStore": 1}'):
        docker(logins)
        assert logins.docker is not None
        logins.docker.write_text(text)
        with pytest.raises(InputError, match=r"config\.json"):
            logins.find("a.example")
    docker(logins, auths={"a.example": {"auth": "word-that-is-no-base64!"}})
    with pytest.raises(InputError, match=r"a\.example") as error:
        logins.find("a.example")
    assert "word-that" not in str(error.value)


def test_own_file_that_others_can_read(logins: Credentials) -> None:
    logins.store("a.example", Credential("ann", "word"))
    logins.own.chmod(0o644)
    with pytest.raises(InputError, match="can be read by others"):
        logins.find("a.example")


def test_programs(logins: Credentials, program: Path) -> None:
    write_program(
        program,
        'read -r server; [ "$1" = get ] || exit 9\n'
        'case "$server" in\n'
        '  a.example) echo \'{"ServerURL":"a.example","Username":"ann","Secret":"word"}\';;\n'
        '  t.example) echo \'{"ServerURL":"t.example","Username":"<token>","Secret":"refresh"}\';;\n'
        '  https://index.docker.io/v1/) echo \'{"Username":"hub","Secret":"h"}\';;\n'
        "  bad.example) echo no-json-but-s3cret;;\n"
        "  locked.example) echo keychain is locked; exit 1;;\n"
        "  *) echo credentials not found in native keychain; exit 1;;\n"
        "esac",
    )
    docker(
        logins, credsStore="missing-program", auths={"plain.example": {"auth": pair("p:p")}},
        credHelpers=dict.fromkeys(("a.example", "t.example", "docker.io", "bad.example", "locked.example"), "test"),
    )  # fmt: skip
    assert logins.find("a.example") == Credential("ann", "word")
    assert logins.find("t.example") == Credential(identity_token="refresh")
    assert logins.find("docker.io") == Credential("hub", "h")
    with pytest.raises(RegistryError, match="locked"):
        logins.find("locked.example")
    with pytest.raises(RegistryError, match="no JSON") as error:
        logins.find("bad.example")
    assert "s3cret" not in str(error.value)
    with pytest.raises(RegistryError, match=r"docker-credential-missing-program.*not installed"):
        logins.find("other.example")
    docker(logins, credsStore="test", auths={"plain.example": {"auth": pair("p:p")}})
    assert logins.find("plain.example") == Credential("p", "p")
    assert logins.find("nowhere.example") is None


def test_a_program_is_a_name_and_no_path(logins: Credentials) -> None:
    for name in ("../evil", "a/b", "x y", "-x"):
        docker(logins, credsStore=name)
        with pytest.raises(InputError, match="credential program"):
            logins.find("a.example")
