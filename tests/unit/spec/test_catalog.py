"""Named environments: one name, one spec, whoever writes at the same time."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from jupyter_containers.errors import ConflictError, NotFoundError, ReferenceError
from jupyter_containers.paths import Paths
from jupyter_containers.spec.catalog import Record, find_record, forget, list_records, record


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths(tmp_path / "home", tmp_path / "run").made()


def entry(folder: Path, name: str = "a", **fields: object) -> Record:
    folder.mkdir(exist_ok=True)
    return Record(name=name, display_name=name, spec_file=str(folder), **fields)


def test_records_are_kept_and_listed_by_name(paths: Paths, tmp_path: Path) -> None:
    b, a = entry(tmp_path / "b", "b", image="sha256:1", built_at=1.5), entry(tmp_path / "a", "a")
    record(paths, b)
    record(paths, a)

    assert list_records(paths) == (a, b)
    assert find_record(paths, "b") == b


def test_the_same_spec_may_write_again(paths: Paths, tmp_path: Path) -> None:
    record(paths, entry(tmp_path / "a"))
    newer = entry(tmp_path / "a", image="sha256:2")
    record(paths, newer)

    assert list_records(paths) == (newer,)


def test_a_folder_and_the_file_in_it_are_one_spec(paths: Paths, tmp_path: Path) -> None:
    record(paths, entry(tmp_path / "a"))
    (tmp_path / "a" / "jupyter-container.toml").write_text("")
    by_file = Record(name="a", display_name="a", spec_file=str(tmp_path / "a" / "jupyter-container.toml"))
    record(paths, by_file)

    assert find_record(paths, "a") == by_file


def test_two_environments_of_one_name(paths: Paths, tmp_path: Path) -> None:
    first = entry(tmp_path / "first")
    record(paths, first)

    with pytest.raises(ConflictError, match="belongs to") as caught:
        record(paths, entry(tmp_path / "second"))

    assert str(tmp_path / "first") in caught.value.message
    assert f"`jupyter containers build --name a-2 {tmp_path / 'second'}`" in caught.value.hint
    record(paths, entry(tmp_path / "second", "a-2", renamed=True))
    assert {item.name for item in list_records(paths)} == {"a", "a-2"}
    with pytest.raises(ConflictError) as caught:
        record(paths, entry(tmp_path / "third"))
    assert "--name a-3 " in caught.value.hint
    forget(paths, "a-2")
    assert list_records(paths) == (first,)


def test_an_image_without_a_spec_keeps_its_name(paths: Paths, tmp_path: Path) -> None:
    record(paths, Record(name="a", display_name="a", spec_file="", image="sha256:1"))

    with pytest.raises(ConflictError, match="an image without a spec"):
        record(paths, entry(tmp_path / "a"))


def test_the_name_of_a_spec_that_is_gone_is_free(paths: Paths, tmp_path: Path) -> None:
    record(paths, entry(tmp_path / "first"))
    (tmp_path / "first").rmdir()
    second = entry(tmp_path / "second")
    record(paths, second)

    assert find_record(paths, "a") == second


def test_forgetting(paths: Paths, tmp_path: Path) -> None:
    kept = entry(tmp_path / "a")
    record(paths, kept)

    assert forget(paths, "a") == kept
    with pytest.raises(NotFoundError, match="none yet"):
        forget(paths, "a")


@pytest.mark.parametrize("name", ["../../etc/passwd", "A", "", "a/b", ".lock"])
def test_names_are_no_paths(paths: Paths, tmp_path: Path, name: str) -> None:
    with pytest.raises(NotFoundError):
        find_record(paths, name)
    with pytest.raises(ReferenceError):
        record(paths, entry(tmp_path / "x", name))


def test_a_damaged_record_hides_no_other(paths: Paths, tmp_path: Path) -> None:
    record(paths, entry(tmp_path / "a"))
    (paths.environments / "b.json").write_text("{")

    assert [item.name for item in list_records(paths)] == ["a"]


RACE = """
import sys
from pathlib import Path
from jupyter_containers.errors import ConflictError
from jupyter_containers.paths import Paths
from jupyter_containers.spec.catalog import Record, record
home, own = Path(sys.argv[1]), sys.argv[2]
paths = Paths(home / "home", home / "run")
won = []
sys.stdin.readline()
for number in range(40):
    try:
        record(paths, Record(name=f"n{number}", display_name=own, spec_file=own))
        won.append(number)
    except ConflictError:
        pass
print(*won)
"""


def test_two_processes_never_both_get_a_name(paths: Paths, tmp_path: Path) -> None:
    folders = [tmp_path / "one", tmp_path / "two"]
    runs = []
    for folder in folders:
        folder.mkdir()
        command = [sys.executable, "-c", RACE, str(tmp_path), str(folder)]
        runs.append(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
    for run in runs:
        assert run.stdin is not None
        run.stdin.write("go\n")
        run.stdin.flush()
    won = [{int(word) for word in run.communicate()[0].split()} for run in runs]

    assert [run.returncode for run in runs] == [0, 0]
    assert won[0] | won[1] == set(range(40))
    assert not won[0] & won[1]
    for item in list_records(paths):
        assert (int(item.name[1:]) in won[0]) == (item.spec_file == str(folders[0]))
    assert not list(paths.environments.glob(".record-*"))
