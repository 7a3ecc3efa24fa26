"""Settings for registries, from the configuration file."""

from __future__ import annotations

from pathlib import Path

import pytest

from jupyter_containers.errors import InputError
from jupyter_containers.image.registry_settings import RegistrySettings
from jupyter_containers.lock.registries import registry_settings
from jupyter_containers.lock.settings import Settings


def configure(tmp_path: Path, text: str) -> dict[str, str]:
    file = tmp_path / "jupyter-containers" / "config.toml"
    file.parent.mkdir()
    file.write_text(text)
    return {"XDG_CONFIG_HOME": str(tmp_path), "HOME": str(tmp_path)}


def test_without_a_file(tmp_path: Path) -> None:
    assert registry_settings({"HOME": str(tmp_path)}) == RegistrySettings()


def test_all_of_it(tmp_path: Path) -> None:
    env = configure(
        tmp_path,
        '[registries."r.example:5000"]\ninsecure = true\n'
        '[registries."docker.io"]\nmirrors = ["one.example", "two.example:81"]\n'
        "[network]\noffline = true\nretries = 1\nidle-timeout = 5.0\n",
    )
    found = registry_settings(env)
    assert found.insecure == {"r.example:5000"}
    assert found.endpoints("docker.io") == ("one.example", "two.example:81", "docker.io")
    assert found.endpoints("r.example:5000") == ("r.example:5000",)
    assert (found.offline, found.retries, found.idle_timeout) == (True, 1, 5.0)
    assert found.may_be_plain("r.example:5000")
    assert not found.may_be_plain("r.example")
    assert not found.may_be_plain("docker.io")
    assert not registry_settings(env | {"JUPYTER_CONTAINERS_OFFLINE": "0"}).offline
    assert Settings.current(env).retries == 1  # the other reader of the file knows the table


@pytest.mark.parametrize(
    "text",
    [
        '[registries."https://r.example"]\ninsecure = true',
        '[registries."r.example"]\nmirrors = ["https://mirror.example/path"]',
        '[registries."r.example"]\ninsecure = "yes"',
        '[registries."r.example"]\nsecure = false',
    ],
)
def test_what_is_wrong_is_told(tmp_path: Path, text: str) -> None:
    with pytest.raises(InputError, match=r"config\.toml"):
        registry_settings(configure(tmp_path, text))
