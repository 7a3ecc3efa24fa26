"""What an environment wants of its user's word before a kernel's start may build it: told ahead, where it is listed.

The same checks as in :mod:`.ensure`, in the same order, without building or resolving anything. Where versions would be
found anew nobody knows yet what the steps over them hold, so each of these counts.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ..errors import ContainersError, InputError
from ..image.store import Store
from ..lock.file import parse_lock, read_content
from ..paths import Paths
from ..spec.catalog import Record
from ..spec.grants import check_granted
from ..spec.load import load_spec
from .consent import Consent
from .emulation import host_architecture
from .ensure import with_inputs
from .locking import find_reasons
from .naming import known_as
from .plan import plan

__all__ = ["find_asks"]


def find_asks(entry: Record, paths: Paths) -> tuple[str, ...]:
    """What would refuse an automatic build of *entry*, which is not up to date; a line each, and none where it may
    be built. A spec or a lock that can't be read asks nothing: the build tells what is wrong."""
    asked: dict[str, None] = {}

    def note(check: Callable[[], object]) -> None:
        try:
            check()
        except InputError as error:
            asked.update(dict.fromkeys(f"{item.key}: {item.cause}".removeprefix(": ") for item in error.problems))

    try:
        loaded = known_as(load_spec(Path(entry.spec_file)), paths)
        consent = Consent(loaded, entry, Store(paths.store), automatic=True)
        note(lambda: check_granted(entry, loaded))
        if not asked:
            note(consent.check_dockerfile)
        content = read_content(loaded.lock_file)
        note(lambda: consent.check_lock(content))
        lock = parse_lock(content, str(loaded.lock_file)) if content is not None else None
        if lock is None or find_reasons(loaded, lock, paths=paths):
            note(consent.check_resolution)
            if not asked:  # else those that are new are among them
                asked.update(dict.fromkeys(f"build.run: the step {line!r} again" for line in loaded.spec.build.run))
        elif not asked:
            steps = plan(loaded, with_inputs(loaded, lock, paths), host_architecture())
            note(lambda: consent.check_code(steps))
    except (ContainersError, OSError):
        pass  # as far as it came, as the build would
    return tuple(asked)
