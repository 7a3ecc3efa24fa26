"""Notebooks executed with real kernels (as processes: see conftest)."""

from __future__ import annotations

import asyncio
import os
import stat
from types import SimpleNamespace

import nbformat
import pytest

from jupyter_containers.errors import InputError, NotFoundError
from jupyter_containers.kernels import execute, source
from jupyter_containers.kernels.execute import execute_notebooks, output_path, read_notebook
from jupyter_containers.kernels.options import KernelOptions
from jupyter_containers.runtime.base import LimitReport

pytestmark = pytest.mark.usefixtures("environment", "processes")


@pytest.fixture
def make(folder):
    def write(name: str, *sources: str, **metadata):
        cells = [nbformat.v4.new_code_cell(source) for source in sources]
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("# Title"), *cells], metadata=metadata)
        nbformat.write(notebook, folder / name)
        return folder / name

    return write


def outputs(path) -> list[str]:
    cells = nbformat.read(path, as_version=4).cells
    return ["".join(item.get("text", "") for item in cell.outputs) for cell in cells if cell.cell_type == "code"]


def test_the_copy_has_the_outputs_and_the_original_has_not(make, folder, processes):
    path = make("a.ipynb", "x = 6", "print(x * 7)")
    (result,) = execute_notebooks([path], env="small")
    assert (result.status, result.cells, result.executed, result.environment) == ("ok", 2, 2, "small")
    assert result.output == str(folder / "a.executed.ipynb")
    assert outputs(result.output) == ["", "42\n"] and outputs(path) == ["", ""]
    assert result.memory_peak == 3 << 20
    assert not processes.runtime.containers


def test_several_run_side_by_side(make, tmp_path):
    # Each waits for the file of the other: one after the other they would never end.
    wait = (
        "import pathlib, time\n"
        "pathlib.Path({own!r}).touch()\n"
        "while not pathlib.Path({other!r}).exists(): time.sleep(0.01)"
    )
    paths = [
        make("a.ipynb", wait.format(own="a", other="b"), "print('a')"),
        make("b.ipynb", wait.format(own="b", other="a"), "print('b')"),
    ]
    results = execute_notebooks(paths, env="small", jobs=2, output_dir=tmp_path / "out", timeout=60)
    assert [item.status for item in results] == ["ok", "ok"]
    assert outputs(tmp_path / "out/b.ipynb") == ["", "b\n"]


def test_a_failing_cell_is_named_with_the_last_line_of_its_traceback(make):
    path = make("a.ipynb", "1", "1 / 0", "print('not reached')")
    (result,) = execute_notebooks([path], env="small")
    assert result.status == "failed" and result.executed == 2
    assert result.error == "cell 2: ZeroDivisionError: division by zero"
    cell = nbformat.read(result.output, as_version=4).cells[2]
    assert cell.outputs[0].ename == "ZeroDivisionError"


def test_errors_can_be_allowed(make):
    (result,) = execute_notebooks([make("a.ipynb", "1 / 0", "print('on')")], env="small", allow_errors=True)
    assert result.status == "ok" and outputs(result.output)[1] == "on\n"


def test_a_cell_that_takes_too_long(make):
    (result,) = execute_notebooks([make("a.ipynb", "import time", "time.sleep(60)")], env="small", timeout=1)
    assert result.status == "timed out" and result.error == "cell 2: ran longer than 1 s"


def test_a_kernel_that_dies_is_told_with_its_cause(make):
    (result,) = execute_notebooks([make("a.ipynb", "import os; os.kill(os.getpid(), 9)")], env="small")
    assert result.status == "died" and "cell 1: the kernel died: killed by SIGKILL" in result.error


def test_a_kernel_that_does_not_start_is_a_result(make, folder, change_spec):
    path = make("a.ipynb", "1")
    argv = '["/usr/bin/python3", "-c", "raise SystemExit(\'broken\')", "{connection_file}"]'
    change_spec(f'name = "small"\n[kernel]\nargv = {argv}\n')
    (result,) = execute_notebooks([path], env="small")
    assert result.status == "not started" and "| broken" in result.error and result.output == ""


