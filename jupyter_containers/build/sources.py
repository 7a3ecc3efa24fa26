"""Python packages that are not wheels: source archives, folders and version control, built in a sandbox of their own.

Building runs the package's code. It does so *without network*, in a throw-away writable layer over the image so far,
where compilers from ``packages.apt`` are, with nothing writable of the host's but a copy of the source and a folder for
the wheel. What it is built with is fetched before (:mod:`.isolation`); which versions of that were current that day is
not pinned by a lock, as with every installer of source archives. The wheel is kept by the hash of what it was built
from.
"""

from __future__ import annotations

import functools
import hashlib
import re
import shutil
import stat
from pathlib import Path

from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename

from ..errors import BuildError
from ..lock.pip import Artifact, uv_path
from ..sandbox.model import Bind
from .aside import OUTPUT, SOURCE, run_aside, unpack, writable
from .context import Context
from .emulation import ENVIRONMENT
from .inputs import HashedReader, InputHash, changed, list_entries, source_path
from .isolation import ASKED, PLACE, Backend, make_build_environment, read_asked, read_backend
from .plan import PythonStep
from .repositories import clone, split_vcs
from .wheels import Wheel

__all__ = ["build_wheel", "find_built"]

_TOOL = "/run/jc/uv"

_BUILD = """
import importlib, json, os, sys
tool, source, output, asked, more, name, *path = sys.argv[1:]
os.chdir(source)
if more:
    sys.path[:0] = [os.path.abspath(item) for item in path]
    module, _, rest = name.partition(":")
    backend = importlib.import_module(module)
    for part in rest.split(".") if rest else ():
        backend = getattr(backend, part)
    found = getattr(backend, "get_requires_for_build_wheel", lambda settings: [])({})
    if found:
        with open(os.path.join(output, asked), "w") as stream:
            json.dump([str(item) for item in found], stream)
        sys.exit(0)
os.execv(tool, [tool, "build", "--wheel", "--no-config", "--no-progress", "--offline", "--no-build-isolation",
                "--python", sys.executable, "--out-dir", output, "."])
"""
"""PEP 517: ask the backend what it needs besides (*more*), and where that is nothing, build."""

_NO_NETWORK = re.compile(
    r"Temporary failure in name resolution|Could not resolv|Name or service not known|Network is unreachable|dns error|"
    r"Connection(Error| refused)|URLError|No route to host"
)


def identity(artifact: Artifact, step: PythonStep) -> str:
    """A hash of all that the artifact's wheel is built from; for a folder, of its content."""
    what = step.inputs.get(artifact.url_or_path) or artifact.sha256 or artifact.url_or_path
    return hashlib.sha256(f"{step.interpreter_key} {artifact.name} {artifact.kind} {what}".encode()).hexdigest()


def find_built(artifact: Artifact, step: PythonStep, cache: Path) -> Wheel | None:
    """The wheel that an earlier build made of *artifact*."""
    folder = cache / identity(artifact, step)
    for file in folder.glob("*.whl") if folder.is_dir() else ():
        return _wheel(file, artifact)
    return None


def build_wheel(artifact: Artifact, step: PythonStep, context: Context, *, file: Path | None, cache: Path) -> Wheel:
    """Build the wheel of *artifact* (an sdist's bytes are in *file*) and keep it in *cache*."""
    label = _label(artifact)
    context.reporter.phase("installing", f"building {label} from source")
    with context.store.staging() as staging:
        source, output, environment = (staging.path / name for name in ("source", "output", "environment"))
        source.mkdir()
        output.mkdir()
        inside = _take_source(artifact, step, context, file=file, source=source)
        backend = read_backend(source / inside, label)
        make_build_environment(backend.requires, environment, step, context, label=label)
        build = functools.partial(
            _run_build,
            backend,
            context,
            source=source,
            inside=inside,
            output=output,
            environment=environment,
            label=label,
        )
        build(ask=True)
        asked = read_asked(output, label)
        if asked:
            make_build_environment([*backend.requires, *asked], environment, step, context, label=label)
            context.reporter.phase("installing", f"building {label} from source")
            build(ask=False)
        return _keep(output, artifact, cache / identity(artifact, step), context)


