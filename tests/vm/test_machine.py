"""The tests of this folder, in a machine of their own. It takes some minutes, so it is for who asks for it."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

import pytest

SPEC = importlib.util.spec_from_file_location("boot", Path(__file__).with_name("boot.py"))
assert SPEC is not None and SPEC.loader is not None
boot = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(boot)

WANTED = "JUPYTER_CONTAINERS_TEST_MACHINE"
INSTALL = f"apt-get install {' '.join(sorted(set(boot.PROGRAMS.values())))}"
pytestmark = [
    pytest.mark.network,
    pytest.mark.slow,
    pytest.mark.timeout(boot.SECONDS + 600),
    pytest.mark.skipif(not os.environ.get(WANTED), reason=f"takes minutes: `python tests/vm/boot.py`, or {WANTED}=1"),
    pytest.mark.skipif(bool(boot.missing_programs()), reason=f"needs a machine to boot: {INSTALL}"),
]


def test_limits_below_systemd_on_control_groups_v2() -> None:
    assert boot.main(boot.default_folder()) == 0
