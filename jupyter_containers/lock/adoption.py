"""Foreign locks: pylock.toml (PEP 751) and uv.lock, taken as they are."""

from __future__ import annotations

import shutil
import tempfile
import tomllib
from pathlib import Path
from typing import Any

from ..errors import SpecError
from ..spec.requirement import distribution_name
from ..spec.toml import read_toml
from .compilation import Compilation
from .model import Interpreter, PythonPackages
from .pylock import check_document, shape
from .requirements import absolute, kernel_packages
from .uv import explanation, run_uv

__all__ = ["adopt"]


def adopt(
    run: Compilation,
    file: Path,
    interpreter: Interpreter,
    *,
    previous: PythonPackages | None = None,
    upgrade: bool | frozenset[str] = False,
) -> dict[str, Any]:
    """The document of a foreign lock, checked and reduced; what the spec needs beside it is added within its bounds.

    :class:`SpecError` where it can't be read or adopted.
    """
    loaded = run.loaded
    if file.name == "uv.lock":
        document = _export(run, file)
    else:
        try:
            document = read_toml(file.read_text("utf-8"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise SpecError(f"cannot read {file}: {error}", hint="lock it anew with the tool that wrote it") from error
    check_document(document, file, interpreter)
    adopted = shape(document, interpreter, folder=loaded.folder, start=file.parent, architectures=run.architectures)
    names = {package["name"] for package in adopted["packages"]}
    lines = [name for name in kernel_packages(loaded.spec) if name not in names]
    lines += [
        absolute(item, loaded.folder) for item in loaded.spec.packages.pip if distribution_name(item) not in names
    ]
    if lines:
        pins = [f"{package['name']}=={package['version']}" for package in adopted["packages"] if "version" in package]
        added = run.shape(run.compile(lines, previous, upgrade, constraints=pins), interpreter)
        adopted["packages"] += [package for package in added["packages"] if package["name"] not in names]
        adopted["packages"].sort(key=lambda entry: (entry["name"], entry.get("version", "")))
    return adopted


def _export(run: Compilation, file: Path) -> dict[str, Any]:
    """uv.lock as PEP 751, made in a copy: uv may touch a project's files."""
    packages = run.loaded.spec.packages
    with tempfile.TemporaryDirectory(prefix="jc-uv-") as name:
        work = Path(name) / "project"
        # The project's own, and those of a workspace's members, which uv reads even when frozen.
        for project in [path for depth in ("", "*/", "*/*/") for path in file.parent.glob(f"{depth}pyproject.toml")]:
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
            work, cache_dir=run.cache_dir, stop=run.stopped,
        )  # fmt: skip
        if done.returncode != 0:
            raise SpecError(
                f"{file} cannot be read by uv: {explanation(done.stderr)}", hint="run `uv lock` in its folder"
            )
        return tomllib.loads((work / "pylock.toml").read_text("utf-8"))
