"""Images to and from other places: registries and files. What :class:`.Environments` hands on to.

Settings, logins and names are the user's; the work is done in ``image/``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .errors import ConflictError, InputError, ReferenceError
from .paths import Paths
from .spec.catalog import list_records

if TYPE_CHECKING:
    from .image.artifacts import Attach
    from .image.blobs import Compression
    from .image.credentials import Credentials
    from .image.model import Image
    from .image.progress import Progress
    from .image.pull import Pulled
    from .image.push import Pushed
    from .image.registry_copy import Copied
    from .image.registry_settings import RegistrySettings
    from .image.saving import Format
    from .image.store import Store
    from .views import Resolved

__all__ = ["Loaded", "Shipping"]

_LINUX = "linux/"


def _quiet(what: str, done: int, total: int) -> None:
    """Tells nobody."""


def _silent(text: str) -> None:
    """Tells nobody."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """An image that came out of a file."""

    digest: str
    references: tuple[str, ...]
    """The names it got."""
    left_out: tuple[str, ...] = ()
    """Names in the file that it did not get: none that can be one, or an environment's."""


class Shipping:
    """Pulling, pushing, saving and loading for one user.

    :param settings: how registries are spoken to; None: the user's configuration file.
    :param credentials: the user's logins; None: our own file, then docker's.
    """

    def __init__(
        self,
        paths: Paths,
        store: Store,
        *,
        settings: RegistrySettings | None = None,
        credentials: Credentials | None = None,
    ) -> None:
        self.paths, self.store = paths, store
        self._settings, self._credentials = settings, credentials

    @property
    def settings(self) -> RegistrySettings:
        if self._settings is None:
            from .lock.registries import registry_settings

            self._settings = registry_settings()
        return self._settings

    @property
    def credentials(self) -> Credentials:
        if self._credentials is None:
            from .image.credentials import Credentials

            self._credentials = Credentials.current()
        return self._credentials

    # Registries

    def pull(
        self, name: str, *, platform: str = "", attached: bool = False, progress: Progress = _quiet,
        notify: Callable[[str], None] = _silent,
    ) -> Pulled:  # fmt: skip
        """Take an image from a registry; see :func:`.image.pull.pull`. *platform*: ``linux/arm64``, ``arm/v7``."""
        from .image.pull import pull

        return pull(
            self.store, name, settings=self.settings, credential=self.credentials.find,
            architecture=platform.removeprefix(_LINUX), attached=attached, progress=progress, notify=notify,
        )  # fmt: skip

    def push(
        self, image: Image, target: str, *, compression: Compression | None = None, attach: Attach | None = None,
        progress: Progress = _quiet, notify: Callable[[str], None] = _silent,
    ) -> Pushed:  # fmt: skip
        """Send an image to a registry; see :func:`.image.push.push`."""
        from .image.push import push

        return push(
            self.store, image, target, settings=self.settings, credential=self.credentials.find,
            compression=compression, attach=attach, progress=progress, notify=notify,
        )  # fmt: skip

    def copy(
        self, source: str, target: str, *, attached: bool = True, progress: Progress = _quiet,
        notify: Callable[[str], None] = _silent,
    ) -> Copied:  # fmt: skip
        """From registry to registry; see :func:`.image.registry_copy.copy_image`."""
        from .image.registry_copy import copy_image

        return copy_image(
            source, target, settings=self.settings, credential=self.credentials.find, attached=attached,
            progress=progress, notify=notify,
        )  # fmt: skip

    def tags(self, name: str) -> Iterator[str]:
        """The tags of a repository, as its registry sorts them."""
        from .image.registry_copy import list_tags

        return list_tags(name, settings=self.settings, credential=self.credentials.find)

    def login(self, registry: str, username: str, password: str, *, notify: Callable[[str], None] = _silent) -> bool:
        """Try a login, and remember it. False: the registry let us in without asking for it.

        Raises :class:`RegistryError` where it is not let in; nothing is remembered then.
        """
        from .image.registry import Registry
        from .image.registry_auth import Credential

        given = Credential(username, password)
        with Registry(registry, self.settings, credential=lambda _: given, notify=notify) as asked:
            asked.ping()
            was_asked = asked.asked_for_login
        self.credentials.store(registry, given)
        return was_asked

    def logout(self, registry: str) -> bool:
        """Forget a login. False where none was remembered here; docker's own are left to docker."""
        return self.credentials.forget(registry)

    # Files

    def save(
        self,
        images: Sequence[Resolved],
        path: Path,
        *,
        form: Format = "oci-archive",
        compression: Compression | None = None,
        attach: Attach | None = None,
        progress: Progress = _quiet,
    ) -> tuple[str, ...]:
        """Write images to *path*, each with the name it was asked for by (by digest: with all it has).

        Returns the manifests' digests. Errors are those of :func:`.image.saving.save_images`.
        """
        from .image.saving import save_images

        named: dict[str, tuple[Image, tuple[str, ...]]] = {}
        for resolved in images:
            image = self.store.image(resolved.image)
            name = _name_to_save(image, resolved)
            names = (name,) if name else image.references
            before = named[image.digest][1] if image.digest in named else ()
            named[image.digest] = image, tuple(dict.fromkeys((*before, *names)))
        saved = save_images(
            self.store, list(named.values()), path, form=form, compression=compression, attach=attach,
            progress=progress,
        )  # fmt: skip
        return tuple(entry.digest for entry in saved)

    def load(
        self, path: Path, *, name: str = "", tag: str = "", platform: str = "", progress: Progress = _quiet
    ) -> tuple[Loaded, ...]:
        """Take in the images of a file or folder: all, or the one called *name* in it; *tag* is what one gets called.

        Names in the file that an environment has are left out: a file may not take an environment's name away.
        """
        from .image.enclosed import load_all
        from .image.layout import load

        architecture = platform.removeprefix(_LINUX)
        with self.store.lease():
            if name:
                one = load(self.store, path, name=name, architecture=architecture, progress=progress)
                found: Sequence[tuple[Image, tuple[str, ...]]] = [(one, (name,))]
            else:
                found = load_all(self.store, path, architecture=architecture, progress=progress)
            if tag and len(found) != 1:
                raise InputError(f"{path} holds {len(found)} images, and {tag} can name one", hint="choose: `--name`")
            if tag:
                self.tag(found[0][0], tag)
                return (Loaded(found[0][0].digest, (tag,)),)
            return tuple(self._named(image, names) for image, names in found)

    # Names

    def tag(self, image: Image, name: str) -> str:
        """Call *image* by *name*, too; the name in full. Errors are those of :meth:`check_name`."""
        whole = self.check_name(name)
        self.store.tag(whole, image.digest)
        return whole

    def check_name(self, name: str) -> str:
        """*name* in full, where an image may get it.

        :class:`ReferenceError`; :class:`ConflictError` for an environment's name.
        """
        from .image.reference import parse_reference

        whole = parse_reference(name)
        if whole.digest:
            raise ReferenceError(f"{name}: a digest can't be given to an image", hint="write NAME or NAME:TAG")
        if self._is_environment(str(whole)):
            raise ConflictError(
                f"{whole} is the name of an environment's image", hint="take another name, or `build` the environment"
            )
        return str(whole)

    def remove(self, name: str, users: Mapping[str, str]) -> Image:
        """Forget an image, or only the name where it has others; its layers go with the next `prune`.

        *users*: containers by their image's digest. :class:`ConflictError` where it is one's, or an environment's.
        """
        image = self.find(name)
        whole = name if name in image.references else next((one for one in image.references if _same(one, name)), "")
        if not whole or len(image.references) == 1:
            owners = [entry.name for entry in list_records(self.paths) if entry.image == image.digest]
            if owners:
                raise ConflictError(
                    f"{name} is the image of the environment {owners[0]}",
                    hint=f"`jupyter containers env remove --image {owners[0]}` removes both",
                )
            if image.digest in users:
                raise ConflictError(
                    f"the container {users[image.digest]} is made from {name}",
                    hint="`jupyter containers rm -f` it first",
                )
        elif self._is_environment(whole):
            raise ConflictError(f"{whole} is an environment's name", hint="`jupyter containers env remove` removes it")
        return self.store.remove_image(whole or image.digest)

    def find(self, name: str) -> Image:
        """The store's image *name*, also by docker's short form: ``debian`` for ``docker.io/library/debian``."""
        from .image.short_names import find_image

        return find_image(self.store, name)

    def _named(self, image: Image, names: Sequence[str]) -> Loaded:
        from .image.reference import parse_reference

        given, left_out = [], []
        for name in names:
            # A bare word is, in an OCI layout, a tag without a name.
            usable = (":" in name or "/" in name) and self._may_be_reference(name)
            whole = str(parse_reference(name)) if usable else ""
            if whole and not self._is_environment(whole):
                self.store.tag(whole, image.digest)
                given.append(whole)
            else:
                left_out.append(name)
        return Loaded(image.digest, tuple(given), tuple(left_out))

    def _is_environment(self, reference: str) -> bool:
        return any(f"{entry.name}:latest" == reference for entry in list_records(self.paths))

    @staticmethod
    def _may_be_reference(name: str) -> bool:
        from .image.reference import parse_reference

        try:
            return not parse_reference(name).digest
        except ReferenceError:
            return False


def _name_to_save(image: Image, resolved: Resolved) -> str:
    """The name that an image goes out with: what it was asked for by, in full; empty for a digest."""
    name = resolved.environment.name if resolved.environment else resolved.reference
    return next((reference for reference in image.references if _same(reference, name)), "")


def _same(reference: str, name: str) -> bool:
    """Whether *name* is short for *reference*, here or in docker's way."""
    from .image.reference import parse_reference
    from .image.registry_settings import remote_reference

    try:
        return reference in (str(parse_reference(name)), str(remote_reference(name)))
    except ReferenceError:
        return False
