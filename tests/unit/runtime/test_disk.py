from __future__ import annotations

import os
from pathlib import Path

from jupyter_containers.runtime.disk import DiskWatch, measure


def test_files_count_with_the_blocks_they_occupy(tmp_path: Path) -> None:
    assert measure(str(tmp_path)) == 0
    (tmp_path / "deep" / "er").mkdir(parents=True)
    (tmp_path / "deep" / "er" / "file").write_bytes(b"x" * 100_000)
    first = measure(str(tmp_path))
    assert 100_000 <= first < 200_000
    os.link(tmp_path / "deep" / "er" / "file", tmp_path / "again")
    assert measure(str(tmp_path)) == first


def test_links_are_not_followed_and_absence_is_empty(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/usr")
    (tmp_path / "loop").symlink_to(".")
    assert measure(str(tmp_path)) < 10_000
    assert measure(str(tmp_path / "nothing")) == 0
    assert measure(str(tmp_path / "link")) == 0


def test_deep_folders_do_not_run_out_of_descriptors(tmp_path: Path) -> None:
    here = os.open(tmp_path, os.O_RDONLY)
    for _ in range(600):
        os.mkdir("d", dir_fd=here)
        inner = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = inner
    os.close(here)
    before = len(os.listdir("/proc/self/fd"))
    assert measure(str(tmp_path)) > 0
    assert len(os.listdir("/proc/self/fd")) <= before  # threads of other tests may close theirs


def test_a_watch_tells_once_it_is_passed_and_rests_in_between(tmp_path: Path) -> None:
    watch = DiskWatch(str(tmp_path), 50_000)
    assert watch.due() == 0 and not watch.passed()
    assert watch.due() > 0
    (tmp_path / "file").write_bytes(b"x" * 100_000)
    assert not watch.passed()  # it is not time yet
    assert DiskWatch(str(tmp_path), 50_000).passed()
