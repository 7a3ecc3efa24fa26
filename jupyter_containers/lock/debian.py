"""The Debian half of a resolution: suites to indexes, indexes to packages, for each architecture."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from ..errors import ArchiveError, ResolutionError
from ..spec.model import EnvironmentSpec
from . import apt, bootstrap
from . import version as versions
from .archive import Release, Warn, fetch_release, load_index
from .fetch import Fetcher, Progress
from .model import Base, DebianPackage, Interpreter, Lock
from .packages import Candidate, Index
from .solver import check_known

__all__ = ["Debian", "add_packages", "resolve_debian"]

_STABLE = frozenset({"stable", "oldstable", "oldoldstable"})

Preferred = Mapping[str, Mapping[str, str]]
"""Architecture → name → version of an earlier lock."""


@dataclass(frozen=True, slots=True)
class Debian:
    """What of a lock comes from Debian's archives."""

    base: Base
    apt: dict[str, tuple[DebianPackage, ...]]
    interpreter: Interpreter | None


@dataclass(frozen=True, slots=True)
class _Suites:
    main: Release
    all: tuple[Release, ...]
    """In the order in which equal versions are taken; *main* is one of them."""

    @property
    def date(self) -> str:
        """Of the newest, as :attr:`.Base.date`."""
        newest = max(release.date for release in self.all)
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(newest)) if newest else ""


def resolve_debian(
    spec: EnvironmentSpec,
    suite: str,
    *,
    wants_python: bool,
    architectures: Sequence[str],
    fetcher: Fetcher,
    previous: Lock | None,
    upgrade: bool | frozenset[str],
    progress: Progress,
    warn: Warn,
) -> Debian:
    """The bootstrap set of ``debian:<suite>`` and what the spec's apt list adds, for all *architectures*."""
    wishes = [apt.parse_wish(item) for item in spec.packages.apt]
    suites = _find_suites(suite, wishes, fetcher, warn)
    preferred = _preferred(previous, upgrade)
    base_packages: dict[str, tuple[DebianPackage, ...]] = {}
    added: dict[str, tuple[DebianPackage, ...]] = {}
    interpreters: dict[str, Interpreter] = {}
    archive = suites.main.archive
    for architecture in architectures:
        universe = _universe(suites, architecture, wishes, preferred, fetcher, progress)
        _check_wishes(universe, wishes)
        names = bootstrap.bootstrap_names(universe)
        if wants_python:
            python = bootstrap.choose_python(universe, spec.python, suite=suites.main.codename)
            assert python is not None  # "none" is what wants_python is about
            names.append(python.package)
        chosen = apt.solve(universe, names, title=f"debian:{suite} ({architecture})")
        if wants_python and python is not None:
            glibc = versions.upstream(chosen["libc6"].version) if "libc6" in chosen else ""
            interpreters[architecture] = Interpreter(
                version=python.short,
                path=python.path,
                full_version=python.version,
                glibc=".".join(glibc.split(".")[:2]),
            )
        base_packages[architecture] = apt.to_lock(chosen, archive=archive)
        if wishes:
            added[architecture] = apt.to_lock(_add(universe, chosen, wishes), archive=archive)
    found = sorted(interpreters.values(), key=lambda item: versions.version_key(item.full_version))
    base = Base(
        kind="debian", source=spec.base, suite=suites.main.codename, archive=archive,
        date=suites.date, packages=dict(sorted(base_packages.items())),
    )  # fmt: skip
    # One lock serves all architectures: the oldest interpreter of them decides, should they differ for a day.
    return Debian(base, dict(sorted(added.items())), found[0] if found else None)


def add_packages(
    spec: EnvironmentSpec,
    suite: str,
    installed: Mapping[str, Candidate],
    *,
    architecture: str,
    fetcher: Fetcher,
    previous: Lock | None,
    upgrade: bool | frozenset[str],
    progress: Progress,
    warn: Warn,
) -> tuple[str, str, tuple[DebianPackage, ...]]:
    """(archive, date, packages) that the spec's apt list adds to a base in which *installed* is there."""
    wishes = [apt.parse_wish(item) for item in spec.packages.apt]
    suites = _find_suites(suite, wishes, fetcher, warn)
    universe = _universe(suites, architecture, wishes, _preferred(previous, upgrade), fetcher, progress)
    added = apt.to_lock(_add(universe, installed, wishes), archive=suites.main.archive)
    return suites.main.archive, suites.date, added


