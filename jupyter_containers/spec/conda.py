"""environment.yml: names, versions, the pip part; conda packages are looked up in ``data/conda.toml``."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from .assembly import Assembly
from .requirement import Wrong
from .requirements import add_requirement, logical_lines
from .walk import Key, Place, nearest
from .yaml_nodes import compose, line_of

if TYPE_CHECKING:
    import yaml

__all__ = ["Match", "convert_version", "counterparts", "parse_match", "read_environment"]

_KEYS = ("name", "channels", "dependencies", "variables", "prefix", "platforms", "category")
_MATCH = (
    r"(?:[\w./:-]+::)?(?P<name>[A-Za-z0-9_][A-Za-z0-9_.-]*)\s*"
    r"(?:\[(?P<bracket>[^\]]*)\]|(?P<version>[=<>!~\d*].*))?"
)
_OPERATOR = r"(>=|<=|==|!=|~=|>|<|=)?\s*(\S+)"


class Debian(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    package: str
    reason: str


class Counterparts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What conda's names stand for: ``data/conda.toml``."""

    pypi: Mapping[str, str]
    debian: Mapping[str, Debian]
    unneeded: Mapping[str, str]


class Match(NamedTuple):
    """A conda match specification: ``python=3.11``, ``conda-forge::numpy >=1.26``."""

    name: str
    version: str
    """As conda has it; empty: any."""
    exact: bool
    """``name=1.2=build`` means this very version, where ``name=1.2`` means 1.2.*."""


@cache
def counterparts() -> Counterparts:
    text = Path(__file__).with_name("data").joinpath("conda.toml").read_text("utf-8")
    return msgspec.convert(tomllib.loads(text), Counterparts)


def parse_match(text: str) -> Match:
    """The parts of *text*; :class:`Wrong` where it is none (conda's MatchSpec)."""
    found = re.fullmatch(_MATCH, text.strip())
    if found is None:
        raise Wrong(f"{text!r} is not a conda package", "Write `name`, `name=1.2` or `name>=1.2,<2`")
    version = found["version"] or ""
    if found["bracket"] is not None:
        pairs = dict(re.findall(r"(\w+)\s*=\s*['\"]?([^'\"]*?)['\"]?\s*(?:,(?=\s*\w+\s*=)|$)", found["bracket"]))
        version = pairs.get("version", "")
    version = version.strip()
    built = re.fullmatch(r"=?=?\s*([^=<>!~\s,|]+)\s*[=\s]\s*([^=<>!~\s,|]+)", version)
    if built:  # the build string (py311h12 or 0) means nothing outside of conda
        return Match(found["name"].lower(), built[1], True)
    spaced = re.fullmatch(r"\d[\w.]*", version)
    return Match(found["name"].lower(), version, spaced is not None)


def convert_version(match: Match) -> str:
    """The version part in PEP 440: ``=1.26`` gives ``==1.26.*``. :class:`Wrong` where there is no counterpart."""
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    if match.version in {"", "*"}:
        return ""
    if "|" in match.version:
        raise Wrong(f"{match.version!r}: PEP 440 has no `or`", "Write one range")
    parts = [_convert_part(part.strip(), match.exact) for part in match.version.split(",")]
    try:
        SpecifierSet(",".join(parts))
    except InvalidSpecifier:
        raise Wrong(f"{match.version!r} is not a version range", "Write it as `=1.2` or `>=1.2,<2`") from None
    return ",".join(parts)


def _convert_part(part: str, exact: bool) -> str:
    found = re.fullmatch(_OPERATOR, part)
    if found is None:
        return part
    operator, version = found[1] or "", found[2]
    starred = version.endswith("*")
    bare = version.rstrip("*").rstrip(".")
    if operator in {"", "="}:
        return f"=={bare}" if exact and not starred else f"=={bare}.*"
    if starred and operator in {"==", "!="}:
        return f"{operator}{bare}.*"
    return f"{operator}{bare}"


def read_environment(assembly: Assembly, name: str) -> None:
    """Add what the environment.yml *name* asks for; :class:`SpecError` where it can't be read."""
    import yaml

    shown = assembly.folder.shown(name)
    root = compose(assembly.folder.read_text(name), shown)
    if not isinstance(root, yaml.MappingNode):
        assembly.report(Place(shown, 1), "is not a conda environment: keys such as `dependencies:` are missing")
        return
    assembly.use(name, "conda environment: packages are taken from PyPI and Debian, channels are not asked")
    _Reader(assembly, name, shown).read(root)


