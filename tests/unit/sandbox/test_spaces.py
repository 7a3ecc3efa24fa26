from __future__ import annotations

from jupyter_containers.sandbox.spaces import needed_mounts

LINE = "22 1 0:21 / {} rw,relatime shared:1 - ext4 /dev/vda rw"


def needed(*places: str) -> list[str]:
    text = "\n".join(LINE.format(place) for place in places)
    return needed_mounts(text.encode(), ("/home/me/venv/bin/python", "/data/my venv/lib/jupyter_containers"))


def test_the_systems_folders_and_the_programs_are_there() -> None:
    places = ["/", "/dev", "/proc", "/sys", "/usr", "/dev/pts"]
    assert needed(*places) == places


def test_what_programs_lie_on_is_there() -> None:
    assert needed("/", "/home", "/home/me", "/home/you", "/home/me/venv/bin/python/x") == ["/", "/home", "/home/me"]
    assert needed("/", "/data/my\\040venv") == ["/", "/data/my venv"]
    assert needed("/", "/usr/local/lib") == ["/", "/usr/local/lib"]


def test_the_rest_is_not() -> None:
    others = ("/sys/fs/cgroup", "/dev/shm", "/run/user/1000", "/var/lib/docker/overlay2/1/merged", "/snap/a/1", "/us")
    assert needed("/", *others) == ["/"]


def test_outer_mounts_come_first_and_each_once() -> None:
    wanted = ["/", "/dev", "/home", "/dev/pts", "/home/me"]
    assert needed("/home/me", "/home", "/dev/pts", "/dev", "/dev/pts", "/") == wanted
