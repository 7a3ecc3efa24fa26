"""The conformance tests of the Jupyter project, against a kernel in a container."""

from __future__ import annotations

import jupyter_kernel_test
import pytest

from jupyter_containers.kernels import kernelspec

pytestmark = [pytest.mark.network, pytest.mark.slow]


@pytest.fixture(scope="class", autouse=True)
def in_a_folder(request, environment, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("suite"))
        kernelspec.install(environment, warm=request.cls.warm)
        yield
        kernelspec.install(environment)


class TestContainerKernel(jupyter_kernel_test.KernelTests):
    warm = "off"
    kernel_name = "jc-kernels"
    language_name = "python"
    file_extension = ".py"
    code_hello_world = "print('hello, world')"
    code_stderr = "import sys; print('test', file=sys.stderr)"
    completion_samples = ({"text": "zi", "matches": {"zip"}},)
    complete_code_samples = ("1", "print('hello, world')", "def f(x):\n  return x*2\n\n\n")
    incomplete_code_samples = ("print('''hello", "def f(x):\n  x*2")
    invalid_code_samples = ("import = 7q",)
    code_page_something = "zip?"
    code_generate_error = "raise"
    code_execute_result = (
        {"code": "1+2+3", "result": "6"},
        {"code": "[n*n for n in range(1, 4)]", "result": "[1, 4, 9]"},
    )
    code_display_data = (
        {"code": "from IPython.display import HTML, display; display(HTML('<b>test</b>'))", "mime": "text/html"},
        {"code": "from IPython.display import Math, display; display(Math('\\\\frac{1}{2}'))", "mime": "text/latex"},
    )
    code_history_pattern = "1?2*"
    supported_history_operations = ("tail", "search")  # as in ipykernel's own tests
    code_inspect_sample = "zip"
    code_clear_output = "from IPython.display import clear_output; clear_output()"


class TestForkedKernel(TestContainerKernel):
    """A kernel that was forked can't be told from a fresh one."""

    warm = "wait"

    def test_it_is_a_fork(self):
        assert self.km.provisioner.container.state().start == "fork"
