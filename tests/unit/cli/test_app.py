"""The command line before any command runs: the table, the help, and what is not imported."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from jupyter_containers._version import __version__
from jupyter_containers.cli.app import COMMANDS
from jupyter_containers.cli.base import Command


def run(*argv: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "jupyter_containers", *argv], capture_output=True, text=True)


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_is_what_the_table_says(name):
    _, module, attribute, summary = COMMANDS[name]
    command = getattr(import_module(f"jupyter_containers.cli.{module}"), attribute)
    assert issubclass(command, Command)
    assert (command.name, command.summary) == (name, summary)


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_has_help(name, capsys):
    _, module, attribute, _ = COMMANDS[name]
    command = getattr(import_module(f"jupyter_containers.cli.{module}"), attribute)()
    with pytest.raises(SystemExit) as stop:
        command.parser().parse_args(["--help"])
    assert stop.value.code == 0
    assert f"jupyter containers {name}" in capsys.readouterr().out


def test_help_lists_every_command_and_imports_nothing_slow():
    program = (
        "import sys\nfrom jupyter_containers.cli.app import _main\n_main(['--help'])\n"
        "slow = {'httpx', 'jupyter_core', 'jupyter_client', 'rich', 'yaml', 'msgspec', 'asyncio', 'argparse'}\n"
        "print('imported:', *sorted(slow & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "imported:\n" in result.stdout
    for name in COMMANDS:
        assert f"\n  {name} " in result.stdout


def test_version():
    assert run("--version").stdout.strip() == __version__


def test_jupyter_finds_the_command():
    argv = [str(Path(sys.executable).with_name("jupyter")), "containers", "--version"]
    assert subprocess.run(argv, capture_output=True, text=True).stdout.strip() == __version__


def test_an_unknown_command_gets_a_guess_and_status_2():
    result = run("biuld")
    assert result.returncode == 2
    assert "did you mean `build`?" in result.stderr


def test_a_spec_that_is_not_there_is_one_clear_error(tmp_path):
    result = run("explain", str(tmp_path / "nowhere"))
    assert result.returncode in {1, 2}
    assert result.stderr.startswith("error: ")
    assert "Traceback" not in result.stderr
    assert "nowhere" in result.stderr
