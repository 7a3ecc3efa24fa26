"""What can be said of an image beside the image itself: its bill of materials and its provenance.

Both are made from the lock that the image was built from, when they are asked for; of an image that came from elsewhere
they are what came along with it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal, TypeAlias

from .errors import NotFoundError
from .paths import Paths
from .views import Resolved

if TYPE_CHECKING:
    from .build.kept import Kept
    from .image.artifacts import Artifact
    from .image.model import Descriptor, Image
    from .image.store import Store
    from .lock.bill import Bill
    from .lock.packages import Candidate

__all__ = ["Attestations", "BillFormat"]

BillFormat: TypeAlias = Literal["cyclonedx", "spdx"]
_PREDICATE = "in-toto.io/predicate-type"
"""Annotation of an artefact that is a statement, as BuildKit and cosign write it."""
_ARCHITECTURES = {"arm": "armhf", "386": "i386", "ppc64le": "ppc64el"}
"""OCI's names where Debian has others."""
_LONGEST_STATUS = 64 << 20


class Attestations:
    """Bills and provenance for one user.

    :param resolve: what a name or path of the user's stands for, as :meth:`.Environments.resolve`.
    """

    def __init__(self, paths: Paths, store: Store, *, resolve: Callable[[str], Resolved]) -> None:
        self.paths, self.store = paths, store
        self._resolve = resolve

    def bill(self, reference: str, form: BillFormat = "cyclonedx") -> bytes:
        """The bill of materials of the image of *reference*: CycloneDX 1.6 or SPDX 2.3, as JSON.

        :class:`NotFoundError` for an image whose lock is not known, and that came without a bill of this form.
        """
        from .lock.cyclonedx import CYCLONEDX_TYPE, dump_cyclonedx
        from .lock.spdx import SPDX_TYPE, dump_spdx

        image, kept = self._find(reference)
        if kept is not None:
            made = self._make_bill(image, kept)
            return dump_cyclonedx(made) if form == "cyclonedx" else dump_spdx(made)
        return self._stored(image, reference, CYCLONEDX_TYPE if form == "cyclonedx" else SPDX_TYPE, "bill of materials")

    def provenance(self, reference: str) -> bytes:
        """The provenance of the image of *reference*: an in-toto statement, as JSON. Errors as of :meth:`bill`."""
        from .build.version import FORMAT
        from .lock.provenance import IN_TOTO_TYPE, dump_provenance

        image, kept = self._find(reference)
        if kept is not None:
            return dump_provenance(self._make_bill(image, kept), kept.spec, kept.lock, build_format=str(FORMAT))
        return self._stored(image, reference, IN_TOTO_TYPE, "provenance")

    def artifacts(self, image: Image, manifest: Descriptor) -> Sequence[Artifact]:
        """The artefacts of *image* that go with the manifest of this descriptor: bill, provenance, spec and lock.

        Of an image whose lock is not known: those that it came with.
        """
        from .build.kept import read_kept
        from .image.attached import list_attached

        kept = read_kept(self.store, image.digest)
        stored = list_attached(self.store, image.digest)
        if kept is None:
            return stored
        made = self.statements(image, kept, manifest.digest)
        kinds = {artifact.kind for artifact in made}
        return (*(artifact for artifact in stored if artifact.kind not in kinds), *made)

    def statements(self, image: Image, kept: Kept, manifest: str) -> tuple[Artifact, ...]:
        """Bill and provenance of *image*, as artefacts of the manifest of digest *manifest*."""
        from .build.version import FORMAT
        from .image.artifacts import Artifact, Part
        from .lock.cyclonedx import CYCLONEDX_TYPE, dump_cyclonedx
        from .lock.provenance import IN_TOTO_TYPE, PREDICATE_TYPE, dump_provenance

        bill = self._make_bill(image, kept, manifest)
        provenance = dump_provenance(bill, kept.spec, kept.lock, build_format=str(FORMAT))
        return (
            Artifact(
                kind=CYCLONEDX_TYPE,
                parts=(Part(media_type=CYCLONEDX_TYPE, content=dump_cyclonedx(bill), title=f"{bill.name}.cdx.json"),),
            ),
            Artifact(
                kind=IN_TOTO_TYPE,
                parts=(Part(media_type=IN_TOTO_TYPE, content=provenance, title=f"{bill.name}.provenance.json"),),
                annotations={_PREDICATE: PREDICATE_TYPE},
            ),
        )

    # Inside

    def _find(self, reference: str) -> tuple[Image, Kept | None]:
        from .build.kept import read_kept

        image = self.store.image(self._resolve(reference).image)
        return image, read_kept(self.store, image.digest)

    def _make_bill(self, image: Image, kept: Kept, manifest: str = "") -> Bill:
        from .image.digest import sha256_of
        from .lock.bill import make_bill

        architecture = image.config.architecture
        return make_bill(
            kept.lock, name=kept.name or "image", architecture=_ARCHITECTURES.get(architecture, architecture),
            image=image.digest, lock_digest=sha256_of(kept.lock_text), manifest=manifest, complete=kept.packages_only,
            installed=self._installed(image) if kept.lock.base.kind != "debian" else None,
        )  # fmt: skip

    def _installed(self, image: Image) -> dict[str, Candidate]:
        """What dpkg lists in *image*."""
        from .image.inside import read_text_in_root
        from .lock.packages import read_status

        try:
            text = read_text_in_root(image.layer_paths, "var/lib/dpkg/status", _LONGEST_STATUS)
        except NotFoundError:
            return {}
        return read_status(text.encode())

    def _stored(self, image: Image, reference: str, kind: str, what: str) -> bytes:
        from .image.attached import list_attached

        for artifact in list_attached(self.store, image.digest):
            for part in artifact.parts:
                # Other tools' SPDX and CycloneDX artefacts have their type with and without a parameter.
                if re.split(r"[;\s]", part.media_type)[0] == kind and isinstance(part.content, bytes):
                    return part.content
        raise NotFoundError(
            f"nothing is known of how {reference} was made: it has no lock here, and came without a {what}",
            hint="build it from a spec; or `pull --attached`, where its registry has one",
        )
