from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from jupyter_containers.errors import ConflictError, NotFoundError, ReferenceError
from jupyter_containers.runtime.base import ContainerConfig
from jupyter_containers.runtime.folder import Folder, Identity, create_folder, find_folder, list_folders, scope
from jupyter_containers.runtime.names import check_container_name, make_name


def config(**fields) -> ContainerConfig:
    return ContainerConfig(image="sha256:" + "0" * 64, argv=("true",), **fields)


def ended_process() -> Identity:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    identity = Identity.of(process.pid)
    assert identity.is_alive()
    process.communicate(b"\n")
    return identity


def test_created_found_and_listed(tmp_path: Path) -> None:
    folder = create_folder(tmp_path, config(name="calm-owl", labels={"a": "b"}))
    assert folder.config().name == "calm-owl" and folder.upper.is_dir() and folder.work.is_dir()
    for reference in (folder.id, folder.id[:4], "calm-owl"):
        assert find_folder(tmp_path, reference).id == folder.id
    assert [found.id for found in list_folders(tmp_path)] == [folder.id]
    state = folder.state()
    assert (state.status, state.name, state.labels, state.pid) == ("created", "calm-owl", {"a": "b"}, None)


def test_a_name_is_made_up_and_is_ones_alone(tmp_path: Path) -> None:
    made = create_folder(tmp_path, config()).config().name
    assert check_container_name(made) == made and "-" in made
    with pytest.raises(ConflictError, match=made):
        create_folder(tmp_path, config(name=made))
    assert len(list_folders(tmp_path)) == 1


def test_a_name_that_a_crash_left_can_be_taken(tmp_path: Path) -> None:
    (tmp_path / "names").mkdir()
    (tmp_path / "names" / "left").symlink_to("0123456789ab")
    folder = create_folder(tmp_path, config(name="left"))
    assert find_folder(tmp_path, "left").id == folder.id


@pytest.mark.parametrize("reference", ["", "nobody", "../x", ".", "names", "0" * 12])
def test_what_is_not_there(tmp_path: Path, reference: str) -> None:
    create_folder(tmp_path, config())
    with pytest.raises(NotFoundError):
        find_folder(tmp_path, reference)


def test_an_ambiguous_prefix_names_what_it_could_mean(tmp_path: Path) -> None:
    folders = [create_folder(tmp_path, config()) for _ in range(20)]
    first = {folder.id[0] for folder in folders}
    shared = next(letter for letter in first if sum(folder.id[0] == letter for folder in folders) > 1)
    with pytest.raises(NotFoundError, match="several"):
        find_folder(tmp_path, shared)


def test_the_truth_is_the_process_and_not_the_file(tmp_path: Path) -> None:
    folder = create_folder(tmp_path, config())
    alive = Identity.of(os.getpid())
    running = msgspec.structs.replace(folder.kept(), status="running", process=alive, keeper=alive, pid=os.getpid())
    folder.keep(running)
    assert folder.state().status == "running" and not folder.is_abandoned(running)
    ended = msgspec.structs.replace(running, process=ended_process(), keeper=ended_process())
    folder.keep(ended)
    state = folder.state()
    assert (state.status, state.pid) == ("exited", None) and "whoever kept it was killed" in state.cause
    assert folder.is_abandoned(ended)


def test_a_pid_that_is_used_again_is_another_process() -> None:
    mine = Identity.of(os.getpid())
    assert mine.is_alive() and not Identity(mine.pid, mine.start + 1).is_alive()


def test_another_hosts_container_is_judged_by_its_lock_alone(tmp_path: Path) -> None:
    folder = create_folder(tmp_path, config())
    alive = Identity.of(os.getpid())
    elsewhere = msgspec.structs.replace(
        folder.kept(), status="running", process=alive, keeper=alive, scope=scope() + "-elsewhere"
    )
    folder.keep(elsewhere)
    assert folder.is_abandoned(elsewhere) and not folder.is_running(elsewhere)
    held = folder.hold()
    assert not folder.is_abandoned(elsewhere) and folder.is_running(elsewhere)
    with pytest.raises(ConflictError):
        folder.hold()
    os.close(held)


def test_a_folder_that_goes_away_is_not_found(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "0123456789ab")
    for action in (folder.kept, folder.config, folder.state, folder.hold):
        with pytest.raises(NotFoundError):
            action()


@pytest.mark.parametrize("name", ["a b", "-a", "", "a/b", "x" * 64, ".", "ä"])
def test_names_that_are_none(name: str) -> None:
    with pytest.raises(ReferenceError):
        check_container_name(name)


def test_names_stay_free_when_words_grow_scarce() -> None:
    taken: set[str] = set()
    for _ in range(50):
        taken.add(make_name(taken.__contains__))
    assert len(taken) == 50
    assert make_name(lambda name: name.count("-") < 2).count("-") == 2
