"""OpenPGP signatures of archives' indexes: pysequoia, or gpgv(1) where that is missing.

The keys are those of Debian's ``debian-archive-keyring`` package (``keyrings/*.pgp``); more can be named in the
configuration file. What is returned is the signed text itself, never what surrounds it in the file.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from ..errors import HostError, SignatureError

__all__ = ["Verified", "keyring_files", "verify_cleartext"]


@dataclass(frozen=True, slots=True)
class Verified:
    """A text and the keys (fingerprints, hex) whose signatures over it hold."""

    text: bytes
    signers: tuple[str, ...]
    by: str
    """``pysequoia`` or ``gpgv``."""


def keyring_files(extra: Sequence[str] = ()) -> tuple[Path, ...]:
    """The key files that come with the package, then *extra*."""
    own = sorted((Path(__file__).parent / "keyrings").glob("*.pgp"))
    return (*own, *(Path(name) for name in extra))


def verify_cleartext(content: bytes, *, name: str, keyrings: Sequence[Path]) -> Verified:
    """Check a cleartext-signed file (RFC 9580, section 7) against *keyrings*; one good signature of theirs suffices.

    *name* says what it is, for messages. Raises :class:`SignatureError`.
    """
    if not content.startswith(b"-----BEGIN PGP SIGNED MESSAGE-----"):
        # Also refuses text ahead of the signed part, which some readers would take for signed.
        raise SignatureError(f"{name} is not signed", hint="use another mirror: this one does not serve Debian's files")
    try:
        import pysequoia  # noqa: F401
    except ImportError:
        return _verify_with_gpgv(content, name, keyrings)
    return _verify_with_sequoia(content, name, keyrings)


def _verify_with_sequoia(content: bytes, name: str, keyrings: Sequence[Path]) -> Verified:
    import pysequoia

    asked: list[str] = []
    certificates = [certificate for file in keyrings for certificate in _certificates(file)]

    def store(ids: list[str]) -> list[Any]:
        asked.extend(ids)
        return certificates

    try:
        result = pysequoia.verify(bytes=content, store=store)
    except Exception as error:  # pysequoia raises bare RuntimeErrors
        raise _refusal(name, asked, str(error).splitlines()[0]) from error
    if result.bytes is None or not result.valid_sigs:
        raise _refusal(name, asked, "no valid signature")
    return Verified(bytes(result.bytes), tuple(item.signing_key for item in result.valid_sigs), "pysequoia")


@cache
def _certificates(file: Path) -> tuple[Any, ...]:
    import pysequoia

    try:
        return tuple(pysequoia.Cert.split_file(str(file)))
    except Exception as error:
        raise SignatureError(
            f"{file} holds no OpenPGP keys: {str(error).splitlines()[0]}",
            hint="correct `keyrings` in the configuration",
        ) from error


def _verify_with_gpgv(content: bytes, name: str, keyrings: Sequence[Path]) -> Verified:
    gpgv = shutil.which("gpgv")
    if gpgv is None:
        raise HostError(
            "neither the Python package pysequoia nor gpgv is there to verify signatures",
            hint="`pip install pysequoia`, or install the system's gpgv",
        )
    with tempfile.TemporaryDirectory(prefix="jc-gpgv-") as folder:
        signed, text = Path(folder, "signed"), Path(folder, "text")
        signed.write_bytes(content)
        rings = [option for file in keyrings for option in ("--keyring", str(file.absolute()))]
        done = subprocess.run(
            [gpgv, "--homedir", folder, "--status-fd", "1", *rings, "--output", str(text), str(signed)],
            capture_output=True, text=True, errors="replace", check=False, env={**os.environ, "LC_ALL": "C"},
        )  # fmt: skip
        status = [line.split()[1:] for line in done.stdout.splitlines() if line.startswith("[GNUPG:] ")]
        signers = tuple(words[1].lower() for words in status if words[0] == "VALIDSIG")
        asked = [words[1].lower() for words in status if words[0] in {"NO_PUBKEY", "BADSIG"}]
        # Exit status 2 with a VALIDSIG: further signatures are by keys that we don't have (gpgv wants all of them).
        if not signers or any(words[0] in {"BADSIG", "FAILURE"} for words in status) or not text.is_file():
            cause = next((line for line in done.stderr.splitlines() if "BAD" in line), "no valid signature")
            raise _refusal(name, asked, cause)
        return Verified(text.read_bytes(), signers, "gpgv")


def _refusal(name: str, keys: Sequence[str], cause: str) -> SignatureError:
    by = f" (signed by key {', '.join(keys)})" if keys else ""
    return SignatureError(
        f"the signature of {name} does not hold{by}: {cause}",
        hint="use another mirror; an archive of your own needs its key in `keyrings` of the configuration file",
    )
