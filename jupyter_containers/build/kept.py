"""What is kept of an environment once its image is there: the catalog's record, and, beside the image, the spec and
the lock that it was made from. The latter go wherever the image goes with its artefacts (:mod:`..image.artifacts`).
"""

from __future__ import annotations

import time
import tomllib
from typing import Any

import msgspec

from ..errors import LockError
from ..image.artifacts import Artifact, Part
from ..image.attached import attach, list_attached
from ..image.model import Image
from ..image.store import Store
from ..lock.file import parse_lock
from ..lock.model import Lock
from ..paths import Paths
from ..spec.catalog import Record, record
from ..spec.dump import dump_spec
from ..spec.files import NATIVE
from ..spec.model import LoadedSpec
from .inputs import input_paths
from .state import fingerprint, remember

__all__ = ["ENVIRONMENT_TYPE", "LOCK_NAME", "LOCK_TYPE", "SPEC_TYPE", "Kept", "keep", "read_kept", "settle"]

ENVIRONMENT_TYPE = "application/vnd.jupyter-containers.environment.v1"
"""Of an artefact: the spec, the lock and, in a bundle, the files that the build takes in."""
SPEC_TYPE = "application/toml"
LOCK_TYPE = "application/vnd.jupyter-containers.lock.v1+toml"
LOCK_NAME = "jupyter-container.lock"


class Kept(msgspec.Struct, frozen=True):
    """What an image was made from."""

    spec: str
    """The text of a jupyter-container.toml."""
    lock_text: bytes
    lock: Lock

    @property
    def name(self) -> str:
        """The environment's."""
        return str(self._document.get("name", ""))

    @property
    def packages_only(self) -> bool:
        """Whether nothing but packages was put into the image."""
        build = self._document.get("build", {})
        return not (build.get("run") or build.get("copy") or build.get("dockerfile"))

    @property
    def _document(self) -> dict[str, Any]:
        return tomllib.loads(self.spec)


def settle(
    loaded: LoadedSpec, lock: Lock, image: Image, paths: Paths, *, location: str, content: bytes, granted: str
) -> Record:
    """Make the environment known as one whose *image* is what *lock*, which lies beside the spec, gives.

    *location*: where the spec is read from. *content*: the lock's bytes, as they were written there. *granted*: what
    the user has agreed to. :class:`ConflictError` where another spec has the name.
    """
    mark = fingerprint(loaded, content, {item.path: item.sha256 for item in lock.inputs}, paths)
    spec = loaded.spec
    entry = Record(
        name=spec.name, display_name=spec.display_name or spec.name, language=spec.kernel.language,
        spec_file=location, renamed=loaded.renamed, image=image.digest, spec_digest=mark, built_at=time.time(),
        granted=granted,
    )  # fmt: skip
    keep(Store(paths.store), image.digest, dump_spec(spec), content)
    remember(paths, spec.name, mark, input_paths(loaded, lock))
    record(paths, entry)
    return entry


def keep(store: Store, image: str, spec: str, lock: bytes) -> None:
    """Remember that the image of digest *image* was made from *spec* and *lock*, the texts of two files."""
    parts = (
        Part(media_type=SPEC_TYPE, content=spec.encode(), title=NATIVE),
        Part(media_type=LOCK_TYPE, content=lock, title=LOCK_NAME),
    )
    attach(store, image, Artifact(kind=ENVIRONMENT_TYPE, parts=parts))


def read_kept(store: Store, image: str) -> Kept | None:
    """What the image of digest *image* was made from; None where that is not known, or can't be read any more."""
    for artifact in list_attached(store, image):
        if artifact.kind != ENVIRONMENT_TYPE:
            continue
        texts = {part.title: part.content for part in artifact.parts if isinstance(part.content, bytes)}
        try:
            lock = texts[LOCK_NAME]
            spec = texts[NATIVE].decode()
            tomllib.loads(spec)
            return Kept(spec, lock, parse_lock(lock, LOCK_NAME))
        except (KeyError, LockError, ValueError):
            continue
    return None
