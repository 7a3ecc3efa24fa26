"""The commands ``execute``, ``kernelspec`` and ``kernel``: words in, tables, exit status and errors out."""

from __future__ import annotations

import json

import nbformat
import pytest

from jupyter_containers.cli.base import execute
from jupyter_containers.cli.execute import Execute
from jupyter_containers.cli.kernel import Kernel
from jupyter_containers.cli.kernelspec import Kernelspec, parse_settings
from jupyter_containers.errors import InputError

pytestmark = pytest.mark.usefixtures("environment", "processes")


@pytest.fixture
def make(folder):
    def write(name: str, *sources: str) -> str:
        cells = [nbformat.v4.new_code_cell(source) for source in sources]
        nbformat.write(nbformat.v4.new_notebook(cells=cells), folder / name)
        return str(folder / name)

    return write


def test_execute_prints_a_table_and_errors_with_their_cell(make, capsys):
    paths = [make("good.ipynb", "1"), make("bad.ipynb", "1", "{}['age']")]
    assert execute(Execute(), [*paths, "--env", "small", "--quiet"]) == 1
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert lines[0].split() == ["NOTEBOOK", "ENVIRONMENT", "STATUS", "CELLS", "SECONDS", "MEMORY", "OUTPUT"]
    assert lines[1].split()[1:4] == ["small", "ok", "1/1"] and lines[1].endswith("good.executed.ipynb")
    assert lines[2].split()[1:4] == ["small", "failed", "2/2"]
    assert "bad.ipynb: cell 2: KeyError: 'age'" in err


def test_execute_as_json(make, capsys):
    assert execute(Execute(), [make("a.ipynb", "1"), "--env", "small", "--json"]) == 0
    (result,) = json.loads(capsys.readouterr().out)
    assert result["status"] == "ok" and result["executed"] == 1


def test_bad_input_is_exit_status_2(make, capsys):
    assert execute(Execute(), [make("a.ipynb", "1"), "--env", "small", "--memory", "much"]) == 2
    assert "'much' is not a size" in capsys.readouterr().err


def test_kernelspec_install_list_remove(capsys):
    assert execute(Kernelspec(), ["install", "small", "--set", "memory=2G", "--display-name", "Two"]) == 0
    assert "jc-small: installed in" in capsys.readouterr().out
    execute(Kernelspec(), ["list", "--json"])
    (item,) = json.loads(capsys.readouterr().out)
    assert (item["name"], item["display_name"]) == ("jc-small", "Two (container)")
    execute(Kernelspec(), ["list"])
    assert capsys.readouterr().out.splitlines()[1].split()[:3] == ["jc-small", "small", "python"]
    assert execute(Kernelspec(), ["remove", "small"]) == 0
    assert execute(Kernelspec(), ["remove", "small"]) == 1
    assert "no kernelspec of small is installed" in capsys.readouterr().err


def test_settings_have_the_types_of_the_options():
    words = ["memory=2G", "cpus=1.5", "pids=50", "mount-home=true", "pass_env=A,B_*"]
    assert parse_settings(words) == {
        "memory": "2G", "cpus": 1.5, "pids": 50, "mount_home": True, "pass_env": ["A", "B_*"],
    }  # fmt: skip


@pytest.mark.parametrize("word", ["memory", "cpus=many"])
def test_bad_settings(word):
    with pytest.raises(InputError):
        parse_settings([word])


def test_a_bad_setting_is_named_with_its_kernelspec(capsys):
    assert execute(Kernelspec(), ["install", "small", "--set", "memry=1G"]) == 2
    err = capsys.readouterr().err
    assert "kernelspec of small" in err and "did you mean `memory`" in err


@pytest.mark.parametrize("options", ["{", "[]", '{"environmnt": "x"}'])
def test_kernel_refuses_bad_options(options, tmp_path, capsys):
    assert execute(Kernel(), ["--options", options, "-f", str(tmp_path / "c.json")]) == 2
    assert "--options" in capsys.readouterr().err
