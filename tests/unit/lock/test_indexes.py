from __future__ import annotations

import pytest

from jupyter_containers.lock.indexes import find_indexes, trust_environment
from jupyter_containers.spec.model import Packages


@pytest.fixture
def env(tmp_path):
    (tmp_path / "venv").mkdir()
    return {
        "HOME": str(tmp_path),
        "XDG_CONFIG_HOME": str(tmp_path / "config"),
        "VIRTUAL_ENV": str(tmp_path / "venv"),
        "XDG_CONFIG_DIRS": str(tmp_path / "xdg"),
    }


def pip_conf(env, text):
    file = f"{env['HOME']}/pip.conf"
    with open(file, "w") as stream:
        stream.write(text)
    return {**env, "PIP_CONFIG_FILE": file}


def test_spec_decides(env):
    packages = Packages(index_url="https://spec/simple", extra_index_urls=("https://more/simple",))
    found = find_indexes(packages, {**env, "UV_INDEX_URL": "https://uv/simple"})
    assert found.arguments() == [
        "--default-index", "https://spec/simple", "--index", "https://more/simple",
        "--index-strategy", "unsafe-best-match",
    ]  # fmt: skip


def test_uv_configuration_is_left_to_uv(env):
    env = pip_conf(env, "[global]\nindex-url = https://pip/simple\n")
    assert find_indexes(Packages(), {**env, "UV_DEFAULT_INDEX": "https://uv/simple"}).arguments() == []


def test_uv_toml_is_left_to_uv(env, tmp_path):
    env = pip_conf(env, "[global]\nindex-url = https://pip/simple\n")
    folder = tmp_path / "config" / "uv"
    folder.mkdir(parents=True)
    (folder / "uv.toml").write_text('[[index]]\nurl = "https://uv/simple"\ndefault = true\n')
    assert find_indexes(Packages(), env).arguments() == []
    (folder / "uv.toml").write_text("native-tls = true\n")
    assert find_indexes(Packages(), env).default == "https://pip/simple"


def test_pips_configuration_where_uv_has_none(env):
    env = pip_conf(
        env,
        "[global]\nindex-url = https://pip/simple\nextra-index-url =\n    https://one/simple\n    file:///srv/simple\n",
    )
    found = find_indexes(Packages(), env)
    assert (found.default, found.extra, found.origin) == (
        "https://pip/simple",
        ("https://one/simple",),
        "pip's configuration",
    )
    assert (
        find_indexes(Packages(), {**env, "PIP_INDEX_URL": "https://variable/simple"}).default
        == "https://variable/simple"
    )


def test_paths_of_the_host_are_not_handed_on(env):
    env = pip_conf(env, "[global]\nfind-links = /srv/wheels\nextra-index-url = file:///srv/simple\n")
    assert find_indexes(Packages(), env).arguments() == []


def test_certificates(tmp_path, env):
    bundle = tmp_path / "ca.pem"
    bundle.write_text("")
    assert trust_environment({**env, "SSL_CERT_FILE": "/x"}) == {}
    assert trust_environment({**env, "PIP_CERT": str(bundle)}) == {"SSL_CERT_FILE": str(bundle)}
    assert trust_environment(pip_conf(env, f"[global]\ncert = {bundle}\n")) == {"SSL_CERT_FILE": str(bundle)}