class _Reader:
    def __init__(self, assembly: Assembly, name: str, shown: str) -> None:
        self.assembly = assembly
        self.name = name
        self.shown = shown

    def read(self, root: yaml.MappingNode) -> None:
        import yaml

        for key, value in root.value:
            place = self.place(key)
            match key.value:
                case "name" if isinstance(value, yaml.ScalarNode):
                    if value.value.strip():
                        self.add_name(value.value, place)
                case "dependencies" if isinstance(value, yaml.SequenceNode):
                    for item in value.value:
                        self.add_dependency(item)
                case "variables" if isinstance(value, yaml.MappingNode):
                    for variable, text in value.value:
                        self.assembly.set(("build", "env", str(variable.value)), text.value, self.place(variable))
                case "name" | "dependencies" | "variables" if value.value not in ("", None):
                    self.assembly.report(place, f"`{key.value}` is of a wrong kind")
                case other if other not in _KEYS:
                    self.assembly.report(place, f"unknown key `{other}`", nearest(str(other), _KEYS))

    def add_name(self, text: str, place: Place) -> None:
        from .names import make_name

        # conda's names may have capitals and spaces.
        self.assembly.set(("name",), make_name(text), place)

    def add_dependency(self, node: yaml.Node) -> None:
        import yaml

        place = self.place(node)
        if isinstance(node, yaml.ScalarNode):
            try:
                self.add_package(parse_match(node.value), place)
            except Wrong as wrong:
                self.assembly.report(place, wrong.cause, wrong.remedy)
            return
        pairs = node.value if isinstance(node, yaml.MappingNode) else []
        for key, value in pairs:
            if key.value == "pip" and isinstance(value, yaml.SequenceNode):
                self.add_pip(value)
            else:
                self.assembly.report(self.place(key), f"`{key.value}:` in the dependencies is not known", "Use `pip:`")
        if not pairs:
            self.assembly.report(place, "is neither a package nor `pip:`")

    def add_pip(self, node: yaml.SequenceNode) -> None:
        for item in node.value:
            place = self.place(item)
            if not isinstance(item.value, str):
                self.assembly.report(place, "is not a requirement")
                continue
            for _, line in logical_lines(item.value):
                add_requirement(self.assembly, line, place, file=self.name)

    def add_package(self, match: Match, place: Place) -> None:
        known = counterparts()
        if match.name == "python":
            self.add_python(match, place)
        elif match.name in known.pypi:
            target, bracket, extras = known.pypi[match.name].partition("[")
            requirement = f"{target}{bracket}{extras}{convert_version(match)}"
            self.assembly.add(("packages", "pip"), requirement, place)
            if target.lower().replace("-", "_") != match.name.replace("-", "_"):
                self.assembly.use(self.name, f"line {place.line}: conda's {match.name} is {target} on PyPI")
        elif match.name in known.debian:
            debian = known.debian[match.name]
            self.assembly.add(("packages", "apt"), debian.package, place)
            version = f"; the version {match.version!r} is not applied" if match.version else ""
            told = f"conda's {match.name} is Debian's {debian.package} ({debian.reason}{version})"
            self.assembly.use(self.name, f"line {place.line}: {told}")
        elif match.name in known.unneeded:
            told = f"conda's {match.name} is left out: {known.unneeded[match.name]}"
            self.assembly.use(self.name, f"line {place.line}: {told}")
        else:
            self.assembly.report(
                place,
                f"the conda package {match.name!r} has no counterpart that is known",
                "Write it below `- pip:` if PyPI has it, or put Debian's package of it into an apt.txt",
            )

    def add_python(self, match: Match, place: Place) -> None:
        version = convert_version(match)
        if not version:
            return
        plain = re.fullmatch(r"==(\d+(?:\.\d+)*)(?:\.\*)?", version)
        key: Key = ("python",)
        self.assembly.set(key, plain[1] if plain else version, place)

    def place(self, node: yaml.Node) -> Place:
        return Place(self.shown, line_of(node))
