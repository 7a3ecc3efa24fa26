"""What the command line of ``execute`` asks for."""

from __future__ import annotations

from jupyter_containers.cli.execute import Execute
from jupyter_containers.kernels import execute


def test_limits_that_may_go_unenforced_are_handed_on(monkeypatch):
    asked = {}
    monkeypatch.setattr(execute, "execute_notebooks", lambda notebooks, **given: asked.update(given) or ())
    command = Execute()
    arguments = ["--accept-unenforced", "memory", "--accept-unenforced", "cpus", "--quiet", "a.ipynb"]
    assert command.run(command.parser().parse_args(arguments)) == 0
    assert asked["options"].accept_unenforced == ("memory", "cpus")


def test_executed_copies_are_not_executed_again(monkeypatch, capsys):
    asked = []
    monkeypatch.setattr(execute, "execute_notebooks", lambda notebooks, **given: asked.extend(notebooks) or ())
    command = Execute()
    names = ["a.executed.ipynb", "a.ipynb", "alone.executed.ipynb", "sub/a.executed.ipynb"]
    assert command.run(command.parser().parse_args(["--env", "x", *names])) == 0
    assert [str(path) for path in asked] == ["a.ipynb", "alone.executed.ipynb", "sub/a.executed.ipynb"]
    assert "note: a.executed.ipynb is left out" in capsys.readouterr().err
