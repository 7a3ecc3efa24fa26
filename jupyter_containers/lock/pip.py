"""Python packages: resolved by uv, which the wheel `uv` brings, to a PEP 751 document.

uv never runs code of a package here. Its metadata comes from wheels, and for folders from the ``[project]`` table; a
package that would have to be built to know what it needs is refused by name, because that build would run on the
host. uv works in a folder of its own, so that configuration beside an untrusted spec has no say; the user's and the
system's uv.toml have.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import tempfile
import time
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
from packaging.utils import canonicalize_name

from ..errors import ResolutionError, SpecError
from ..spec.model import EnvironmentSpec, LoadedSpec
from ..spec.requirement import HASH, distribution_name, local_path
from . import filetext
from .artifacts import Artifact, select_artifacts
from .indexes import find_indexes
from .model import Interpreter, PythonPackages
from .pylock import check_document, environment_marker, shape
from .settings import Settings
from .uv import explanation, failure, own_options, run_uv, uv_environment, uv_path

__all__ = [
    "Artifact",
    "compile_python",
    "needs_ipykernel",
    "resolve_python",
    "select_artifacts",
    "uv_environment",
    "uv_path",
    "wants_python",
]

_FRESH = 600
"""Seconds for which PyPI lets its index pages be used without asking again (Cache-Control: max-age=600)."""


def wants_python(spec: EnvironmentSpec, *, adopted: bool = False) -> bool:
    """Whether an interpreter is part of the environment."""
    if spec.python == "none":
        return False
    return adopted or spec.python is not None or bool(spec.packages.pip) or needs_ipykernel(spec)


def needs_ipykernel(spec: EnvironmentSpec) -> bool:
    """A Python kernel needs it, unless the spec starts a kernel of its own that is something else."""
    if spec.kernel.argv:
        return any("ipykernel" in item for item in spec.kernel.argv)
    return spec.kernel.language == "python"


def resolve_python(
    loaded: LoadedSpec,
    interpreter: Interpreter,
    *,
    cache_dir: Path,
    settings: Settings,
    architectures: Sequence[str],
    previous: PythonPackages | None = None,
    upgrade: bool | frozenset[str] = False,
    compiled: Mapping[str, Any] | None = None,
    kept: Sequence[str] = (),
) -> PythonPackages:
    """The Python packages of a spec, for *interpreter* on *architectures*.

    *previous*'s versions are kept where the spec allows them, but those in *upgrade* (True: all). *compiled*: what
    :func:`compile_python` gave for this interpreter's version. *kept*: requirements of a base, met as well.
    Raises :class:`ResolutionError` with uv's explanation, :class:`UnreachableError`, :class:`SpecError`.
    """
    run = _Uv(loaded, interpreter.version, cache_dir, settings, tuple(architectures))
    if loaded.pylock is not None:
        document = run.adopt(loaded.pylock, interpreter)
    else:
        if compiled is None:
            compiled = run.compile([*run.requirements(), *kept], previous, upgrade)
        document = run.shape(compiled, interpreter)
    return PythonPackages(interpreter=interpreter, pylock=document)


def compile_python(
    loaded: LoadedSpec,
    version: str,
    *,
    cache_dir: Path,
    settings: Settings,
    architectures: Sequence[str],
    previous: PythonPackages | None = None,
    upgrade: bool | frozenset[str] = False,
) -> dict[str, Any]:
    """uv's part of :func:`resolve_python`, which needs the interpreter's version (``3.13``) and no more: so it can
    run while the base is resolved."""
    run = _Uv(loaded, version, cache_dir, settings, tuple(architectures))
    return run.compile(run.requirements(), previous, upgrade)


class _Uv:
    """One resolution."""

    def __init__(
        self, loaded: LoadedSpec, version: str, cache_dir: Path, settings: Settings, architectures: tuple[str, ...]
    ) -> None:
        self.loaded, self.version, self.cache_dir = loaded, version, cache_dir
        self.settings, self.architectures = settings, architectures
        self.indexes = find_indexes(loaded.spec.packages)

    def requirements(self) -> list[str]:
        """Lines of a requirements file: the spec's, with paths made absolute, and ipykernel."""
        wanted = list(self.loaded.spec.packages.pip)
        lines = [_absolute(item, self.loaded.folder) for item in wanted]
        if needs_ipykernel(self.loaded.spec) and all(distribution_name(item) != "ipykernel" for item in wanted):
            lines.append("ipykernel")
        return lines

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
        self._check_folders()
        with tempfile.TemporaryDirectory(prefix="jc-uv-") as name:
            work = Path(name)
            (work / "requirements.in").write_text(_text(lines), "utf-8")
            (work / "constraints.txt").write_text(_text(bounds), "utf-8")
            (work / "pyproject.toml").write_text(self._project(), "utf-8")
            output = work / "pylock.toml"
            options = ["-c", "constraints.txt", *self.indexes.arguments()]
            if previous is not None and upgrade is not True:
                # uv takes the versions of an existing output file as preferences.
                output.write_text(filetext.dump({"lock-version": "1.0", **previous.pylock}), "utf-8")
                for package in sorted(upgrade or ()):
                    options += ["--upgrade-package", package]
            memory = self._memory(lines, bounds, options)
            fresh = _is_fresh(memory) and not upgrade and not self.settings.offline
            done = self._run(work, [*options, "--offline"]) if fresh else None
            if done is None or done.returncode != 0:
                done = self._run(work, [*options, *(["--offline"] if self.settings.offline else [])])
                if done.returncode != 0:
                    raise failure(done.stderr)
                memory.parent.mkdir(parents=True, exist_ok=True)
                memory.touch()
            return tomllib.loads(output.read_text("utf-8"))

    def shape(self, document: Mapping[str, Any], interpreter: Interpreter) -> dict[str, Any]:
        """What images can use of uv's document. Its paths are absolute, as the requirements' are."""
        return shape(
            document, interpreter, folder=self.loaded.folder, start=self.loaded.folder,
            architectures=self.architectures, hashes=_given_hashes(self.loaded.spec.packages.pip),
        )  # fmt: skip

    def adopt(self, file: Path, interpreter: Interpreter) -> dict[str, Any]:
        """The document of a foreign lock, checked; ipykernel is added where it lacks it."""
        if file.name == "uv.lock":
            document = self._export(file)
        else:
            try:
                document = tomllib.loads(file.read_text("utf-8"))
            except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
                raise SpecError(
                    f"cannot read {file}: {error}", hint="lock it anew with the tool that wrote it"
                ) from error
        check_document(document, file, interpreter)
        adopted = shape(
            document, interpreter, folder=self.loaded.folder, start=file.parent, architectures=self.architectures
        )
        names = {package["name"] for package in adopted["packages"]}
        lines = [] if not needs_ipykernel(self.loaded.spec) or "ipykernel" in names else ["ipykernel"]
        lines += [
            _absolute(item, self.loaded.folder)
            for item in self.loaded.spec.packages.pip
            if distribution_name(item) not in names
        ]
        if lines:
            pins = [
                f"{package['name']}=={package['version']}" for package in adopted["packages"] if "version" in package
            ]
            added = self.shape(self.compile(lines, None, False, constraints=pins), interpreter)
            adopted["packages"] += [package for package in added["packages"] if package["name"] not in names]
            adopted["packages"].sort(key=lambda entry: (entry["name"], entry.get("version", "")))
        return adopted

    def _export(self, file: Path) -> dict[str, Any]:
        """uv.lock as PEP 751, made in a copy: uv may touch a project's files."""
        packages = self.loaded.spec.packages
        with tempfile.TemporaryDirectory(prefix="jc-uv-") as name:
            work = Path(name) / "project"
            # The project's own, and those of a workspace's members, which uv reads even when frozen.
            for project in [
                path for depth in ("", "*/", "*/*/") for path in file.parent.glob(f"{depth}pyproject.toml")
            ]:
                target = work / project.relative_to(file.parent)
                if project.is_file():
                    target.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(project, target)
            shutil.copyfile(file, work / "uv.lock")
            choice = [option for group in packages.groups for option in ("--group", group)]
            choice += [option for extra in packages.extras for option in ("--extra", extra)]
            done = run_uv(
                ["export", "--format", "pylock.toml", "--frozen", "--no-emit-project", "--no-default-groups", *choice,
                 "--no-header", "--no-build", "--output-file", str(work / "pylock.toml")],
                work, cache_dir=self.cache_dir,
            )  # fmt: skip
            if done.returncode != 0:
                raise SpecError(
                    f"{file} cannot be read by uv: {explanation(done.stderr)}", hint="run `uv lock` in its folder"
                )
            return tomllib.loads((work / "pylock.toml").read_text("utf-8"))

    def _run(self, work: Path, options: Sequence[str]) -> subprocess.CompletedProcess[str]:
        arguments = [
            "pip", "compile", "requirements.in", "--universal", "--format", "pylock.toml", "--generate-hashes",
            "--python-version", self.version, "--no-build", "--no-header", "--no-annotate", "--quiet",
            "--output-file", "pylock.toml", *options,
        ]  # fmt: skip
        return run_uv(arguments, work, cache_dir=self.cache_dir)

    def _project(self) -> str:
        """A project of its own: it ends uv's search for configuration, and bounds the resolution to the images."""
        from .artifacts import MACHINES

        required = [
            f"sys_platform == 'linux' and platform_machine == '{MACHINES.get(item, item)}'"
            for item in self.architectures
        ]
        tables = {
            **own_options(),
            "environments": [environment_marker(self.version)],
            "required-environments": required,
            "workspace": {},
        }
        return filetext.dump({"tool": {"uv": tables}})

    def _memory(self, *parts: Sequence[str]) -> Path:
        key = msgspec.json.encode([str(uv_path()), self.version, self._project(), *parts])
        return self.cache_dir / "jc-fresh" / hashlib.sha256(key).hexdigest()

    def _check_folders(self) -> None:
        """Local packages must say what they need without being run (PEP 621 without `dynamic` dependencies)."""
        for item in self.loaded.spec.packages.pip:
            path = local_path(item)
            if path is not None and (self.loaded.folder / path).is_dir():
                _check_folder(self.loaded.folder / path, item)


