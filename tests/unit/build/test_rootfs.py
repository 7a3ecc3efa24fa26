"""Edits of a root file system."""

from __future__ import annotations

import pytest

from jupyter_containers.build import rootfs
from jupyter_containers.build.tree import Tree


@pytest.fixture
def root(tmp_path):
    for folder in ("etc/skel", "var/log", "var/lib/apt/lists", "usr/share/keyrings"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/bash\n")
    (tmp_path / "etc/group").write_text("root:x:0:\n")
    (tmp_path / "etc/shadow").write_text("root:*:20999:0:99999:7:::\n")
    (tmp_path / "etc/skel/.profile").write_text("# profile\n")
    return tmp_path


def test_the_user_is_added_once(root):
    with Tree(root) as tree:
        rootfs.add_user(tree, day=100)
        rootfs.add_user(tree, day=200)
    assert (root / "etc/passwd").read_text().count("jovyan:x:1000:1000:jovyan:/home/jovyan:/bin/bash\n") == 1
    assert (root / "etc/group").read_text() == "root:x:0:\njovyan:x:1000:\n"
    assert "jovyan:!:100:" in (root / "etc/shadow").read_text()
    assert not (root / "etc/gshadow").exists()
    assert (root / "home/jovyan/.profile").read_text() == "# profile\n"


def test_another_user_with_the_id_stays(root):
    (root / "etc/passwd").write_text("ubuntu:x:1000:1000::/home/ubuntu:/bin/bash\n")
    with Tree(root) as tree:
        rootfs.add_user(tree, day=1)
    assert "jovyan" not in (root / "etc/passwd").read_text()
    assert (root / "home/jovyan").is_dir()


def test_cleaning_takes_out_what_differs_from_day_to_day(root):
    (root / "var/log/apt").mkdir()
    (root / "var/log/apt/history.log").write_text("2026-01-01")
    (root / "var/lib/apt/lists/x").write_text("x")
    (root / "etc/machine-id").write_text("abc\n")
    (root / "etc/shadow-").write_text("")
    with Tree(root) as tree:
        rootfs.clean(tree, day=19000)
    assert [path.name for path in (root / "var/log").rglob("*")] == ["apt"]
    assert list((root / "var/lib/apt/lists").iterdir()) == []
    assert (root / "etc/machine-id").read_text() == ""
    assert not (root / "etc/shadow-").exists()
    assert (root / "etc/shadow").read_text() == "root:*:19000:0:99999:7:::\n"


@pytest.mark.parametrize(("suite", "suites"), [("trixie", 2), ("sid", 1)])
def test_apt_keeps_debian_s_own_addresses(root, suite, suites):
    (root / "usr/share/keyrings/debian-archive-keyring.gpg").touch()
    with Tree(root) as tree:
        rootfs.configure_apt(tree, suite)
    text = (root / "etc/apt/sources.list.d/debian.sources").read_text()
    assert text.count("URIs: http://deb.debian.org/") == suites
    assert text.count("Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg") == suites
    assert 'APT::Sandbox::User "root";' in (root / "etc/apt/apt.conf.d/90jupyter-containers").read_text()


def test_only_empty_mount_points_are_removed(root):
    (root / "etc/hosts").write_text("")
    (root / "etc/resolv.conf").write_text("nameserver 1.1.1.1\n")
    with Tree(root) as tree:
        rootfs.remove_mount_points(tree)
    assert not (root / "etc/hosts").exists()
    assert (root / "etc/resolv.conf").exists()


def test_a_prepared_root_starts_no_services_and_keeps_the_manual_s_folders(root):
    with Tree(root) as tree:
        rootfs.prepare_root(tree, "trixie")
    assert (root / "usr/sbin/policy-rc.d").read_text().endswith("exit 101\n")
    assert (root / "usr/share/man/man1").is_dir()
    assert "path-exclude /usr/share/man/*" in (root / "etc/dpkg/dpkg.cfg.d/jupyter-containers").read_text()
    assert (root / "etc/resolv.conf").read_text() == ""
