"""For how long a container that may outlive its owner waits for another one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from jupyter_containers.runtime import ownership
from jupyter_containers.runtime.ownership import OwnerWatch

OWN = "from pathlib import Path; from jupyter_containers.runtime.ownership import take; take(Path({folder!r}))"


@pytest.fixture
def left(tmp_path: Path) -> Path:
    """The folder of a container whose owner has ended."""
    subprocess.run([sys.executable, "-c", OWN.format(folder=str(tmp_path))], check=True)
    assert ownership.read_owner(tmp_path) != (0, 0)
    return tmp_path


def test_a_kernel_waits_for_the_next_owner(left: Path) -> None:
    watch = OwnerWatch(left, 600)
    assert not watch.passed()
    assert ownership.take(left)
    assert not watch.is_alone()


def test_what_nobody_needed_yet_waits_for_none_also_where_its_owner_ended_while_it_was_started(left: Path) -> None:
    ownership.mark_ahead(left)
    watch = OwnerWatch(left, 600)
    assert watch.due() == 0
    assert watch.passed()