def test_inplace_keeps_the_mode(make):
    path = make("a.ipynb", "print(1)")
    path.chmod(0o640)
    (result,) = execute_notebooks([path], env="small", inplace=True)
    assert result.output == str(path) and outputs(path) == ["1\n"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_a_copy_gets_the_usual_mode(make):
    (result,) = execute_notebooks([make("a.ipynb", "1")], env="small")
    mask = os.umask(0)
    os.umask(mask)
    assert stat.S_IMODE(os.stat(result.output).st_mode) == 0o666 & ~mask


def test_the_folders_spec_is_used_where_none_is_named(make):
    (result,) = execute_notebooks([make("a.ipynb", "1")])
    assert result.environment == "small"


def test_options_reach_the_container(make, processes):
    options = KernelOptions(memory="1G", network="full")
    execute_notebooks([make("a.ipynb", "1")], env="small", options=options)
    config = processes.runtime.removed[0].config
    assert (config.memory, config.network) == (1 << 30, "full")


def test_progress_is_told(make):
    events = []
    execute_notebooks([make("a.ipynb", "1", "2")], env="small", listener=events.append)
    assert [(item.done, item.total) for item in events] == [(0, 2), (1, 2), (2, 2)]


def test_lone_surrogates_do_not_lose_the_notebook(make):
    (result,) = execute_notebooks(
        [make("a.ipynb", "print('\\ud800')", "print('kept')")], env="small", allow_errors=True
    )
    assert outputs(result.output)[1] == "kept\n"


def test_another_language_is_refused_before_anything_runs(make, processes):
    path = make("a.ipynb", "1", kernelspec={"name": "ir", "display_name": "R", "language": "R"})
    with pytest.raises(InputError, match="written in R, but the kernel of small speaks python"):
        execute_notebooks([path], env="small")
    assert not processes.runtime.removed


def test_another_language_is_refused_before_anything_is_built(make, folder, monkeypatch):
    def build(*arguments, **options):
        raise AssertionError("built")

    monkeypatch.setattr(source, "build_target", build)
    first = make("a.ipynb", "1")
    second = make("b.ipynb", "1", kernelspec={"name": "ir", "display_name": "R", "language": "R"})
    (folder / "jupyter-container.toml").write_text('name = "small"\n[packages]\npip = ["numpy"]\n')  # outdated
    with pytest.raises(InputError, match=r"b\.ipynb is written in R, but the kernel of small speaks python"):
        execute_notebooks([first, second])


def test_two_results_of_one_path_are_refused(make, folder, tmp_path):
    path = make("a.ipynb", "1")
    other = tmp_path / "other"
    other.mkdir()
    (other / "a.ipynb").write_bytes(path.read_bytes())
    with pytest.raises(InputError, match="would both be written"):
        execute_notebooks([path, other / "a.ipynb"], env="small", output_dir=tmp_path / "out")


def test_the_original_is_never_replaced_by_chance(make, folder):
    with pytest.raises(InputError, match="--inplace"):
        execute_notebooks([make("a.ipynb", "1")], env="small", output_dir=folder)


@pytest.mark.parametrize(
    ("content", "words"),
    [(None, "cannot read"), ("", "is not a notebook"), ("{}", "is not a notebook"), ("[1]", "is not a notebook")],
)
def test_what_is_no_notebook_is_an_error(folder, content, words):
    path = folder / "x.ipynb"
    if content is not None:
        path.write_text(content)
    with pytest.raises(InputError, match=words):
        read_notebook(path)


def test_an_unknown_environment(make):
    with pytest.raises(NotFoundError, match="no environment named 'nowhere'"):
        execute_notebooks([make("a.ipynb", "1")], env="nowhere")


def test_output_paths(tmp_path):
    notebook = tmp_path / "a.b.ipynb"
    assert output_path(notebook) == tmp_path / "a.b.executed.ipynb"
    assert output_path(notebook, output_dir=tmp_path / "o") == tmp_path / "o/a.b.ipynb"
    assert output_path(notebook, inplace=True) == notebook


def test_limits_that_were_accepted_as_not_enforced_are_told():
    limits = (
        LimitReport(limit="memory", asked=2.0, enforced_by="rlimit", note="each process by itself"),
        LimitReport(limit="cpus", asked=1.0, note="no group"),
        LimitReport(limit="pids", asked=9.0, enforced_by="rlimit", note="in the namespace"),
    )
    container = SimpleNamespace(state=lambda: SimpleNamespace(limits=limits))
    told = asyncio.run(execute._list_unenforced(container, ("memory", "pids")))
    assert told == ("memory: each process by itself",)
