"""The conformance tests of the Jupyter project, against a kernel in a container."""

from __future__ import annotations

import conformance
import pytest
from startkinds import KINDS

from jupyter_containers.kernels import kernelspec

pytestmark = [pytest.mark.network, pytest.mark.slow]


@pytest.fixture(scope="class", autouse=True)
def in_a_folder(request, environment, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("suite"))
        kernelspec.install(environment, **KINDS[request.cls.kind])
        yield
        kernelspec.install(environment)


class TestContainerKernel(conformance.PythonKernelTests):
    kind = "fresh"
    kernel_name = "jc-kernels"


class TestForkedKernel(TestContainerKernel):
    """A kernel that was forked can't be told from a fresh one."""

    kind = "fork"

    def test_it_is_a_fork(self):
        assert self.km.provisioner.container.state().start == "fork"


class TestPooledKernel(TestContainerKernel):
    """Nor can one that was there before it was asked for."""

    kind = "pool"

    def test_it_is_of_the_pool(self):
        assert self.km.provisioner.container.state().start.startswith("pool: ")
