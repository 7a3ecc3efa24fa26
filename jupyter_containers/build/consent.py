"""What an automatic build may do: one that a kernel's start asks for, and not the user.

A kernel can write all that its environment is built from. Whatever it writes there, a build that starts by itself runs
no code, and reads no lock, that the user's own build did not (:mod:`..spec.grants` keeps the hashes), and resolves anew
only what names packages of the archives alone. What is left to it is what most changes are: other packages, as wheels
and Debian packages of the same archives.

Code is: run steps, which have network, with everything below them in the image; packages built from source; a
repository that is cloned; a base that is not Debian's, whose interpreter compiles byte code.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence

import msgspec

from ..image.store import Store
from ..lock.model import Lock
from ..lock.pip import Artifact
from ..spec.catalog import Record
from ..spec.grants import Grant, check_granted, grant_of, granted, lock_mark, refusal
from ..spec.model import LoadedSpec
from ..spec.requirement import distribution_name, local_path
from .plan import BaseStep, PythonStep, RunStep, Step, plan
from .python import caches
from .sources import find_built

__all__ = ["Consent", "agree_to_packages", "check_unchanged"]


class Consent:
    """What one build of *loaded* may do: all, where it is the user's; else what *entry* remembers of the last that was.

    Each check raises :class:`InputError`, with what to look at and what to do.
    """

    def __init__(self, loaded: LoadedSpec, entry: Record | None, store: Store, *, automatic: bool) -> None:
        self._loaded, self._entry, self._store, self._automatic = loaded, entry, store, automatic
        self._code: tuple[str, ...] = ()

    def check_dockerfile(self) -> None:
        """Its instructions run with network, over files that nobody has looked at since."""
        file = self._loaded.spec.build.dockerfile
        if self._automatic and file:
            raise self._refusal([("build.dockerfile", f"{file} would be built again")], "has changed: it runs more")

    def check_lock(self, lock: bytes | None) -> None:
        """*lock*: the bytes beside the spec; they say from where packages come, and with which hash."""
        if self._automatic and lock is not None and lock_mark(lock) != self._known.lock:
            what = f"{self._loaded.lock_file.name} was not written by a build of yours"
            raise self._refusal([("", what)], "comes with another lock")

    def check_resolution(self) -> None:
        """Before versions are found anew: a local package may name any address, and so may the lock of another tool."""
        if not self._automatic:
            return
        loaded = self._loaded
        asked = [
            ("packages.pip", f"{item}: what it needs would be looked up again")
            for item in loaded.spec.packages.pip
            if local_path(item) is not None or "://" in item
        ]
        if loaded.pylock is not None:
            asked.append(("", f"{loaded.pylock.name} would be read again"))
        if asked:
            raise self._refusal(asked, "has changed: it takes in other things")

    @property
    def may_ask(self) -> bool:
        """Whether sources may be asked what they need: that runs their code."""
        return not self._automatic

    def check_code(self, steps: Sequence[Step]) -> None:
        """Before *steps* are carried out, as far as the store lacks them."""
        self._code = tuple(sorted({mark for step in steps for mark, _, _ in _runs(step)}))
        if self._automatic and (asked := self._ungranted(steps)):
            raise self._refusal(asked, "would run other code")

    def agreed(self, lock: bytes) -> str:
        """What the record keeps after the build, which has left *lock* beside the spec."""
        if not self._automatic:
            return grant_of(self._loaded, code=self._code, lock=lock)
        kept = msgspec.structs.replace(self._known, lock=lock_mark(lock))
        return msgspec.json.encode(kept).decode()

    @property
    def _known(self) -> Grant:
        return granted(self._entry)

    def _ungranted(self, steps: Sequence[Step]) -> list[tuple[str, str]]:
        known = set(self._known.code)
        asked: list[tuple[str, str]] = []
        for step in steps:
            if self._store.step(step.id) is not None and not isinstance(step, BaseStep):
                continue
            for mark, what, artifact in _runs(step):
                if artifact is not None and isinstance(step, PythonStep):
                    _, built = caches(step, self._store)
                    if find_built(artifact, step, built) is not None:
                        continue
                if mark not in known:
                    asked.append((_KEYS[step.kind], what))
        return asked

    def _refusal(self, asked: list[tuple[str, str]], what: str) -> Exception:
        return refusal(self._entry, self._loaded, asked, what)


def check_unchanged(entry: Record, loaded: LoadedSpec, lock: bytes | None) -> None:
    """Before a small change of the user's, who is not asked about the rest: :class:`InputError` where the spec takes
    more than at the user's last build, or its lock is another one."""
    check_granted(entry, loaded)
    if lock is not None and lock_mark(lock) != granted(entry).lock:
        what = f"{loaded.lock_file.name} was not written by a build of yours"
        raise refusal(entry, loaded, [("", what)], "comes with another lock")


def agree_to_packages(
    entry: Record, loaded: LoadedSpec, lock: Lock, content: bytes, names: Collection[str], architecture: str
) -> str:
    """What the record keeps of the user's word for the Python packages *names* of *lock*, whose bytes are *content*:
    the addresses that *loaded* has for them, the code that building them runs, and nothing beyond."""
    known = granted(entry)
    asked = msgspec.json.decode(grant_of(loaded), type=Grant).addresses
    addresses = [item for item in asked if distribution_name(item) in names and item not in known.addresses]
    marks = [
        _artifact_mark(item, step)
        for step in plan(loaded, lock, architecture)
        if isinstance(step, PythonStep)
        for item in step.artifacts
        if item.kind != "wheel" and item.name in names
    ]
    changed = msgspec.structs.replace(
        known, addresses=(*known.addresses, *addresses), code=tuple(sorted({*known.code, *marks})),
        lock=lock_mark(content),
    )  # fmt: skip
    return msgspec.json.encode(changed).decode()


_KEYS = {"base": "base", "python": "packages.pip", "run": "build.run"}


def _runs(step: Step) -> list[tuple[str, str, Artifact | None]]:
    """(hash, words, what is built) of each thing that *step* runs."""
    match step:
        case BaseStep() if step.base.kind == "environment":
            # Built by this program under the same rules, and with its own digest each time.
            return [(_mark("base", step.base.source), step.base.source, None)]
        case BaseStep() if step.base.kind != "debian":
            return [(_mark("base", step.base.source, step.base.digest), f"{step.base.source} as it is now", None)]
        case PythonStep():
            return [
                (_artifact_mark(item, step), _artifact_words(item), item)
                for item in step.artifacts
                if item.kind != "wheel"
            ]
        case RunStep():
            return [(_mark("run", step.id), f"`{step.command}`, over what the image now holds before it", None)]
    return []


def _artifact_mark(item: Artifact, step: PythonStep) -> str:
    what = step.inputs.get(item.url_or_path) or item.sha256
    # A repository is cloned by the git of the image so far, with network.
    return _mark(item.kind, what) if what else _mark(item.kind, item.url_or_path, step.parent)


def _artifact_words(item: Artifact) -> str:
    where = f"./{item.url_or_path}" if item.kind == "directory" else f"{item.name} {item.version}".strip()
    return f"{where} as it is now, which is built from source"


def _mark(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]