def _add(
    universe: apt.Universe, installed: Mapping[str, Candidate], wishes: Sequence[apt.Wish]
) -> dict[str, Candidate]:
    above = apt.Universe(
        universe.indexes,
        installed=installed,
        preferred=universe.preferred,
        optional=universe.optional,
        wishes=universe.wishes,
    )
    return apt.solve(above, [wish.name for wish in wishes], title="packages.apt")


def _check_wishes(universe: apt.Universe, wishes: Sequence[apt.Wish]) -> None:
    """:class:`ResolutionError` with all that no suite has."""
    errors: list[ResolutionError] = []
    for wish in wishes:
        try:
            check_known(universe, wish.name, title="packages.apt")
        except ResolutionError as error:
            errors.append(error)
    if errors:
        hints = dict.fromkeys(error.hint for error in errors)
        raise ResolutionError("; ".join(error.message for error in errors), hint="; ".join(hints))


def _universe(
    suites: _Suites,
    architecture: str,
    wishes: Sequence[apt.Wish],
    preferred: Preferred,
    fetcher: Fetcher,
    progress: Progress,
) -> apt.Universe:
    def load(release: Release) -> list[Index]:
        return [
            index
            for component in fetcher.settings.components
            if component in release.components or release is suites.main
            for index in load_index(release, component, architecture, fetcher, progress=progress)
        ]

    with ThreadPoolExecutor(len(suites.all), "index") as pool:
        loaded = list(pool.map(load, suites.all))
    return apt.Universe(
        [index for indexes in loaded for index in indexes],
        preferred=preferred.get(architecture, {}),
        optional=frozenset(release.suite for release in suites.all if release.optional),
        wishes={wish.name: wish for wish in wishes},
    )


def _find_suites(suite: str, wishes: Sequence[apt.Wish], fetcher: Fetcher, warn: Warn) -> _Suites:
    """The suite, its updates and security, and those that single wishes name (backports)."""
    settings = fetcher.settings
    names = [suite, f"{suite}-updates"]
    extra = [wish.suite for wish in wishes if wish.suite and wish.suite not in {*names, f"{suite}-security"}]

    def find(name: str) -> Release | None:
        archives = settings.security_archives if name.endswith("-security") else settings.debian_archives
        return fetch_release(archives, name, fetcher, warn=warn)

    wanted = list(dict.fromkeys([*names, *([f"{suite}-security"] if settings.security else []), *extra]))
    with ThreadPoolExecutor(len(wanted), "suite") as pool:
        found = dict(zip(wanted, pool.map(find, wanted), strict=True))
    main = found[suite]
    if main is None:
        raise ResolutionError(
            f"there is no suite {suite!r} in {', '.join(settings.debian_archives)} ({settings.origin})",
            hint="write a Debian release such as debian:trixie; old ones are at https://archive.debian.org/debian",
        )
    # `debian:stable` has its updates and security under that name as well; the lock has the codename.
    if settings.security and found[f"{suite}-security"] is None and main.names & _STABLE:
        raise ArchiveError(
            f"{', '.join(settings.security_archives)} has no {suite}-security",
            hint="set JUPYTER_CONTAINERS_DEBIAN_SECURITY_MIRROR, or `security = false` under [debian] in the "
            "configuration file",
        )
    absent = [name for name in extra if found[name] is None]
    if absent:
        raise ResolutionError(
            f"packages.apt: there is no suite {absent[0]!r} in {', '.join(settings.debian_archives)}",
            hint=f"for example NAME/{main.codename}-backports",
        )
    # The main archive first: of equal versions its copy is on every mirror.
    order = [suite, f"{suite}-updates", f"{suite}-security", *extra]
    return _Suites(main, tuple(release for name in dict.fromkeys(order) if (release := found.get(name)) is not None))


def _preferred(previous: Lock | None, upgrade: bool | frozenset[str]) -> dict[str, dict[str, str]]:
    if previous is None or upgrade is True:
        return {}
    skipped = upgrade or frozenset()
    kept: dict[str, dict[str, str]] = {}
    for table in (previous.base.packages, previous.apt):
        for architecture, packages in table.items():
            names = kept.setdefault(architecture, {})
            names.update({package.name: package.version for package in packages if package.name not in skipped})
    return kept
