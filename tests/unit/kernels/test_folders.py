from __future__ import annotations

import socket
from pathlib import Path

import pytest

from jupyter_containers.errors import InputError
from jupyter_containers.kernels.folders import SYSTEM, Guarded, check_mount


@pytest.fixture
def guarded(tmp_path) -> Guarded:
    home = tmp_path / "home" / "ada"
    own, run, jupyter = home / ".local/share/jupyter/containers", tmp_path / "run" / "jc", tmp_path / "jupyter-run"
    for folder in (own / "store", run / "k", jupyter, home / "work", home / ".ssh"):
        folder.mkdir(parents=True)
    empty = run / "empty"
    empty.mkdir()
    return Guarded(home, (own, run, jupyter), empty)


def test_a_folder_of_its_own_is_mounted(guarded):
    work = guarded.home / "work"
    assert check_mount(work, guarded, what="the notebook's folder") == work


@pytest.mark.parametrize("name", ["/", "/etc", "/proc/self", "/dev/shm", "/sys/kernel"])
def test_system_folders_are_refused(guarded, name):
    with pytest.raises(InputError, match="system folder"):
        check_mount(Path(name), guarded, what="the notebook's folder", allow_home=True)


def test_every_system_folder_is_refused(guarded):
    for folder in SYSTEM:
        if folder.exists():
            with pytest.raises(InputError):
                check_mount(folder, guarded, what="the notebook's folder", allow_home=True)


@pytest.mark.parametrize("above", [".", ".."])
def test_the_home_needs_consent(guarded, above):
    with pytest.raises(InputError, match="home folder") as error:
        check_mount(guarded.home / above, guarded, what="the notebook's folder")
    assert "mount_home" in error.value.hint


def test_consent_to_the_home_does_not_show_the_store(guarded):
    real = check_mount(guarded.home, guarded, what="the notebook's folder", allow_home=True)
    assert guarded.inside(real) == (guarded.private[0],)


@pytest.mark.parametrize("place", [0, 1, 2])
def test_private_folders_and_what_is_in_them_are_refused_with_consent_too(guarded, place):
    inside = guarded.private[place] / "x"
    inside.mkdir()
    for folder in (guarded.private[place], inside):
        with pytest.raises(InputError, match="own files"):
            check_mount(folder, guarded, what="the notebook's folder", allow_home=True)


def test_a_link_is_judged_by_where_it_leads(guarded, tmp_path):
    link = tmp_path / "innocent"
    link.symlink_to(guarded.home)
    with pytest.raises(InputError, match="home folder"):
        check_mount(link, guarded, what="the notebook's folder")
    link.unlink()
    link.symlink_to(link)
    with pytest.raises(InputError, match="can't be reached"):
        check_mount(link, guarded, what="the notebook's folder")


def test_hidden_folders_of_the_home_are_not_for_foreign_specs(guarded):
    keys = guarded.home / ".ssh"
    with pytest.raises(InputError, match="hidden folders"):
        check_mount(keys, guarded, what="the mount", foreign=True)
    assert check_mount(keys, guarded, what="the mount", foreign=True, allow_home=True) == keys


def test_a_missing_folder_is_named(guarded):
    with pytest.raises(InputError, match=r"the mount .*/nowhere does not exist"):
        check_mount(guarded.home / "nowhere", guarded, what="the mount")


@pytest.mark.parametrize("place", ["/etc/hostname", "/proc/version", "/run/lock", "/etc/ssl"])
def test_a_spec_does_not_get_the_hosts_settings_and_sockets(guarded, place):
    if not Path(place).exists():
        pytest.skip(f"no {place} here")
    with pytest.raises(InputError):
        check_mount(Path(place), guarded, what="the mount", foreign=True)


def test_a_spec_does_not_get_a_socket(guarded):
    place = guarded.home / "work" / "engine.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(place))
        with pytest.raises(InputError, match="socket"):
            check_mount(place, guarded, what="the mount", foreign=True)
