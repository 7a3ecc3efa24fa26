"""uv's universal resolution, bound to the images that a lock is for."""

from __future__ import annotations

import hashlib
import subprocess
import tempfile
import threading
import time
import tomllib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

import msgspec

from ..errors import ResolutionError
from ..spec.model import LoadedSpec
from ..spec.requirement import distribution_name, normalise_name
from . import filetext
from .artifacts import MACHINES, file_name
from .asking import Ask, Source, UntoldError
from .fetch import Fetcher
from .indexes import find_indexes
from .model import Interpreter, PythonPackages
from .pylock import environment_marker, shape
from .requirements import absolute, called, given_hashes, untold_folders
from .sdists import SourceMetadata, read_sdist
from .settings import Settings
from .uv import NoWheelError, failure, own_options, run_uv, uv_path

__all__ = ["Compilation"]

_FRESH = 600
"""Seconds for which PyPI lets its index pages be used without asking again (Cache-Control: max-age=600)."""


_MOST_ROUNDS = 40
"""Each round finds at least one more package without a wheel, or ends."""

_OTHERWISE = (
    "take a version that has a wheel, build one and put it in the spec's folder (`./name.whl`), or install it with a "
    "`build.run` line"
)

_READ = SourceMetadata((), (), "")


class Compilation:
    """One resolution of a spec's Python packages by uv."""

    def __init__(
        self,
        loaded: LoadedSpec,
        version: str,
        cache_dir: Path,
        settings: Settings,
        architectures: tuple[str, ...],
        *,
        fetcher: Fetcher | None = None,
        warn: Callable[[str], None] | None = None,
        ask: Ask | None = None,
    ) -> None:
        """*fetcher* gets source archives of packages without a wheel, to read what they need; without it such
        packages are refused. *warn* is told of each. *ask* is for sources that don't tell; without it they are an
        :class:`UntoldError`."""
        self.loaded, self.version, self.cache_dir = loaded, version, cache_dir
        self.settings, self.architectures = settings, architectures
        self.fetcher, self.warn, self._ask = fetcher, warn, ask
        self.indexes = find_indexes(loaded.spec.packages)

    @property
    def stopped(self) -> threading.Event | None:
        """Set once nobody waits for the result any more."""
        return self.fetcher.stopped if self.fetcher is not None else None

    def compile(
        self,
        lines: Sequence[str],
        previous: PythonPackages | None,
        upgrade: bool | frozenset[str],
        *,
        constraints: Sequence[str] = (),
    ) -> dict[str, Any]:
        """uv's PEP 751 document for requirement *lines*."""
        bounds = [*self.loaded.spec.packages.constraints, *constraints]
        kept = previous if upgrade is not True else None
        sources: dict[str, SourceMetadata | None] = dict.fromkeys(_built_before(kept) if not upgrade else ())
        lines = self._ask_folders(lines, sources)
        pins: dict[str, str] = {}
        for _ in range(_MOST_ROUNDS):
            try:
                document = self._compile(lines, [*bounds, *pins.values()], kept, upgrade, sources)
            except NoWheelError as error:
                further = self._without_wheel(error, lines) - sources.keys()
                given = {name: address for name, address in error.given.items() if name not in sources}
                if not further and not given:
                    raise
                sources.update(dict.fromkeys(sorted(further)))
                sources.update({name: self._ask_given(name, address, error) for name, address in given.items()})
                continue
            except ResolutionError as error:
                if not pins:
                    raise
                # uv calls them the user's own wishes.
                taken = f"{error.message} ({', '.join(pins.values())}: no wheel fits, so the newest source was taken)"
                raise ResolutionError(taken, hint=error.hint) from error
            unread = [package for package in document["packages"] if sources.get(package["name"], _READ) is None]
            if not unread:
                return document
            for package in unread:
                sources[package["name"]] = self._read_source(package)
                # Another version might need other packages.
                pins[package["name"]] = f"{package['name']}=={package['version']}"
        raise ResolutionError(
            f"the Python packages cannot be resolved: too many without a wheel ({', '.join(sorted(sources))})",
            hint="give versions that have wheels",
        )

    def _compile(
        self,
        lines: Sequence[str],
        bounds: Sequence[str],
        previous: PythonPackages | None,
        upgrade: bool | frozenset[str],
        sources: Mapping[str, SourceMetadata | None],
    ) -> dict[str, Any]:
        with tempfile.TemporaryDirectory(prefix="jc-uv-") as name:
            work = Path(name)
            (work / "requirements.in").write_text(_text(lines), "utf-8")
            (work / "constraints.txt").write_text(_text(bounds), "utf-8")
            project = self._project(sources)
            (work / "pyproject.toml").write_text(project, "utf-8")
            output = work / "pylock.toml"
            options = ["-c", "constraints.txt", *self.indexes.arguments()]
            # uv never builds these, since it is told what they need, whatever their version.
            options += [option for package in sorted(sources) for option in ("--no-binary", package)]
            if previous is not None:
                # uv takes the versions of an existing output file as preferences.
                output.write_text(filetext.dump({"lock-version": "1.0", **previous.pylock}), "utf-8")
            if not isinstance(upgrade, bool):
                options += [option for package in sorted(upgrade) for option in ("--upgrade-package", package)]
            memory = self._memory(lines, bounds, options, project)
            done = None
            if self.settings.offline or (_is_fresh(memory) and not upgrade):
                done = self._run(work, [*options, "--offline"])
            if done is None or (done.returncode != 0 and not self.settings.offline):
                # An upgrade is about what the index has now, whatever it said a moment ago.
                done = self._run(work, [*options, *(["--refresh"] if upgrade is True else [])])
                if done.returncode == 0:
                    memory.parent.mkdir(parents=True, exist_ok=True)
                    memory.touch()
            if done.returncode != 0:
                raise failure(done.stderr)
            return tomllib.loads(output.read_text("utf-8"))

    def _without_wheel(self, error: NoWheelError, lines: Sequence[str]) -> set[str]:
        """Names whose source archives may help: from an index, not given by an address or a path of their own."""
        if self.fetcher is None:
            return set()
        given = {distribution_name(line) for line in lines if "@" in line.partition(";")[0]}
        return {name for name in error.without_wheel if name not in given}

    def _read_source(self, package: Mapping[str, Any]) -> SourceMetadata:
        """What a package needs that uv found as a source archive only."""
        assert self.fetcher is not None  # no package gets here without
        title = f"{package['name']} {package['version']}"
        sdist = package.get("sdist")
        found = None
        if sdist is not None:
            name = file_name(sdist)
            path = self.fetcher.fetch([sdist["url"]], sdist["hashes"]["sha256"], sdist.get("size"))
            found = read_sdist(path, name)
            if found is None:
                cause = f"{title} has no wheel that fits, and its source archive does not tell what it needs"
                found = self._asked(Source("sdist", title, str(path), name), cause)
        if found is None:
            raise ResolutionError(f"{title} has neither a wheel that fits nor a source archive", hint=_OTHERWISE)
        if self.warn is not None:
            always = [item for item in found.requires if "extra ==" not in item]
            needs = f"needs {', '.join(always) or 'nothing'} (says its {found.told_by})"
            self.warn(f"{title} has no wheel that fits: it is built in the sandbox, and {needs}")
        return found

    def _asked(self, source: Source, cause: str) -> SourceMetadata:
        if self._ask is None:
            raise UntoldError(cause)
        return self._ask(source)

    def _ask_folders(self, lines: Sequence[str], sources: dict[str, SourceMetadata | None]) -> list[str]:
        """*lines* with the names of local packages that had to be asked; what they said goes to *sources*."""
        named = list(lines)
        for item, folder, cause in untold_folders(self.loaded):
            found = self._asked(Source("directory", item, str(folder)), f"{item}: {cause}")
            sources[normalise_name(found.name)] = found
            line = absolute(item, self.loaded.folder)
            named = [called(line, folder, found.name) if each == line else each for each in named]
        return named

    def _ask_given(self, name: str, address: str, error: NoWheelError) -> SourceMetadata:
        """What the package at *address*, a repository or a file, needs; *error* for what can't be asked."""
        cause = f"{name} @ {address} does not tell what it needs"
        path = Path(url2pathname(urlsplit(address).path))
        if address.startswith("git+"):
            found = self._asked(Source("vcs", name, address), cause)
        elif address.startswith("file://") and path.is_file():
            found = self._asked(Source("sdist", name, str(path), path.name), cause)
        else:
            raise error
        if normalise_name(found.name) != name:
            raise ResolutionError(f"{address} calls itself {found.name}, and not {name}", hint="correct the name")
        return found

    def shape(self, document: Mapping[str, Any], interpreter: Interpreter) -> dict[str, Any]:
        """What images can use of uv's document. Its paths are absolute, as the requirements' are."""
        return shape(
            document, interpreter, folder=self.loaded.folder, start=self.loaded.folder,
            architectures=self.architectures, hashes=given_hashes(self.loaded.spec.packages.pip),
        )  # fmt: skip

    def _run(self, work: Path, options: Sequence[str]) -> subprocess.CompletedProcess[str]:
        arguments = [
            "pip", "compile", "requirements.in", "--universal", "--format", "pylock.toml", "--generate-hashes",
            "--python-version", self.version, "--only-binary", ":all:", "--no-header", "--no-annotate", "--quiet",
            "--output-file", "pylock.toml", *options,
        ]  # fmt: skip
        return run_uv(arguments, work, cache_dir=self.cache_dir, stop=self.stopped)

    def _project(self, sources: Mapping[str, SourceMetadata | None]) -> str:
        """A project of its own: it ends uv's search for configuration, and bounds the resolution to the images."""
        required = [
            f"sys_platform == 'linux' and platform_machine == '{MACHINES.get(item, item)}'"
            for item in self.architectures
        ]
        tables = {
            **own_options(),
            "environments": [environment_marker(self.version)],
            "required-environments": required,
            "dependency-metadata": [
                {
                    "name": name,
                    **({"version": found.version} if found and found.version else {}),
                    "requires-dist": list(found.requires if found else ()),
                    "provides-extra": list(found.extras if found else ()),
                }
                for name, found in sorted(sources.items())
            ],
            "workspace": {},
        }
        return filetext.dump({"tool": {"uv": tables}})

    def _memory(self, *parts: Sequence[str]) -> Path:
        key = msgspec.json.encode([str(uv_path()), self.version, *parts])
        return self.cache_dir / "jc-fresh" / hashlib.sha256(key).hexdigest()


def _built_before(previous: PythonPackages | None) -> list[str]:
    """Names that an earlier lock has as source archives from an index: known without asking what uv says to them."""
    packages = previous.pylock.get("packages", ()) if previous is not None else ()
    return sorted(package["name"] for package in packages if "sdist" in package and "wheels" not in package)


def _text(lines: Sequence[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def _is_fresh(memory: Path) -> bool:
    try:
        return 0 <= time.time() - memory.stat().st_mtime < _FRESH
    except OSError:
        return False