def _absolute(requirement: str, folder: Path) -> str:
    """A path requirement with its path absolute, since uv works elsewhere; others as they are."""
    path = local_path(requirement)
    if path is None:
        return requirement
    written, hashes, given = requirement.partition(" --hash=")
    rest = re.sub(r"^\.{1,2}(/[^\[;]*)?", "", written).strip()
    # A space before the marker's semicolon, or it would be taken for a part of the path.
    rest = f" {rest}" if rest.startswith(";") else rest.replace(";", " ;", 1)
    return f"{(folder / path).resolve()}{rest}{hashes}{given}"


def _check_folder(folder: Path, requirement: str) -> None:
    project = folder / "pyproject.toml"
    try:
        table = tomllib.loads(project.read_text("utf-8")).get("project")
    except FileNotFoundError:
        table = None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SpecError(f"cannot read {project}: {error}", hint="correct the file") from error
    dynamic = table.get("dynamic", ()) if isinstance(table, dict) else ()
    if not isinstance(table, dict) or "name" not in table:
        cause = f"{folder} has no pyproject.toml with a [project] table"
    elif "dependencies" in dynamic or "optional-dependencies" in dynamic:
        cause = f"{project} has dynamic dependencies"
    elif "version" in dynamic or "version" not in table:
        cause = f"{project} has a dynamic version"
    else:
        return
    raise ResolutionError(
        f"{requirement}: {cause}; knowing more would mean running its code on the host",
        hint="write name, version and dependencies into the [project] table, or install it with a `build.run` line",
    )


def _given_hashes(requirements: Sequence[str]) -> dict[str, frozenset[str]]:
    """Name → the sha256 that the spec accepts, for requirements with ``--hash``."""
    found: dict[str, frozenset[str]] = {}
    for item in requirements:
        bare, *hashes = item.split(" --hash=")
        name = distribution_name(bare)
        if not hashes or name is None:
            continue
        matches = [HASH.fullmatch(value.strip()) for value in hashes]
        sha256 = frozenset(match["digest"] for match in matches if match and match["algorithm"] == "sha256")
        if not sha256:
            raise ResolutionError(f"{bare}: none of its hashes is a sha256", hint="give `--hash=sha256:…`")
        found[canonicalize_name(name)] = found.get(canonicalize_name(name), frozenset()) | sha256
    return found


def _text(lines: Sequence[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def _is_fresh(memory: Path) -> bool:
    try:
        return 0 <= time.time() - memory.stat().st_mtime < _FRESH
    except OSError:
        return False
