"""One requirement: PEP 508, or a path inside of the spec's folder, each with optional hashes."""

from __future__ import annotations

import posixpath
import re

__all__ = [
    "HASH",
    "SIMPLE",
    "Wrong",
    "check_constraint",
    "check_requirement",
    "distribution_name",
    "local_path",
    "normalise_name",
]

HASH = r"(?P<algorithm>[a-z0-9]+):(?P<digest>[0-9a-f]+)"
_DIGITS = {"sha256": 64, "sha384": 96, "sha512": 128}
"""Hash algorithms that pip accepts for `--hash` (pip: "Secure installs"), with their length in hex digits."""
_HASH_OPTION = r"\s--hash[=\s]\s*(\S+)"
_PATH = r"(?P<path>\.{1,2}(?:/[^\[;]*?)?)(?P<extras>\[[^\]]*\])?\s*(?:;(?P<marker>.*))?"
_CLAUSE = r"(?:(?:>=|<=|==|!=|<|>) *[0-9]{1,9}(?:\.[0-9]{1,9})*|~= *[0-9]{1,9}(?:\.[0-9]{1,9})+)"
SIMPLE = rf"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])? *(?:{_CLAUSE}(?: *, *{_CLAUSE})*)?"
"""Requirements that are seen to be well formed without a parser: a name with plain versions (PEP 508, PEP 440). Most
are, and importing packaging takes longer than all else of reading a spec."""
_BARE_URL = r"(?:[a-z]+\+)?[a-z]+://\S+"


class Wrong(ValueError):
    """A value that breaks a rule: *cause*, and *remedy* where there is one to tell."""

    def __init__(self, cause: str, remedy: str = "") -> None:
        super().__init__(cause)
        self.cause = cause
        self.remedy = remedy


def check_requirement(text: str) -> str:
    """*text* with its hashes in the form `` --hash=ALGORITHM:HEX``."""
    bare, hashes = _split_hashes(text)
    if bare.startswith("-"):
        option = bare.split()[0].partition("=")[0]
        raise Wrong(f"the option {option!r} is not accepted here", _OPTION_REMEDIES.get(option, "Remove it"))
    if bare.startswith(("/", "~")) or re.match(r"[A-Za-z]:\\", bare):
        raise Wrong(f"{bare!r} is a path outside of the spec's folder", "Copy it into the folder and write `./NAME`")
    if bare == "." or bare.startswith(("./", "../", "..")):
        _check_path(bare)
    elif re.fullmatch(_BARE_URL, bare):
        raise Wrong(f"{bare!r} does not say which package it is", f"Write `NAME @ {bare}`")
    else:
        _check_pep508(bare)
    return "".join([bare, *(f" --hash={item}" for item in hashes)])


def check_constraint(text: str) -> str:
    """A requirement that names a package and needs no extra (pip refuses those in constraints too)."""
    bare, hashes = _split_hashes(text)
    if bare.startswith((".", "/", "-")):
        raise Wrong(f"{bare!r} is not a constraint", "Write a name with versions, such as `numpy<2`")
    _check_pep508(bare)
    if re.match(r"[A-Za-z0-9._-]+\s*\[", bare):
        raise Wrong(f"{bare!r} has extras, which a constraint can't", "Remove the part in brackets")
    return "".join([bare, *(f" --hash={item}" for item in hashes)])


def local_path(requirement: str) -> str | None:
    """The path of a checked requirement that is a path: ``./pkg[x]; marker`` gives ``pkg``. Else None."""
    if not requirement.startswith("."):
        return None
    found = re.fullmatch(_PATH, requirement.partition(" --hash=")[0].strip())
    return posixpath.normpath(found["path"].strip()) if found else None


def distribution_name(requirement: str) -> str | None:
    """The normalised name of a checked PEP 508 requirement; None for a path."""
    found = re.match(r"[A-Za-z0-9][A-Za-z0-9._-]*", requirement)
    return normalise_name(found[0]) if found else None


def normalise_name(name: str) -> str:
    """A distribution's, extra's or group's name for comparing (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _split_hashes(text: str) -> tuple[str, list[str]]:
    if "\n" in text or "\r" in text or "\0" in text:
        raise Wrong(f"{text!r} holds a line break", "Write each requirement as an item of its own")
    bare = re.sub(_HASH_OPTION, "", text).strip()
    hashes = re.findall(_HASH_OPTION, text)
    if not bare:
        raise Wrong("is empty", "Remove it")
    for item in hashes:
        found = re.fullmatch(HASH, item)
        if found is None or _DIGITS.get(found["algorithm"]) != len(found["digest"]):
            raise Wrong(f"{item!r} is not a hash", "Write `--hash=sha256:` and 64 hex digits")
    return bare, hashes


def _check_path(text: str) -> None:
    from packaging.markers import InvalidMarker, Marker

    found = re.fullmatch(_PATH, text)
    if found is None:
        raise Wrong(f"{text!r} is neither a requirement nor a path", "Write `./PATH`, or a name with versions")
    if ".." in found["path"].split("/"):
        raise Wrong(f"{text!r} leaves the spec's folder", "Copy the package into the folder and write `./NAME`")
    if found["marker"] is not None:
        try:
            Marker(found["marker"])
        except InvalidMarker as error:
            raise Wrong(f"{text!r}: {_first_line(error)}") from None


def _check_pep508(text: str) -> None:
    if re.fullmatch(SIMPLE, text):
        return
    from packaging.requirements import InvalidRequirement, Requirement

    try:
        requirement = Requirement(text)
    except InvalidRequirement as error:
        raise Wrong(f"{text!r} is not a requirement: {_first_line(error)}", _remedy(text)) from None
    if requirement.url is None:
        return
    scheme, separator, _ = requirement.url.partition("://")
    if not separator or scheme == "file" or scheme.endswith("+file"):
        raise Wrong(
            f"{text!r} is on this host and not in the spec's folder", "Copy it into the folder and write `./NAME`"
        )
    if re.search(r"//[^/@]*:[^/@]*@", requirement.url):
        raise Wrong("the URL holds a password", "Remove it; uv reads ~/.netrc")


def _remedy(text: str) -> str:
    single = re.fullmatch(r"([A-Za-z0-9._-]+(?:\[[^\]]*\])?)\s*=\s*([0-9][^=\s]*)", text)
    if single:
        return f"Write `{single[1]}=={single[2]}`"
    spaced = re.fullmatch(r"([A-Za-z0-9._-]+)\s+([0-9][\w.]*)", text)
    if spaced:
        return f"Write `{spaced[1]}=={spaced[2]}`"
    if re.match(r"[\w.-]+/", text) and "@" not in text:
        return f"Write `./{text}` for a path"
    return "Write it as PEP 508 has it: `name`, `name[extra]>=1,<2`, `name @ https://…`"


def _first_line(error: Exception) -> str:
    # packaging draws an arrow under the text in the next lines
    text = str(error).splitlines()[0].strip()
    return text[:1].lower() + text[1:]


_OPTION_REMEDIES = {
    "-e": "Write the path alone: packages are installed into the image, not linked",
    "--editable": "Write the path alone: packages are installed into the image, not linked",
    "-c": "Write the constraints under `packages.constraints`",
    "--constraint": "Write the constraints under `packages.constraints`",
    "-i": "Write it as `packages.index-url`",
    "--index-url": "Write it as `packages.index-url`",
    "--extra-index-url": "Write it under `packages.extra-index-urls`",
}
