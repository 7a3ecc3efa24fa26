"""A spec's file and its lock on the way to another state: read, written, and put back where that went wrong."""

from __future__ import annotations

from pathlib import Path

from .build.naming import known_as
from .errors import NotFoundError, Problem, SpecError
from .lock.compare import PackageChanges
from .lock.file import parse_lock, read_content, write_lock
from .lock.model import Lock
from .paths import Paths
from .spec.catalog import Record
from .spec.edit import replace_text
from .spec.load import load_spec
from .spec.model import LoadedSpec
from .spec.reading import Folder

__all__ = ["Edited"]


class Edited:
    """The file that won of an environment's spec, and the lock beside it, as they were found."""

    def __init__(self, loaded: LoadedSpec, path: Path, text: str, lock_bytes: bytes | None) -> None:
        self.loaded, self.path, self.text, self.lock_bytes = loaded, path, text, lock_bytes
        self.lock: Lock | None = None
        if lock_bytes is not None:
            self.lock = parse_lock(lock_bytes, str(loaded.lock_file))
        self.changes = PackageChanges()
        """Of the lock, once there is a new one."""
        self._written = ""

    @classmethod
    def of(cls, entry: Record, paths: Paths) -> Edited:
        """:class:`SpecError` where its packages can't be changed by a program."""
        if not entry.spec_file:
            raise NotFoundError(f"{entry.name} is an image without a spec", hint="`jupyter containers init` writes one")
        loaded = known_as(load_spec(Path(entry.spec_file)), paths)
        if loaded.file is None or loaded.pylock is not None:
            file = loaded.pylock or loaded.folder
            remedy = "Use `uv add`" if file.name == "uv.lock" else "Use the tool that wrote it"
            problem = Problem(file=str(file), cause="has the versions, and is another tool's", remedy=remedy)
            raise SpecError("the packages can't be changed", problems=[problem])
        text = Folder(loaded.file.parent).read_text(loaded.file.name)
        return cls(loaded, loaded.file, text, read_content(loaded.lock_file))

    def write(self, text: str, lock: Lock | None = None) -> None:
        """Write the new *text* and its *lock*: both, or none."""
        replace_text(self.path, text)
        self._written = text
        if lock is not None:
            try:
                write_lock(self.loaded.lock_file, lock)
            except BaseException:
                self.restore()
                raise

    def restore(self) -> None:
        """Put back what was found, unless somebody else has changed the file meanwhile."""
        if not self._written or Folder(self.path.parent).read_text(self.path.name) != self._written:
            return
        replace_text(self.path, self.text)
        if self.lock is not None:
            write_lock(self.loaded.lock_file, self.lock)
        else:
            self.loaded.lock_file.unlink(missing_ok=True)
