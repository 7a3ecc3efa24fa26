"""What tests of several rooms share: one home for real builds, and one small environment in it."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from jupyter_containers.paths import Paths

if TYPE_CHECKING:
    from jupyter_containers.build.ensure import Built

# No test fails because the machine is slow: a property's example has 200 ms by default.
settings.register_profile("jupyter-containers", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("jupyter-containers")

SMALL_SPEC = """\
name = "small"
display-name = "Small"

[packages]
pip = ["six"]
"""


@pytest.fixture(scope="session")
def shared_home(request: pytest.FixtureRequest) -> Iterator[Paths]:
    """A home that outlives the run, so that packages are downloaded, and steps built, once.

    It lies in pytest's cache folder, or where JUPYTER_CONTAINERS_TEST_HOME says. Tests give their environments
    names of their own, and do not collect garbage in it.
    """
    given = os.environ.get("JUPYTER_CONTAINERS_TEST_HOME")
    if given:
        home = Path(given)
    else:
        cache = getattr(request.config, "cache", None)  # none with -p no:cacheprovider
        home = Path(cache.mkdir("home")) if cache else Path(f"/var/tmp/jupyter-containers-test-{os.geteuid()}")
    # Sockets lie below it: short, and not in the home.
    runtime = Path(tempfile.mkdtemp(prefix="jc-", dir="/tmp"))
    try:
        yield Paths(home.absolute(), runtime).made()
    finally:
        shutil.rmtree(runtime, ignore_errors=True)


@pytest.fixture(scope="session")
def small_environment(shared_home: Paths) -> Built:
    """A Debian base with Python, ipykernel and six, built and known as ``small``. Needs the archives once."""
    from jupyter_containers.build.ensure import ensure_built

    # The folder stays the same, so that the second run finds the environment ready.
    folder = shared_home.home / "specs" / "small"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "jupyter-container.toml").write_text(SMALL_SPEC)
    return ensure_built(folder, paths=shared_home)
