"""What is to go from a store: by age, or by as much as is over a bound, the least recently used first.

In this order, of which a bound takes no more than it needs:

1. images without a name, and layers and cached steps that no image has;
2. caches: downloads, prepared packages, uv's cache, Dockerfiles' cache mounts;
3. images with a name, where neither a pin, nor a container, nor a process keeps them.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping

import msgspec

from .caches import CacheEntry, list_entries
from .gc import collect
from .store import Store
from .survey import ImageEntry, Survey, survey
from .usage import count_store, entry_name, layer_name

__all__ = ["Plan", "Pruned", "make_plan", "prune"]

_WORTH = 4
"""A package goes from the cache where at least this part of it is free then."""


class Plan(msgspec.Struct, frozen=True):
    """What is to go."""

    since: float
    """What nothing refers to goes where it was last used up to then (seconds since the epoch)."""
    given_up: Mapping[str, float] = {}
    """Images with a name, and when each was last used."""
    cached: tuple[CacheEntry, ...] = ()
    total: int | None = None
    """Bytes of the store before, where they were counted."""
    left: int | None = None
    """Bytes that are expected to be left."""


class Pruned(msgspec.Struct, frozen=True):
    """What was done, or would be."""

    items: tuple[str, ...]
    """A line for each thing."""
    size: int
    """Bytes on disk that are free now."""
    left: int | None = None
    """Bytes that the store holds now, where a bound was given."""


def prune(
    store: Store,
    *,
    unused_for: float = 0.0,
    everything: bool = False,
    keep_bytes: int | None = None,
    dry_run: bool = False,
) -> Pruned:
    """Remove what was not of use within *unused_for* seconds: with *everything* all that can be had again, else what
    nothing refers to. With *keep_bytes* only as much of all that as the store holds more than that.

    Never what is pinned, or in use.
    """
    plan = make_plan(store, unused_for=unused_for, everything=everything, keep_bytes=keep_bytes)
    done = collect(store, since=plan.since, given_up=plan.given_up, cached=plan.cached, dry_run=dry_run)
    left = plan.left if dry_run or plan.total is None else plan.total - done.size
    return Pruned(done.items, done.size, left)


def make_plan(store: Store, *, unused_for: float, everything: bool, keep_bytes: int | None) -> Plan:
    """Look at the store and choose."""
    limit = time.time() - unused_for
    if keep_bytes is not None:
        return _Fit(store, limit, keep_bytes).plan()
    if not everything:
        return Plan(limit)
    given_up = {each.record.digest: each.last_used for each in _free_images(survey(store), limit)}
    return Plan(limit, given_up, tuple(entry for entry in list_entries(store) if entry.last_used <= limit))


def _free_images(found: Survey, limit: float) -> list[ImageEntry]:
    """Those with a name that may be given up, the least recently used first."""
    free = (each for each in found.images if each.references and not each.pinned and not each.held)
    return sorted((each for each in free if each.last_used <= limit), key=lambda each: each.last_used)


class _Fit:
    """How the store comes to hold no more than *keep_bytes*, with what was last used before *limit*."""

    def __init__(self, store: Store, limit: float, keep_bytes: int) -> None:
        self._limit, self._keep_bytes = limit, keep_bytes
        self._found = survey(store)
        self._entries = sorted(list_entries(store), key=lambda entry: entry.last_used)
        self._census = count_store(store, entries=self._entries)
        self._total = self._left = self._census.total()

    def plan(self) -> Plan:
        since = self._unneeded()
        cached = self._cached() if self._is_over else []
        given_up = self._images() if self._is_over else {}
        # What an image that goes has left to its steps goes as well.
        return Plan(self._limit if given_up else since, given_up, tuple(cached), self._total, self._left)

    @property
    def _is_over(self) -> bool:
        return self._left > self._keep_bytes

    def _unneeded(self) -> float:
        """The time up to which goes what nothing refers to."""
        kept = {diff_id for each in self._found.images if each.record.digest in self._found.kept
                for diff_id in each.record.layers} | self._found.held  # fmt: skip
        last_used: dict[str, float] = {}
        uses = [(step.record.diff_id, step.last_used) for step in self._found.steps]
        uses += [(diff_id, each.last_used) for each in self._found.images for diff_id in each.record.layers]
        for diff_id, time_ in uses:
            if diff_id not in kept:
                last_used[diff_id] = max(time_, last_used.get(diff_id, 0.0))
        since = 0.0
        for diff_id, used in sorted(last_used.items(), key=lambda item: item[1]):
            if not self._is_over or used > self._limit:
                break
            self._left -= self._census.drop(layer_name(diff_id))
            since = used
        return since

    def _cached(self) -> list[CacheEntry]:
        gone = []
        for entry in self._entries:
            if not self._is_over or entry.last_used > self._limit:
                break
            name = [entry_name(entry)]
            if self._census.own(name) * _WORTH < self._census.size(name):
                continue  # layers have most of it, which stays with them
            self._left -= self._census.drop(entry_name(entry))
            gone.append(entry)
        return gone

    def _images(self) -> dict[str, float]:
        users = Counter(
            diff_id
            for each in self._found.images
            if each.record.digest in self._found.kept
            for diff_id in set(each.record.layers)
        )
        users.update(self._found.held)
        users.update({step.record.diff_id for step in self._found.steps if step.last_used > self._limit})
        given_up: dict[str, float] = {}
        for each in _free_images(self._found, self._limit):
            if not self._is_over:
                break
            given_up[each.record.digest] = each.last_used
            users.subtract(set(each.record.layers))
            self._left -= sum(
                self._census.drop(layer_name(diff_id)) for diff_id in set(each.record.layers) if not users[diff_id]
            )
        return given_up
