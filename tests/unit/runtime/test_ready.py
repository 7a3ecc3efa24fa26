"""What is kept ready: how much of it, and for how long."""

from __future__ import annotations

import threading
import time

import pytest

from jupyter_containers.runtime.ready import Bounds, Shelf


class Thing:
    def __init__(self, name: str = "env", image: str = "a", *, size: int = 10, number: int = 1) -> None:
        self.subject = (name, image)
        self.used = time.monotonic()
        self.size, self.number = size, number
        self.free, self.failed = True, ""
        self.ended = threading.Event()

    def count(self) -> int:
        return 0 if self.failed else self.number

    def is_free(self) -> bool:
        return self.free

    def memory(self) -> int:
        return self.size

    def give_up(self, reason: str) -> None:
        self.failed = reason
        self.close()

    def close(self) -> None:
        self.ended.set()


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


def put(shelf: Shelf, key: str, thing: Thing) -> Thing:
    found, is_new = shelf.place(key, lambda: thing)
    assert is_new and found is thing
    return thing


def test_there_is_one_of_a_key(shelf):
    first = put(shelf, "a", Thing())
    again, is_new = shelf.place("a", Thing)
    assert again is first and not is_new
    shelf.drop("a", first)
    assert shelf.find("a") is None
    assert put(shelf, "a", Thing()) is not first


def test_of_too_many_the_longest_unused_goes(shelf):
    shelf.bounds = Bounds(most=3)
    first, second = put(shelf, "a", Thing("x")), put(shelf, "b", Thing("y"))
    first.used = second.used + 1
    put(shelf, "c", Thing("z", number=2))
    assert second.ended.is_set() and not first.ended.is_set()
    assert shelf.find("b") is None and shelf.find("a") is first


def test_what_is_in_use_stays(shelf):
    shelf.bounds = Bounds(most=1)
    busy = put(shelf, "a", Thing("x"))
    busy.free = False
    put(shelf, "b", Thing("y"))
    assert shelf.find("a") is busy and not busy.ended.is_set()


def test_what_failed_takes_no_place(shelf):
    shelf.bounds = Bounds(most=1)
    put(shelf, "a", Thing("x")).give_up("no")
    put(shelf, "b", Thing("y"))
    assert shelf.find("a") is not None


def test_what_is_of_an_image_before_goes(shelf):
    old, other = put(shelf, "a", Thing("env", "one")), put(shelf, "b", Thing("other", "one"))
    put(shelf, "c", Thing("env", "two"))
    assert old.ended.is_set() and not other.ended.is_set()


def test_together_they_hold_what_they_may(shelf):
    shelf.bounds = Bounds(memory=25)
    first, second, third = (put(shelf, key, Thing(key)) for key in "abc")
    first.used = third.used + 1
    shelf.weigh()
    assert [each.ended.is_set() for each in (first, second, third)] == [False, True, False]
    assert "0 MiB" in second.failed and shelf.find("b") is second
    shelf.weigh()
    assert not first.ended.is_set()


def test_what_nobody_asks_for_goes_by_itself(shelf):
    shelf.bounds = Bounds(idle=0.05)
    thing, busy = Thing("x"), Thing("y")
    busy.free = False
    put(shelf, "b", busy)
    put(shelf, "a", thing)
    assert thing.ended.wait(30)
    assert shelf.find("a") is None and shelf.find("b") is busy
    busy.free = True
    assert busy.ended.wait(30)


def test_all_of_it_can_be_ended(shelf):
    things = [put(shelf, key, Thing(key)) for key in "abc"]
    shelf.clear()
    assert all(each.ended.is_set() for each in things) and shelf.find("a") is None
