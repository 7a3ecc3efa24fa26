"""What is done to an installed wheel so that it fits the image."""

from __future__ import annotations

import base64
import hashlib
import sys

import pytest

from jupyter_containers.build.wheels import finish, fix_record, fix_script
from jupyter_containers.errors import UntrustedContentError
from jupyter_containers.lock.model import Interpreter

PYTHON = "/opt/venv/bin/python"


def digest(content):
    return "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()


def test_a_script_starts_the_image_s_python():
    script = b"#!/host/bin/python\nimport sys\n"
    assert fix_script(script, "/host/bin/python", PYTHON) == b"#!/opt/venv/bin/python\nimport sys\n"


def test_a_script_with_a_long_interpreter_path_as_well():
    script = b"#!/bin/sh\n'''exec' '/a long/path/python' \"$0\" \"$@\"\n' '''\nimport sys\n"
    assert fix_script(script, "/a long/path/python", PYTHON) == b"#!/opt/venv/bin/python\nimport sys\n"


@pytest.mark.parametrize("script", [b"#!/bin/sh\necho\n", b"\x7fELF", b"", b"#!/host/bin/python3 -m\n"])
def test_other_programs_stay_as_they_are(script):
    assert fix_script(script, "/host/bin/python", PYTHON) == script


def test_the_record_has_the_new_hashes_and_nothing_of_what_went():
    record = (
        b'a/b.py,sha256=x,1\n"odd,name.py",sha256=y,2\n../../../bin/run,sha256=z,3\ninfo/uv_cache.json,sha256=w,4\n'
    )
    fixed = fix_record(record, {"../../../bin/run": b"new", "info/uv_cache.json": None})
    assert fixed == f'../../../bin/run,{digest(b"new")},3\na/b.py,sha256=x,1\n"odd,name.py",sha256=y,2\n'.encode()


def test_an_installed_tree_is_moved_to_the_image_s_version(tmp_path):
    info = tmp_path / "lib/python3.11/site-packages/x-1.dist-info"
    info.mkdir(parents=True)
    (tmp_path / "bin").mkdir()
    (tmp_path / ".lock").touch()
    (tmp_path / "bin/run").write_text(f"#!{sys.executable}\n")
    (info / "uv_cache.json").write_text("{}")
    (info / "RECORD").write_text("../../../bin/run,sha256=z,3\nx-1.dist-info/uv_cache.json,,\nx-1.dist-info/RECORD,,\n")
    finish(tmp_path, Interpreter(version="3.13", path="/usr/bin/python3.13"))
    moved = tmp_path / "lib/python3.13/site-packages/x-1.dist-info"
    assert sorted(file.name for file in moved.iterdir()) == ["RECORD"]
    content = (tmp_path / "bin/run").read_bytes()
    assert content == b"#!/opt/venv/bin/python\n"
    assert f"../../../bin/run,{digest(content)},{len(content)}\n" in (moved / "RECORD").read_text()
    assert not (tmp_path / ".lock").exists()


def test_a_record_that_is_a_link_is_not_followed(tmp_path):
    info = tmp_path / "lib/python3.11/site-packages/x-1.dist-info"
    info.mkdir(parents=True)
    (tmp_path / "secret").write_text("secret")
    (info / "RECORD").symlink_to(tmp_path / "secret")
    with pytest.raises(UntrustedContentError):
        finish(tmp_path, Interpreter(version="3.13", path="/usr/bin/python3.13"))
    assert (tmp_path / "secret").read_text() == "secret"
