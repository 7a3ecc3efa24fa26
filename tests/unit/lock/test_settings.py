from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_containers.errors import InputError
from jupyter_containers.lock import settings as module
from jupyter_containers.lock.settings import DEFAULT_ARCHIVE, DEFAULT_SECURITY_ARCHIVE, Settings
from jupyter_containers.lock.sources import Sources, parse_deb822, parse_list, read_sources


@pytest.fixture
def host(monkeypatch):
    """The host's apt sources, to be set by a test."""
    found = {"sources": Sources()}
    monkeypatch.setattr(module.sources, "read_sources", lambda folder: found["sources"])
    return found


def configure(tmp_path, text):
    file = tmp_path / "config" / "jupyter-containers" / "config.toml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return {"XDG_CONFIG_HOME": str(tmp_path / "config"), "HOME": str(tmp_path)}


def test_default(host, tmp_path):
    found = Settings.current({"HOME": str(tmp_path)})
    assert found.debian_archives == (DEFAULT_ARCHIVE,) and found.security_archives == (DEFAULT_SECURITY_ARCHIVE,)
    assert found.origin == "the default" and not found.offline


def test_host_sources_before_the_default(host, tmp_path):
    host["sources"] = Sources(("http://mirror/debian",), ("http://sec/debian-security",))
    found = Settings.current({"HOME": str(tmp_path)})
    assert found.debian_archives == ("http://mirror/debian",) and found.security_archives == (
        "http://sec/debian-security",
    )
    assert "apt sources" in found.origin


def test_configuration_before_the_host_and_the_variable_before_all(host, tmp_path):
    host["sources"] = Sources(("http://mirror/debian",))
    env = configure(
        tmp_path,
        '[debian]\narchives = ["http://one/debian/", "http://two/debian"]\nsecurity = false\n'
        "[network]\noffline = true\n",
    )
    found = Settings.current(env)
    assert found.debian_archives == ("http://one/debian", "http://two/debian") and found.offline and not found.security
    assert found.security_archives[:2] == ("http://one/debian-security", "http://two/debian-security")
    assert found.security_archives[-1] == DEFAULT_SECURITY_ARCHIVE
    found = Settings.current(
        {
            **env,
            "JUPYTER_CONTAINERS_DEBIAN_MIRROR": "https://a/debian, https://b/debian",
            "JUPYTER_CONTAINERS_OFFLINE": "0",
        }
    )
    assert found.debian_archives == ("https://a/debian", "https://b/debian") and not found.offline
    assert found.origin == "JUPYTER_CONTAINERS_DEBIAN_MIRROR"


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("[debian]\narchive = 'x'\n", "archive"),
        ("[debian\n", "line 1"),
        ("[network]\nretries = 'many'\n", "retries"),
        ("[debian]\narchives = ['ftp://x']\n", "ftp://x"),
    ],
)
def test_configuration_that_is_wrong_is_told(host, tmp_path, text, cause):
    with pytest.raises(InputError, match=r"config\.toml") as caught:
        Settings.current(configure(tmp_path, text))
    assert cause in str(caught.value)


def test_variables_that_are_wrong_are_told(host, tmp_path):
    with pytest.raises(InputError, match="JUPYTER_CONTAINERS_OFFLINE"):
        Settings.current({"HOME": str(tmp_path), "JUPYTER_CONTAINERS_OFFLINE": "perhaps"})
    with pytest.raises(InputError, match="JUPYTER_CONTAINERS_DEBIAN_MIRROR"):
        Settings.current({"HOME": str(tmp_path), "JUPYTER_CONTAINERS_DEBIAN_MIRROR": "/srv/debian"})


def test_sources_of_the_host(tmp_path):
    parts = tmp_path / "sources.list.d"
    parts.mkdir()
    (tmp_path / "sources.list").write_text(
        "# deb http://commented/debian trixie main\n"
        "deb [arch=amd64 signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] "
        "http://mirror.example.org/deb/ trixie main contrib\n"
        "deb-src http://source/debian trixie main\n"
    )
    (parts / "debian.sources").write_text(
        "Types: deb deb-src\nURIs: http://deb.debian.org/debian\n# a comment\n"
        "Suites: trixie trixie-updates\nComponents: main\n"
        "Signed-By: /usr/share/keyrings/debian-archive-keyring.pgp\n\n"
        "Types: deb\nURIs: http://deb.debian.org/debian-security\nSuites: trixie-security\nComponents: main\n\n"
        "Types: deb\nEnabled: no\nURIs: http://off/debian\nSuites: trixie\nComponents: main\n"
    )
    found = read_sources(tmp_path)
    assert found.archives == ("http://mirror.example.org/deb", "http://deb.debian.org/debian")
    assert found.security == ("http://deb.debian.org/debian-security",)


@pytest.mark.parametrize(
    "line",
    [
        "deb https://download.docker.com/linux/debian trixie stable",
        "deb [signed-by=/usr/share/keyrings/microsoft.gpg] https://packages.microsoft.com/debian/12/prod bookworm main",
        "deb https://packages.microsoft.com/debian/12/prod bookworm main",
        "deb https://deb.nodesource.com/node_20.x nodistro main",
        "deb http://apt.postgresql.org/pub/repos/apt trixie-pgdg main",
        "deb http://archive.ubuntu.com/ubuntu noble main",
        "deb cdrom:[Debian]/ trixie main",
        "deb file:/srv/debian trixie main",
    ],
)
def test_archives_of_others_are_left_out(tmp_path, line):
    (tmp_path / "sources.list").write_text(line + "\n")
    assert read_sources(tmp_path) == Sources()


def test_no_sources_at_all(tmp_path):
    assert read_sources(tmp_path / "none") == Sources()


@given(st.text(max_size=80))
def test_any_text_is_read(text):
    list(parse_list("deb " + text))
    list(parse_deb822("Types: deb\n" + text))
