"""Which architectures run here."""

from __future__ import annotations

from pathlib import Path

import pytest

from jupyter_containers.build import emulation
from jupyter_containers.errors import HostError
from jupyter_containers.sandbox.model import Overlay

REGISTERED = "enabled\ninterpreter /usr/bin/qemu-aarch64-static\nflags: OCF\noffset 0\nmagic 7f45\n"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (REGISTERED, "/usr/bin/qemu-aarch64-static"),
        (REGISTERED.replace("OCF", "OC"), None),  # not opened ahead: the image does not hold the interpreter
        (REGISTERED.replace("enabled", "disabled"), None),
    ],
)
def test_an_emulator_counts_where_it_works_in_any_root(tmp_path, text, found):
    (tmp_path / "qemu-aarch64").write_text(text)
    assert emulation.find_emulator("arm64", tmp_path) == found


def test_nothing_is_registered(tmp_path):
    assert emulation.find_emulator("arm64", tmp_path) is None
    assert emulation.find_emulator("m68k", tmp_path) is None


def test_a_foreign_architecture_without_emulator_is_refused_with_the_remedy(monkeypatch):
    monkeypatch.setattr(emulation, "find_emulator", lambda architecture: None)
    emulation.check_architecture(emulation.host_architecture())
    with pytest.raises(HostError, match="no emulator for s390x") as caught:
        emulation.check_architecture("s390x")
    assert "qemu-user" in caught.value.hint


def test_a_step_gets_nothing_of_the_host_s_environment(monkeypatch):
    monkeypatch.setenv("SECRET_TOKEN", "x")
    sandbox = emulation.step_sandbox(("true",), root=Overlay((Path("/l"),)), store=Path("/"), env={"A": "b"})
    assert "SECRET_TOKEN" not in sandbox.env
    assert sandbox.env["A"] == "b"
    assert (sandbox.uid, sandbox.filter, sandbox.network) == (0, "build", "none")
    assert "/etc/resolv.conf" not in sandbox.files
