"""Notebooks that carry their environment: spec, lock and image digest in the metadata, under ``jupyter_containers``.

A notebook that comes from elsewhere is untrusted: nothing of what it carries is pulled, built or run before its user
has been shown what that would be and has agreed. Then the very image comes about: pulled where the notebook names a
registry that has it, else built from the lock, and told apart by its digest either way.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from shutil import rmtree
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from .carried import METADATA, VERSION, Carried, describe_carried, read_carried, whole_reference
from .errors import ConflictError, ContainersError, InputError, NotFoundError, Problem, StoreError
from .image.reference import parse_reference
from .jobs import Control
from .spec.catalog import Record, list_records
from .spec.files import NATIVE

if TYPE_CHECKING:
    from .build.ensure import Built
    from .directory import Directory
    from .image.model import Image
    from .image.store import Store
    from .jobs import Jobs
    from .lock.model import Lock
    from .shipping import Shipping
    from .spec.model import LoadedSpec
    from .views import EnvironmentView, JobView

__all__ = ["Carrying", "Checked", "Taken"]

_ELSEWHERE = ("debian", "image")
"""Kinds of bases that another machine can get."""


class Checked(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be said of what a notebook carries, before anything is done."""

    state: Literal["none", "present", "missing", "invalid"]
    environment: str = ""
    """Its name here where it is present, else the one that it would get."""
    digest: str = ""
    would: tuple[str, ...] = ()
    """What opening it would do and what it would take of this host, a line each."""
    problems: tuple[Problem, ...] = ()
    trusted: bool = False
    """Nothing has to be agreed to: it is here, and its user has built or opened it."""


class Taken(msgspec.Struct, frozen=True, kw_only=True):
    """What came of opening it."""

    environment: str
    digest: str
    expected: str
    same: bool
    """The image is the very one that the notebook was made with."""
    how: Literal["present", "pulled", "built"]


