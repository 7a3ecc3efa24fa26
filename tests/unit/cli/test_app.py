"""The command line before any command runs: the table, the help, and what is not imported."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from jupyter_containers._version import __version__
from jupyter_containers.cli.app import COMMANDS
from jupyter_containers.cli.base import Command

ROOT = Path(__file__).parents[3]


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


# What takes longest to import of what some commands need. None of it may come in by an import at a module's head.
SLOW = {
    "asyncio", "ctypes", "httpx", "jupyter_client", "jupyter_core", "jupyter_server", "logging", "packaging", "psutil",
    "rich", "secrets", "shutil", "tempfile", "tomlkit", "yaml", "jupyter_containers.build.builder",
    "jupyter_containers.lock.fetch", "jupyter_containers.lock.file", "jupyter_containers.sandbox.probe",
    "jupyter_containers.spec.foreign", "jupyter_containers.spec.positions",
}  # fmt: skip
STARTS = {"jupyter_containers.sandbox.process", "jupyter_containers.sandbox.bwrap", "jupyter_containers.runtime.owned"}
SPEC = 'name = "plain"\npython = "3.13"\n[packages]\npip = ["numpy>=2", "six"]\napt = ["tree"]\n'


def imported(home: Path, program: str) -> set[str]:
    """The modules that *program* needs besides Python's start; a home of its own, so that no folder is looked for."""
    code = f"import sys\nbefore = set(sys.modules)\n{program}\nprint(*sorted(set(sys.modules) - before))"
    env = {**os.environ, "JUPYTER_CONTAINERS_HOME": str(home)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env)
    return set(done.stdout.splitlines()[-1].split())


def test_listing_containers_imports_nothing_that_starts_one(tmp_path):
    found = imported(tmp_path, "from jupyter_containers.cli.app import _main\n_main(['ps'])")
    assert "jupyter_containers.runtime.bundled" in found
    assert not found & (SLOW | STARTS)


def test_reading_a_plain_spec_imports_no_other_format(tmp_path):
    (tmp_path / "jupyter-container.toml").write_text(SPEC)
    program = (
        "from pathlib import Path\nfrom jupyter_containers.spec.load import load_spec\n"
        f"load_spec(Path({str(tmp_path)!r}))"
    )
    found = imported(tmp_path, program)
    assert "jupyter_containers.spec.detect" in found
    assert not found & SLOW


def test_a_start_imports_only_what_starts(tmp_path):
    modules = (
        "cli.containers_run", "environments", "build.ensure", "image.store", "runtime.bundled", "runtime.owned",
        "spec.load", "spec.inputs",
    )  # fmt: skip
    found = imported(tmp_path, "\n".join(f"import jupyter_containers.{name}" for name in modules))
    assert found >= STARTS
    assert not found & SLOW


def test_version():
    assert run("--version").stdout.strip() == __version__


def test_the_schema_is_printed_as_it_is_published():
    assert run("schema").stdout == (ROOT / "docs" / "jupyter-container.schema.json").read_text()


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
