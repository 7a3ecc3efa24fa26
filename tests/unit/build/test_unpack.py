"""Unpacking packages, and the database that dpkg finds afterwards."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import subprocess

import pytest

from jupyter_containers.build.unpack import unpack
from jupyter_containers.errors import ArchiveError


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "root"
    folder.mkdir()
    return folder


def test_packages_share_folders_and_go_through_the_merged_links(deb, root):
    base = deb("base-files", {"./var/": None, "./run/": None, "./var/run": ("link", "/run")})
    old = deb("old", {"./bin/": None, "./bin/tool": b"tool", "./lib/x/y": b"y"}, modes={"./bin/tool": 0o755})
    new = deb("new", {"./usr/bin/other": b"other", "./var/run/started": b""})
    unpack({"old": old, "base-files": base, "new": new}, root, architecture="amd64")
    assert os.readlink(root / "bin") == "usr/bin"
    assert os.readlink(root / "lib64") == "usr/lib64"
    assert sorted(os.listdir(root / "usr/bin")) == ["other", "tool"]
    assert (root / "usr/lib/x/y").read_bytes() == b"y"
    assert (root / "run/started").exists()
    assert stat.S_IMODE((root / "usr/bin/tool").stat().st_mode) == 0o755


def test_a_package_may_bring_the_links_itself(deb, root):
    base = deb("base-files", {"./bin": ("link", "usr/bin"), "./usr/bin/": None})
    unpack({"base-files": base}, root, architecture="arm64")
    assert os.readlink(root / "bin") == "usr/bin"
    assert not os.path.lexists(root / "lib64")


def test_documentation_is_left_out_but_copyright_is_kept(deb, root):
    tool = deb(
        "tool",
        {
            "./usr/share/doc/tool/": None,
            "./usr/share/doc/tool/README": b"long",
            "./usr/share/doc/tool/copyright": b"mine",
            "./usr/share/man/man1/tool.1.gz": b"",
            "./usr/share/locale/de/LC_MESSAGES/tool.mo": b"",
            "./usr/share/locale/locale.alias": b"",
        },
    )
    unpack({"tool": tool}, root, architecture="amd64")
    assert os.listdir(root / "usr/share/doc/tool") == ["copyright"]
    assert not (root / "usr/share/man/man1").exists()
    assert os.listdir(root / "usr/share/locale") == ["locale.alias"]
    # dpkg keeps the names of what it left out, too.
    assert "/usr/share/doc/tool/README\n" in (root / "var/lib/dpkg/info/tool.list").read_text()


@pytest.mark.parametrize("name", ["./../evil", "./usr/../../evil", "../evil"])
def test_a_path_out_of_the_tree_is_refused(deb, root, name):
    path = deb("bad", {name: b"evil"})
    with pytest.raises(ArchiveError, match=r"package bad: .*leads out of the tree"):
        unpack({"bad": path}, root, architecture="amd64")
    assert not (root.parent / "evil").exists()


def test_a_link_in_one_package_does_not_lead_another_out(deb, root):
    first = deb("base-files", {"./etc": ("link", f"{root.parent}/outside")})
    second = deb("second", {"./etc/passwd": b"evil"})
    (root.parent / "outside").mkdir()
    with pytest.raises((ArchiveError, OSError)):
        unpack({"base-files": first, "second": second}, root, architecture="amd64")
    assert os.listdir(root.parent / "outside") == []


@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_devices_and_pipes_are_refused(deb, root, kind):
    path = deb("bad", {"./dev/thing": (kind, "")})
    with pytest.raises(ArchiveError, match="device or a pipe"):
        unpack({"bad": path}, root, architecture="amd64")


def test_hard_links_stay_one_file(deb, root):
    path = deb("perl", {"./usr/bin/perl": b"p", "./usr/bin/perl5": ("hard", "./usr/bin/perl")})
    unpack({"perl": path}, root, architecture="amd64")
    assert (root / "usr/bin/perl5").samefile(root / "usr/bin/perl")


def test_the_database_says_unpacked_with_the_hashes_of_conffiles(deb, root):
    tool = deb(
        "tool",
        {"./etc/": None, "./etc/tool.conf": b"setting"},
        scripts={
            "conffiles": "/etc/tool.conf\n",
            "postinst": "#!/bin/sh\n",
            "triggers": "interest-noawait /usr/lib/x\n",
        },
    )
    library = deb("lib", {}, control={"Multi-Arch": "same"}, scripts={"triggers": "interest ldconfig # note\n"})
    unpack({"tool": tool, "lib": library}, root, architecture="amd64")
    base = root / "var/lib/dpkg"
    digest = hashlib.md5(b"setting").hexdigest()
    assert "Package: tool\nStatus: install ok unpacked\n" in (base / "status").read_text()
    assert f"Conffiles:\n /etc/tool.conf {digest}\n" in (base / "status").read_text()
    assert (base / "triggers/File").read_text() == "/usr/lib/x tool/noawait\n"
    assert (base / "triggers/ldconfig").read_text() == "lib:amd64\n"
    assert os.access(base / "info/tool.postinst", os.X_OK)
    assert (base / "info/lib:amd64.list").read_text() == "/.\n"


@pytest.mark.skipif(shutil.which("dpkg-query") is None, reason="needs a host with dpkg")
def test_dpkg_reads_the_database(deb, root):
    tool = deb("tool", {"./usr/bin/tool": b"x"}, control={"Description": "a tool\n with a long text"})
    library = deb("lib", {"./usr/lib/lib.so": b"x"}, control={"Multi-Arch": "same"})
    unpack({"tool": tool, "lib": library}, root, architecture="amd64")
    query = ["dpkg-query", f"--admindir={root}/var/lib/dpkg"]
    shown = subprocess.run(
        [*query, "-W", "-f", "${binary:Package} ${db:Status-Abbrev}\n"], capture_output=True, text=True
    )
    assert shown.stdout.split("\n") == ["lib:amd64 iU ", "tool iU ", ""]
    listed = subprocess.run([*query, "-L", "lib:amd64"], capture_output=True, text=True)
    assert "/usr/lib/lib.so" in listed.stdout


def test_a_damaged_package_is_named(deb, root):
    path = deb("tool", {"./usr/bin/tool": b"x" * 5000})
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(ArchiveError, match="package tool: "):
        unpack({"tool": path}, root, architecture="amd64")


def test_progress_ends_at_the_total(deb, root):
    debs = {name: deb(name, {f"./usr/{name}": name.encode()}) for name in ("a", "b", "c")}
    seen = []
    unpack(debs, root, architecture="amd64", progress=lambda what, done, total: seen.append((done, total)))
    total = sum(path.stat().st_size for path in debs.values())
    assert seen[-1] == (total, total)
    assert len(seen) == 3
