"""Python packages that are not wheels: source archives, folders and version control, built in a sandbox of their own.

Building runs the package's code, with network for its build requirements: so in a throw-away writable layer over the
image so far, where compilers from ``packages.apt`` are, with nothing writable of the host's but a folder for the
wheel. The wheel is kept by the hash of what it was built from; which build requirements were current that day is not
pinned by a lock, as with every installer of sdists.
"""

from __future__ import annotations

import hashlib
import shutil
import stat
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename

from ..errors import BuildError
from ..lock.indexes import find_indexes
from ..lock.pip import Artifact, uv_path
from ..sandbox.model import Bind, Overlay
from .context import Context
from .emulation import step_sandbox
from .execution import execute
from .inputs import HashedReader, InputHash, changed, list_entries, source_path
from .plan import PythonStep
from .wheels import Wheel

__all__ = ["build_wheel", "find_built"]

_TOOL, _SOURCE, _OUTPUT = "/run/jc/uv", "/run/jc/source", "/run/jc/output"

_BUILD = f"""set -e
cd /tmp
{_TOOL} build --wheel --no-config --no-progress --python "$PYTHON" --out-dir {_OUTPUT} "$SOURCE"
"""

_CLONE = """set -e
mkdir /tmp/checkout && cd /tmp/checkout
command -v git >/dev/null || { echo "git: command not found" >&2; exit 127; }
git init -q .
git fetch -q --depth 1 "$REPOSITORY" "$COMMIT" && git checkout -q FETCH_HEAD
git submodule update -q --init --recursive --depth 1
"""


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
    context.reporter.phase("installing", f"building {_label(artifact)} from source")
    with context.store.staging() as staging:
        output = staging.path / "output"
        output.mkdir()
        env = {"PYTHON": step.interpreter.path, "UV_CACHE_DIR": "/tmp/uv-cache", "UV_PYTHON_DOWNLOADS": "never"}  # noqa: S108
        binds = [Bind(uv_path(), _TOOL), Bind(output, _OUTPUT, writable=True)]
        script = _BUILD
        match artifact.kind:
            case "sdist":
                assert file is not None
                named = staging.path / "source" / artifact.filename
                named.parent.mkdir()
                shutil.copyfile(file, named)
                binds.append(Bind(named.parent, _SOURCE))
                env["SOURCE"] = f"{_SOURCE}/{artifact.filename}"
            case "directory":
                path, lock = artifact.url_or_path, context.loaded.lock_file
                copied = copy_tree(source_path(context.loaded, path), staging.path / "source", without=lock)
                if copied != step.inputs[path]:
                    raise changed(path, context.reporter)
                # A build backend writes into its source (egg-info, build/): it gets a copy, and its own copy of that.
                binds.append(Bind(staging.path / "source", _SOURCE))
                script = f"cp -r {_SOURCE} /tmp/checkout\n{script}"
                env["SOURCE"] = "/tmp/checkout"  # noqa: S108
            case _:
                env["REPOSITORY"], env["COMMIT"] = split_vcs(artifact.url_or_path)
                script = f"{_CLONE}{script}"
                env["SOURCE"] = "/tmp/checkout"  # noqa: S108
        env |= _index_settings(context)
        sandbox = step_sandbox(
            ("/bin/sh", "-c", script),
            root=Overlay(context.state.paths, staging.upper, staging.work),
            store=context.store.root, network=True, env=env, binds=tuple(binds), limits=context.bounds.limits,
        )  # fmt: skip
        command = f"build {_label(artifact)} from source"
        execute(sandbox, command=command, reporter=context.reporter, cancel=context.cancel, bounds=context.bounds)
        return _keep(output, artifact, cache / identity(artifact, step), context)


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
            place.mkdir(parents=True)
            place.chmod(0o755)
        total.add(entry)
    return total.hexdigest()


def split_vcs(url: str) -> tuple[str, str]:
    """``git+https://host/repo.git@COMMIT#…`` → the repository's address and the commit."""
    if not url.startswith("git+"):
        raise BuildError(f"{url}: only git is known of the version control systems", hint="use a git+https:// URL")
    parts = urlsplit(url.removeprefix("git+"))
    path, at, commit = parts.path.rpartition("@")
    if not at or not commit:
        raise BuildError(f"{url} names no commit", hint="run `jupyter containers lock`")
    return urlunsplit((parts.scheme, parts.netloc, path, "", "")), commit


def _index_settings(context: Context) -> dict[str, str]:
    """The package index for build requirements: the one that the lock was made with, but never a host's password."""
    found = find_indexes(context.loaded.spec.packages)
    urls = [url for url in (found.default, *found.extra) if url and "@" not in urlsplit(url).netloc]
    settings = {}
    if found.default in urls:
        settings["UV_DEFAULT_INDEX"] = str(found.default)
    if extra := [url for url in urls if url != found.default]:
        settings["UV_INDEX"] = " ".join(extra)
    return settings
