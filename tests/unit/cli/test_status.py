"""Exit statuses, and what builds that nobody ended are shown as."""

from __future__ import annotations

import argparse

import pytest

from jupyter_containers.build.history import BuildRecord
from jupyter_containers.cli.base import Command, execute
from jupyter_containers.cli.build import Builds
from jupyter_containers.errors import BuildError, CancelledError, ContainerError, InputError


class Failing(Command):
    name = "fail"
    summary = "fail"
    error: Exception

    def run(self, options: argparse.Namespace) -> int:
        raise self.error


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (InputError("x"), 2), (BuildError("x"), 1), (CancelledError("x"), 130), (KeyboardInterrupt(), 130),
        (ContainerError("x"), 1), (ContainerError("x", exit_code=127), 127),
    ],
)  # fmt: skip
def test_each_error_has_its_exit_status(error, status):
    command = Failing()
    command.error = error
    assert execute(command, []) == status


def test_nobody_knows_how_long_an_interrupted_build_took(capsys, monkeypatch):
    entry = BuildRecord(id="b", name="small", spec_file="/s", state="interrupted", started_at=1.0)
    monkeypatch.setattr("jupyter_containers.build.history.list_builds", lambda paths: [entry])
    assert execute(Builds(), []) == 0
    assert capsys.readouterr().out.splitlines()[1].split()[-1] == "-"