class Carrying:
    """Writing environments into notebooks, and taking them out.

    :param add: makes a loaded spec known by its name.
    :param build: builds an environment by its name.
    :param forget: removes an environment's record.
    """

    def __init__(
        self,
        directory: Directory,
        store: Store,
        shipping: Shipping,
        jobs: Jobs,
        *,
        add: Callable[[LoadedSpec], EnvironmentView],
        build: Callable[..., Built],
        forget: Callable[[str], object],
    ) -> None:
        self.paths, self._directory = directory.paths, directory
        self._store, self._shipping, self._jobs = store, shipping, jobs
        self._add, self._build, self._forget = add, build, forget

    # Into a notebook

    def carry(self, name: str, *, references: Sequence[str] = ()) -> Carried:
        """What a notebook has to carry of the environment *name*, which is built and up to date; *references*: names
        under which registries have its image, besides those that are known here.

        :class:`ConflictError` where it is not ready, :class:`InputError` where a notebook can't carry all of it.
        """
        from .build.naming import known_as
        from .build.portable import make_portable
        from .build.state import examine
        from .lock.file import parse_lock, read_lock
        from .spec.load import load_spec

        entry = self._directory.find(name)
        status = examine(entry, self.paths).status
        if entry.image is None or not entry.spec_file or status.state != "ready":
            raise ConflictError(
                f"{name} is {status.state}{': ' if status.reason else ''}{status.reason}",
                hint=f"`jupyter containers build {name}` first",
            )
        loaded = known_as(load_spec(Path(entry.spec_file)), self.paths)
        lock = read_lock(loaded.lock_file)
        _refuse_files(name, lock)
        with self._store.staging() as staging:
            folder = staging.path / "files" / loaded.spec.name
            folder.mkdir(parents=True)
            spec, content = make_portable(loaded, lock, folder, memory=staging.path)
        _refuse_files(name, parse_lock(content, loaded.lock_file.name))
        image = self._store.image(entry.image)
        known = [reference for reference in image.references if parse_reference(reference).registry]
        return Carried(
            version=VERSION, name=name, spec=spec, lock=content.decode(), digest=image.digest,
            references=tuple(dict.fromkeys([*map(whole_reference, references), *known])),
        )  # fmt: skip

    # Out of one

    def check(self, metadata: Any) -> Checked:
        """What the value of the key in a notebook's *metadata* stands for here. Nothing is fetched or kept."""
        try:
            carried = read_carried(metadata)
        except InputError as error:
            return Checked(state="invalid", problems=error.problems)
        if carried is None:
            return Checked(state="none", trusted=True)
        here = self._find(carried)
        if here is not None:
            return Checked(state="present", environment=here.name, digest=carried.digest, trusted=True)
        try:
            with self._received(carried, carried.name) as (loaded, lock):
                would = tuple(describe_carried(carried, loaded, lock))
        except (InputError, StoreError) as error:
            problems = error.problems if isinstance(error, InputError) else ()
            told = problems or (Problem(file=METADATA, cause=error.message),)
            return Checked(state="invalid", digest=carried.digest, problems=told)
        name = self._free_name(carried.name)
        return Checked(state="missing", environment=name, digest=carried.digest, would=would)

    def open(self, metadata: Any, *, control: Control | None = None) -> Taken:
        """Make the environment that the notebook carries: the caller's user has agreed to what :meth:`check` tells.

        :class:`InputError` where it is not valid; what pulling and building raise, and then nothing is left of it.
        """
        control = control or Control.silent()
        carried = read_carried(metadata)
        if carried is None:
            raise InputError(
                "the notebook carries no environment", hint="`jupyter containers carry` writes one into it"
            )
        here = self._find(carried)
        if here is not None:
            return Taken(
                environment=here.name, digest=carried.digest, expected=carried.digest, same=True, how="present"
            )
        name = self._free_name(carried.name)
        with self._received(carried, name) as (loaded, lock):
            kept = self._keep(loaded.folder, name)
        try:
            return self._make(carried, name, kept, lock, control)
        except BaseException:
            rmtree(kept, ignore_errors=True)
            raise

    def start_open(self, metadata: Any) -> JobView:
        """:meth:`open` as a job."""
        carried = read_carried(metadata)
        name = carried.name if carried is not None else ""

        def work(control: Control) -> dict[str, Any]:
            return dict(msgspec.to_builtins(self.open(metadata, control=control)))

        digest = carried.digest if carried is not None else ""
        return self._jobs.start("open", f"Open the notebook's environment {name}".strip(), work, alone=f"open {digest}")

    def _make(self, carried: Carried, name: str, folder: Path, lock: Lock, control: Control) -> Taken:
        from .spec.load import load_spec

        with self._store.lease():
            here = self._present(carried)
            image = here or self._pull(carried, control)
            if image is not None:
                self._settle(load_spec(folder), lock, image)
                how: Literal["present", "pulled"] = "present" if here is not None else "pulled"
                return Taken(environment=name, digest=image.digest, expected=carried.digest, same=True, how=how)
        self._add(load_spec(folder))
        try:
            built = self._build(name, kernelspec=False, locked=True, monitor=control.follow, cancel=control.cancel)
        except BaseException:
            self._forget(name)
            raise
        digest = built.image.digest
        if digest != carried.digest:
            control.say(
                f"the image is not the one that the notebook was made with ({digest[:19]}…, not "
                f"{carried.digest[:19]}…): its packages are, but another machine or another version made it"
            )
        same = digest == carried.digest
        return Taken(environment=name, digest=digest, expected=carried.digest, same=same, how="built")

    def _pull(self, carried: Carried, control: Control) -> Image | None:
        """The image from the first registry that has it; None where none has, which is told."""
        for reference in carried.references:
            try:
                pulled = self._shipping.pull(reference, progress=control.progress, notify=control.say)
            except ContainersError as error:
                control.check()
                control.say(f"not pulled from {reference}: {error.message}")
                continue
            if pulled.image.digest == carried.digest:
                return pulled.image
            control.say(f"{reference} is another image by now ({pulled.image.digest[:19]}…)")
        return None

    def _settle(self, loaded: LoadedSpec, lock: Lock, image: Image) -> None:
        from .build.kept import settle
        from .spec.grants import grant_of

        content = loaded.lock_file.read_bytes()
        self._store.tag(loaded.spec.name, image.digest)
        settle(
            loaded, lock, image, self.paths, location=str(loaded.folder), content=content,
            granted=grant_of(loaded, lock=content),
        )  # fmt: skip

    def _find(self, carried: Carried) -> Record | None:
        """The environment here that has the very image, the one of that name if there is a choice."""
        found = [entry for entry in list_records(self.paths) if entry.image == carried.digest]
        named = (entry for entry in found if entry.name == carried.name)
        entry = next(named, found[0] if found else None)
        return entry if entry is not None and self._present(carried) is not None else None

    def _present(self, carried: Carried) -> Image | None:
        try:
            return self._store.image(carried.digest)
        except NotFoundError:
            return None

    def _free_name(self, name: str) -> str:
        taken = {entry.name for entry in list_records(self.paths)}
        if name not in taken:
            return name
        return next(free for number in count(2) if (free := f"{name[:56]}-{number}") not in taken)

    @contextmanager
    def _received(self, carried: Carried, name: str) -> Iterator[tuple[LoadedSpec, Lock]]:
        """Spec and lock in a folder that lasts as long as the context, once they are seen to belong together."""
        from .build.kept import LOCK_NAME
        from .build.portable import check_received
        from .spec.edit import Edit, change_text
        from .spec.load import load_text

        with self._store.staging() as staging:
            folder = staging.path / "files" / carried.name
            folder.mkdir(parents=True)
            text = carried.spec
            if name != carried.name and not load_text(text, folder).spec.display_name:
                # The image's title comes from the name where nothing else is said, and with it its digest.
                text = change_text(text, [Edit(("display-name",), carried.name)])
            (folder / NATIVE).write_text(text, encoding="utf-8")
            (folder / LOCK_NAME).write_text(carried.lock, encoding="utf-8")
            loaded, lock = check_received(folder, name, memory=staging.path)
            _refuse_files(carried.name, lock)
            yield loaded, lock

    def _keep(self, folder: Path, name: str) -> Path:
        """Copy the *folder* with spec and lock to where those of notebooks are kept."""
        place = self.paths.home / "specs"
        place.mkdir(mode=0o700, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=".draft-", dir=place))
        for file in folder.iterdir():
            (draft / file.name).write_bytes(file.read_bytes())
        kept = place / name
        if kept.exists():
            rmtree(kept)  # of an environment that was forgotten since
        return draft.rename(kept)


def _refuse_files(name: str, lock: Lock) -> None:
    """:class:`InputError` for an environment that is made of more than a spec and a lock."""
    hint = f"`jupyter containers share {name} -o FILE` writes all of it into one file"
    if lock.inputs:
        what = ", ".join(item.path for item in lock.inputs[:3])
        raise InputError(
            f"the build of {name} takes in files of its folder ({what}), which a notebook can't carry", hint=hint
        )
    if lock.base.kind not in _ELSEWHERE:
        raise InputError(f"the base of {name}, {lock.base.source}, is on this machine alone", hint=hint)