def _take_source(artifact: Artifact, step: PythonStep, context: Context, *, file: Path | None, source: Path) -> str:
    """Fill the folder *source*; where in it the package lies."""
    match artifact.kind:
        case "sdist":
            assert file is not None
            return unpack(file, artifact.filename, source, step.interpreter.path, context)
        case "directory":
            path = artifact.url_or_path
            if (
                copy_tree(source_path(context.loaded, path), source, without=context.loaded.lock_file)
                != step.inputs[path]
            ):
                raise changed(path, context.reporter)
            return ""
        case _:
            repository, commit, inside = split_vcs(artifact.url_or_path)
            clone(repository, commit, source, context)
            return inside


def _run_build(
    backend: Backend,
    context: Context,
    *,
    source: Path,
    inside: str,
    output: Path,
    environment: Path,
    label: str,
    ask: bool,
) -> None:
    place = f"{SOURCE}/{inside}" if inside else SOURCE
    argv = (f"{PLACE}/bin/python", "-c", _BUILD, _TOOL, place, OUTPUT, ASKED, "1" if ask else "")
    env = {
        "PATH": f"{PLACE}/bin:{ENVIRONMENT['PATH']}", "VIRTUAL_ENV": PLACE, "UV_CACHE_DIR": "/tmp/uv-cache",  # noqa: S108
        "UV_PYTHON_DOWNLOADS": "never",
    }  # fmt: skip
    binds = (Bind(uv_path(), _TOOL), writable(source, SOURCE), writable(output, OUTPUT), Bind(environment, PLACE))
    try:
        run_aside((*argv, backend.name, *backend.path), context, f"build {label} from source", binds=binds, env=env)
    except BuildError as error:
        if _NO_NETWORK.search(error.output):
            error.hint = f"packages are built without network: install {label} with a `build.run` line, which has it"
        raise


def _label(artifact: Artifact) -> str:
    return f"{artifact.name} {artifact.version}".strip()


def _keep(output: Path, artifact: Artifact, folder: Path, context: Context) -> Wheel:
    found = [file for file in output.iterdir() if file.name.endswith(".whl") and stat.S_ISREG(file.lstat().st_mode)]
    if len(found) != 1:
        raise BuildError(
            f"building {artifact.name} gave {len(found)} wheels instead of one",
            step=context.reporter.title, output=context.reporter.tail, log=context.reporter.log,
            hint=f"look at the build configuration of {artifact.name}",
        )  # fmt: skip
    wheel = _wheel(found[0], artifact)
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / found[0].name
    found[0].rename(target)
    return Wheel(wheel.name, wheel.version, wheel.filename, wheel.sha256, target)


def _wheel(file: Path, artifact: Artifact) -> Wheel:
    try:
        name, version, _, _ = parse_wheel_filename(file.name)
    except InvalidWheelFilename as error:
        raise BuildError(f"building {artifact.name} gave {file.name}: {error}") from error
    if name != canonicalize_name(artifact.name):
        raise BuildError(
            f"{artifact.url_or_path} calls itself {name}, and the lock {artifact.name}",
            hint="run `jupyter containers lock --upgrade`",
        )
    with file.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    return Wheel(name, str(version), file.name, digest, file)


def copy_tree(source: Path, target: Path, *, without: Path | None = None) -> str:
    """Copy a folder as :func:`~.inputs.list_entries` lists it: links as links, without ``.git`` and the like. Returns
    the hash of what was copied."""
    total = InputHash()
    for entry in list_entries(source, without=without):
        place = target / entry.path if entry.path else target
        if stat.S_ISREG(entry.mode):
            with entry.open() as stream, place.open("xb") as copy:
                content = HashedReader(stream)
                shutil.copyfileobj(content, copy)
            place.chmod(stat.S_IMODE(entry.mode) | 0o644)
            total.add(entry, content.hexdigest())
            continue
        if stat.S_ISLNK(entry.mode):
            place.symlink_to(entry.target)
        else:
            place.mkdir(parents=True, exist_ok=not entry.path)
            place.chmod(0o755)
        total.add(entry)
    return total.hexdigest()
