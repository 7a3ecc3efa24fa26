"""R as a kernel: Debian's r-cran-irkernel in a spec's apt list, and nothing else."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import nbformat
import pytest
from jupyter_client.manager import KernelManager

from jupyter_containers.build.ensure import ensure_built
from jupyter_containers.kernels import kernelspec, pool
from jupyter_containers.kernels.execute import execute_notebooks
from jupyter_containers.paths import Paths

pytestmark = [pytest.mark.network, pytest.mark.slow]

CASE = Path(__file__).parents[2] / "cases" / "r-kernel"


@pytest.fixture(scope="module")
def r_environment(user: Paths) -> str:
    # Where test_cases.py builds it: the environment is one.
    folder = user.home / "cases" / "r-kernel"
    if not folder.exists():
        shutil.copytree(CASE, folder)
    return ensure_built(folder, paths=user).record.name


def notebook(folder: Path, *cells: str, language: str = "R") -> Path:
    made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    made.metadata["kernelspec"] = {"name": "ir", "language": language, "display_name": language}
    path = folder / "r.ipynb"
    nbformat.write(made, path)
    return path


def test_cells_of_r_are_executed(r_environment, folder):
    path = notebook(
        folder,
        "cat(R.version$language, stringr::str_to_upper('ok'))",
        "x <- c(1, 2, 3, NA); mean(x, na.rm = TRUE)",
        "summary(lm(dist ~ speed, cars))$r.squared",
        "writeLines(getwd()); file.create('made-by-r')",
        "IRdisplay::display_html('<b>bold</b>')",
    )
    (result,) = execute_notebooks([path], env=r_environment)
    assert (result.status, result.executed) == ("ok", 5), result
    cells = nbformat.read(folder / "r.executed.ipynb", 4).cells
    assert cells[0].outputs[0].text == "R OK"
    assert cells[1].outputs[0].data["text/plain"] == "[1] 2"
    assert cells[2].outputs[0].data["text/plain"].startswith("[1] 0.651")
    assert cells[3].outputs[0].text.strip() == str(folder) and (folder / "made-by-r").exists()
    assert cells[4].outputs[0].data["text/html"] == "<b>bold</b>"


def test_an_error_of_r_is_the_notebooks(r_environment, folder):
    path = notebook(folder, "1 + 1", "stop('no further')")
    (result,) = execute_notebooks([path], env=r_environment)
    assert result.status == "failed" and "no further" in result.error and result.error.startswith("cell 2")


def test_kernels_of_r_wait_in_the_pool(r_environment, folder, monkeypatch):
    monkeypatch.setattr(pool, "QUIET", 3600.0)
    kernelspec.install(r_environment, warm="wait")
    notebook = str(folder / "a \"b\" 'c'.ipynb")
    manager = KernelManager(kernel_name=f"jc-{r_environment}")
    manager.start_kernel(cwd=str(folder), env={**os.environ, "JPY_SESSION_NAME": notebook})
    try:
        assert manager.provisioner.container.state().start.startswith("pool: ")
        client = manager.client()
        client.start_channels()
        client.wait_for_ready(timeout=60)
        texts: list[str] = []
        reply = client.execute_interactive(
            "cat(Sys.getenv('JPY_SESSION_NAME'), getwd(), length(ls()), sep = '\\n')", timeout=60,
            output_hook=lambda message: texts.append(message["content"].get("text", "")),
        )  # fmt: skip
        client.stop_channels()
        assert (reply["content"]["status"], reply["content"]["execution_count"]) == ("ok", 1)
        assert "".join(texts).splitlines() == [notebook, str(folder), "0"]
    finally:
        manager.shutdown_kernel(now=True)
        kernelspec.remove(r_environment)
