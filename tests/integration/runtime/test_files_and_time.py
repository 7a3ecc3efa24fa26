"""Limits of open files and of time, on containers that their owner keeps and on detached ones."""

from __future__ import annotations

import pytest


@pytest.fixture(params=["owned", "detached"])
def kept_by(request) -> dict[str, bool]:
    return {"die_with_parent": request.param == "owned"}


@pytest.mark.parametrize("files", [64, 1000])
def test_open_files(house, files):
    code, said = house.run("ulimit -n; ulimit -Hn", files=files)
    assert (code, said.split()) == (0, [str(files)] * 2)


def test_more_files_than_the_host_allows(house):
    container = house.start("ulimit -n", files=1 << 30)
    assert container.wait(20) == 0
    (row,) = container.state().limits
    assert (row.limit, row.enforced_by) == ("files", "rlimit")
    assert container.logs().strip() == f"{row.asked:.0f}"
    container.remove()


def test_its_time_is_over(house, kept_by):
    other = house.start("sleep 1000", time=1000, **kept_by)
    container = house.start("sleep 1000", time=1, **kept_by)
    paused = house.start("sleep 1000", time=1, **kept_by)
    paused.pause()
    for each in (container, paused):
        assert each.wait(20) == 137
        assert each.state().cause == "out of time (limit 1s)"
        each.remove()
    assert other.poll() is None
    other.remove(force=True)


def test_it_ends_before_that(house, kept_by):
    container = house.start("sleep 0.2", time=1, **kept_by)
    assert container.wait(20) == 0
    assert container.state().cause == ""
    container.start()
    assert container.wait(20) == 0
    container.remove()
