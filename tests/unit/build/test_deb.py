"""Reading .deb archives, good and bad ones."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_containers.build.deb import open_data, parse_stanza, read_control, read_date
from jupyter_containers.errors import ArchiveError


@pytest.mark.parametrize("extension", ["", ".gz", ".xz", ".bz2", ".zst"])
def test_every_compression_is_read(deb, extension):
    path = deb("tool", {"./usr/bin/tool": b"content"}, extension=extension, scripts={"postinst": "#!/bin/sh\n"})
    control = read_control(path)
    assert (control.name, control.version) == ("tool", "1.0-1")
    assert control.files == {"postinst": b"#!/bin/sh\n"}
    found = {entry.name: open_content().read() for entry, open_content in open_data(path) if entry.isreg()}
    assert found == {"./usr/bin/tool": b"content"}


def test_files_of_a_multi_arch_set_are_told_apart(deb):
    assert read_control(deb("lib", {}, control={"Multi-Arch": "same"})).info_name == "lib:amd64"
    assert read_control(deb("tool", {}, control={"Multi-Arch": "foreign"})).info_name == "tool"


def test_the_date_is_that_of_the_archive(deb):
    assert read_date(deb("tool", {})) == 1_700_000_000


@pytest.mark.parametrize("name", ["../evil", "a/b", ""])
def test_a_package_name_that_would_be_a_path_is_refused(deb, tmp_path, name):
    path = deb("tool", {}, control={"Package": name})
    with pytest.raises(ArchiveError):
        read_control(path)


def test_what_is_no_deb_is_told(tmp_path):
    path = tmp_path / "page.deb"
    path.write_bytes(b"<html>not found</html>")
    with pytest.raises(ArchiveError, match=r"page\.deb is not a \.deb"):
        read_control(path)


def test_a_missing_member_is_told(tmp_path):
    path = tmp_path / "x.deb"
    path.write_bytes(b"!<arch>\n")
    with pytest.raises(ArchiveError, match=r"no control\.tar"):
        read_control(path)


def test_damaged_bytes_never_give_another_error(deb):
    path = deb("tool", {"./usr/bin/tool": b"content" * 200}, scripts={"postinst": "#!/bin/sh\n"})
    whole = path.read_bytes()
    chance = random.Random(7)
    refused = 0
    for _ in range(150):
        damaged = bytearray(whole)
        for _ in range(3):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        path.write_bytes(bytes(damaged[: chance.randrange(1, len(damaged))]))
        try:
            read_control(path)
            for entry, open_content in open_data(path):
                if entry.isreg():
                    open_content().read()
        except ArchiveError:
            refused += 1
    assert refused > 100


_NAMES = st.from_regex(r"[A-Za-z][A-Za-z-]{0,8}", fullmatch=True)
_VALUES = st.text(st.characters(codec="ascii", categories=["L", "N", "P"]), min_size=1, max_size=20)


@given(st.dictionaries(_NAMES, _VALUES, max_size=6))
def test_stanzas_keep_their_fields_and_their_order(fields):
    text = "".join(f"{name}: {value}\n more\n" for name, value in fields.items())
    assert list(parse_stanza(text).items()) == [(name, f"{value}\n more") for name, value in fields.items()]
