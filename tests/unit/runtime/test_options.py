from __future__ import annotations

import argparse
import signal
from pathlib import Path

import pytest

from jupyter_containers.cli.container_options import (
    above_zero,
    from_zero,
    parse_env,
    parse_environment,
    parse_mount,
    without_separator,
)
from jupyter_containers.cli.containers_control import parse_signal
from jupyter_containers.cli.run_settings import merged
from jupyter_containers.errors import InputError
from jupyter_containers.runtime.base import BindMount


def test_mounts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert parse_mount("/a:/b") == BindMount(source="/a", target="/b", mode="rw")
    assert parse_mount("/a:/b:ro") == BindMount(source="/a", target="/b", mode="ro")
    assert parse_mount(".:/b").source == str(tmp_path)
    for bad in ("/a", "/a:", ":/b", "/a:/b:rx", "/a:/b:ro:z"):
        with pytest.raises(InputError):
            parse_mount(bad)


def test_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("B", "of the host")
    assert parse_env("A=1=2") == ("A", "1=2") and parse_env("B") == ("B", "of the host")
    with pytest.raises(InputError):
        parse_env("=x")


def test_a_variable_that_the_host_lacks_is_not_set(monkeypatch):
    monkeypatch.delenv("C", raising=False)
    assert parse_environment(["A=1", "C", "A=2"]) == {"A": "2"}


@pytest.mark.parametrize("text", ["0", "-1", "x", "nan", "inf"])
def test_numbers_that_make_sense_above_0_only(text):
    assert above_zero(float)("1.5") == 1.5
    with pytest.raises(argparse.ArgumentTypeError, match="above 0"):
        above_zero(float)(text)


@pytest.mark.parametrize("text", ["-3", "x", "nan", "inf", "1.5"])
def test_numbers_that_make_sense_from_0_on(text):
    assert from_zero(int)("0") == 0
    with pytest.raises(argparse.ArgumentTypeError, match="is not 0 or a number above it"):
        from_zero(int)(text)


def test_signals() -> None:
    assert {parse_signal(text) for text in ("KILL", "SIGKILL", "sigkill", "9")} == {signal.SIGKILL}
    for bad in ("", "NO", "0", "999"):
        with pytest.raises(InputError):
            parse_signal(bad)


def test_the_command_line_goes_before_the_spec() -> None:
    spec = {"memory": 1, "cpus": 2.0, "network": "full", "mounts": (BindMount(source="/s", target="/t"),)}
    given = BindMount(source="/other", target="/t")
    assert merged(spec, {"memory": 5}, (given,)) == {"memory": 5, "cpus": 2.0, "network": "full", "mounts": (given,)}
    assert merged({}, {}, ()) == {"mounts": ()}


def test_a_separator_is_not_part_of_the_command() -> None:
    assert without_separator(["--", "ls", "--"]) == ["ls", "--"]
    assert without_separator(["ls"]) == ["ls"]
