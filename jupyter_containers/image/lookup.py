"""From what people call an image to its digest."""

from __future__ import annotations

import re
from hashlib import sha256
from pathlib import Path

from ..errors import NotFoundError
from .digest import hex_of, is_digest
from .records import ImageRecord, ReferenceRecord, list_records
from .reference import parse_reference

__all__ = ["list_references", "name_of", "reference_file", "resolve"]

_PREFIX = r"(?:sha256:)?[0-9a-f]{12,63}"


def list_references(root: Path) -> dict[str, str]:
    """All names in the store *root*, and the images' digests they stand for."""
    return {record.reference: record.image for _, record in list_records(root / "refs", ReferenceRecord)}


def reference_file(root: Path, name: str) -> Path:
    """Where the record of the reference *name* is; :class:`~jupyter_containers.errors.ReferenceError`."""
    whole = str(parse_reference(name))
    return root / "refs" / f"{sha256(whole.encode()).hexdigest()[:32]}.json"


def name_of(text: str, references: dict[str, str]) -> str:
    """The reference that *text* is, in full; empty where it is none of *references*."""
    if is_digest(text):
        return ""
    whole = str(parse_reference(text))
    return whole if whole in references else ""


def resolve(root: Path, text: str, references: dict[str, str]) -> str:
    """The digest of the image that *text* means: a digest of an image or of the manifest it was loaded from, a
    reference, or 12 or more of a digest's first digits.

    Raises :class:`NotFoundError`, and :class:`~jupyter_containers.errors.ReferenceError` for what can mean none.
    """
    if is_digest(text):
        whole = (root / "images" / f"{hex_of(text)}.json").exists()
        found = text if whole else _by_manifest(root, text)
    else:
        found = _by_prefix(root, text) if re.fullmatch(_PREFIX, text) else ""
        if not found:
            reference = parse_reference(text)
            found = references.get(str(reference), "")
            if not found and reference.digest:
                found = _by_manifest(root, reference.digest)
    if not found:
        known = ", ".join(sorted(references)[:10]) or "none"
        raise NotFoundError(f"no image {text!r} in the store (known names: {known})")
    return found


def _by_prefix(root: Path, text: str) -> str:
    digits = text.removeprefix("sha256:")
    matches = [f"sha256:{path.stem}" for path in (root / "images").glob(f"{digits}*.json")]
    if len(matches) > 1:
        raise NotFoundError(f"{len(matches)} images' digests begin with {text}", hint="write more of it")
    return matches[0] if matches else ""


def _by_manifest(root: Path, digest: str) -> str:
    for _, record in list_records(root / "images", ImageRecord):
        if record.manifest is not None and record.manifest.digest == digest:
            return record.digest
    return ""
