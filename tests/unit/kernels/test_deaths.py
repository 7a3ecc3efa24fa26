"""A kernel that dies: why is told, in words that its notebook can show."""

from __future__ import annotations

import pytest

from jupyter_containers.kernels.deaths import describe_death, forget, listen, tell
from jupyter_containers.runtime.base import ContainerState

LABELS = {
    "org.jupyter-containers.environment": "analysis",
    "org.jupyter-containers.kernel-id": "k-1",
    "org.jupyter-containers.notebook": "/work/a.ipynb",
}


def state(**fields):
    return ContainerState(
        id="0" * 12, name="calm-owl", image="sha256:0", image_name="analysis", kind="kernel", argv=("python",),
        status="exited", created_at=1.0, ended_at=2.0, labels=LABELS, **fields,
    )  # fmt: skip


def test_for_want_of_memory():
    cause = "out of memory (limit 512 MiB, peak 511.9 MiB)"
    death = describe_death(state(exit_code=137, oom=True, cause=cause, memory_limit=512 << 20, memory_peak=1))
    assert death.message == f"the kernel has died: {cause}"
    assert "resources.memory" in death.hint
    assert (death.kernel_id, death.environment, death.notebook) == ("k-1", "analysis", "/work/a.ipynb")
    assert (death.oom, death.memory_limit, death.memory_peak) == (True, 512 << 20, 1)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"exit_code": 1, "cause": "exit code 1"}, "the kernel has died: exit code 1"),
        ({"exit_code": 139, "cause": "killed by SIGSEGV"}, "the kernel has died: killed by SIGSEGV"),
    ],
)
def test_for_another_reason(fields, message):
    death = describe_death(state(**fields))
    assert (death.message, death.oom, death.hint) == (message, False, "")


def test_who_listens_is_told():
    heard = []
    death = describe_death(state(exit_code=1))
    listen(heard.append)
    tell(death)
    forget(heard.append)
    forget(heard.append)
    tell(death)
    assert heard == [death]
