"""Which paths are left out, and the order of scripts."""

from __future__ import annotations

from types import MappingProxyType

import pytest

from jupyter_containers.build import dpkg
from jupyter_containers.build.deb import Control


def control(name, **fields):
    given = {key.replace("_", "-"): value for key, value in fields.items()}
    return Control(MappingProxyType({"Package": name, "Version": "1", "Architecture": "amd64", **given}), {})


@pytest.mark.parametrize(
    ("path", "out"),
    [
        ("usr/share/doc/tool/README", True),
        ("usr/share/doc/tool/copyright", False),
        ("usr/share/doc", False),
        ("usr/share/man/de/man1/tool.1.gz", True),
        ("usr/share/locale/de/LC_MESSAGES/x.mo", True),
        ("usr/share/locale/locale.alias", False),
        ("usr/share/zoneinfo/Europe/Berlin", False),
        ("opt/usr/share/man/x", False),
    ],
)
def test_left_out(path, out):
    assert dpkg.is_left_out(path) is out


def test_the_configuration_has_every_rule():
    text = dpkg.dpkg_config()
    assert text.count("path-exclude ") + text.count("path-include ") == len(dpkg.PATH_FILTER)
    assert "force-unsafe-io" in text


def test_dependencies_come_first_and_the_accounts_before_all():
    packages = [
        control("app", Depends="lib (>= 1), helper | other"),
        control("base-files", Pre_Depends="awk"),
        control("base-passwd", Depends="lib"),
        control("helper", Depends="app"),
        control("lib", Depends="lib-data:any"),
        control("lib-data"),
        control("mawk", Provides="awk"),
    ]
    names = [item.name for item in dpkg.order(packages)]
    assert names[:2] == ["base-files", "base-passwd"]
    assert sorted(names) == sorted(item.name for item in packages)
    assert names.index("lib-data") < names.index("lib") < names.index("app")
    assert names.index("helper") < names.index("app")  # a cycle, cut where it was entered


def test_provided_names_count():
    packages = [control("app", Depends="virtual"), control("real", Provides="virtual (= 1), more")]
    assert [item.name for item in dpkg.order(packages)] == ["real", "app"]
