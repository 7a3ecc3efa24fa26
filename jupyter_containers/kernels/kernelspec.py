"""Kernelspecs of environments: written to disk by :func:`install`, or made up as they are asked for by
:class:`ContainerKernelSpecMixin` (dynamic.py).

A kernelspec of ours has the name ``jc-<environment>`` and, in ``metadata.kernel_provisioner``, the provisioner and its
options. Its ``argv`` is for clients that start kernels themselves and know nothing of provisioners (VS Code,
jupyter_client before 7): the ``kernel`` command runs the same container behind their connection file.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import msgspec

from ..errors import ConflictError, InputError, NotFoundError
from ..paths import Paths
from ..spec.catalog import Record, find_record
from .options import KernelOptions, check_options

__all__ = [
    "PREFIX", "PROVISIONER", "RESOURCES", "InstalledKernelspec", "find_options", "install", "kernelspec_name",
    "list_installed", "make_kernelspec", "remove",
]  # fmt: skip

PREFIX = "jc-"
PROVISIONER = "jupyter-containers"
RESOURCES = Path(__file__).parent / "resources"


class InstalledKernelspec(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    environment: str
    display_name: str
    language: str
    folder: str


def kernelspec_name(environment: str) -> str:
    return PREFIX + environment.lower()


def make_kernelspec(entry: Record, options: KernelOptions) -> dict[str, Any]:
    """The content of ``kernel.json`` for the environment *entry*."""
    config = msgspec.to_builtins(options)
    python = entry.language.lower() == "python"
    return {
        "argv": [sys.executable, "-m", "jupyter_containers", "kernel", *_words(options), "-f", "{connection_file}"],
        "display_name": f"{entry.display_name or entry.name} (container)",
        "language": entry.language,
        "interrupt_mode": "signal",
        "metadata": {
            # ipykernel has a debugger; of other kernels only their own kernel_info can tell.
            "debugger": python,
            "kernel_provisioner": {"provisioner_name": PROVISIONER, "config": config},
        },
    }


def install(
    environment: str,
    *,
    paths: Paths | None = None,
    user: bool = True,
    prefix: str | Path | None = None,
    display_name: str = "",
    **options: Any,
) -> Path:
    """Write the kernelspec of *environment* and return its folder. One that is there is replaced.

    *prefix*: ``<prefix>/share/jupyter/kernels`` (``sys.prefix`` for this Python environment); else with *user* the
    user's folder, and without it the system's. *options*: fields of :class:`.KernelOptions`.
    :class:`NotFoundError` for an unknown environment, :class:`ConflictError` where a kernelspec of somebody else's has
    the name, :class:`InputError` for bad options or a folder that can't be written.
    """
    entry = find_record(paths or Paths.current(), environment)
    if display_name:
        entry = msgspec.structs.replace(entry, display_name=display_name)
    checked = check_options({"environment": entry.name, **options}, source=f"kernelspec of {entry.name}")
    folder = _kernels_folder(user=user and prefix is None, prefix=prefix) / kernelspec_name(entry.name)
    if folder.exists() and _read(folder) is None:
        raise ConflictError(
            f"{folder} is a kernelspec that this program did not write",
            hint=f"`jupyter kernelspec remove {folder.name}` removes it",
        )
    _write(folder, make_kernelspec(entry, checked))
    return folder


def find_options(environment: str) -> KernelOptions:
    """The settings of the environment's kernelspec, where one is installed, else those that a server makes up for it.
    :class:`InputError` where they are no settings."""
    for item in list_installed():
        if item.name == kernelspec_name(environment) and item.environment == environment:
            content = json.loads((Path(item.folder) / "kernel.json").read_text(encoding="utf-8"))
            config = content["metadata"]["kernel_provisioner"].get("config", {})
            return check_options(config, source=f"kernelspec {item.name}")
    return KernelOptions(environment=environment)


def remove(environment: str, *, missing_ok: bool = False) -> tuple[Path, ...]:
    """Remove every kernelspec of *environment* (or of that kernelspec name) that Jupyter finds; returns the folders."""
    wanted = {environment, kernelspec_name(environment)}
    found = [Path(item.folder) for item in list_installed() if wanted & {item.environment, item.name}]
    if not found and not missing_ok:
        raise NotFoundError(
            f"no kernelspec of {environment} is installed", hint="`jupyter containers kernelspec list` shows them"
        )
    for folder in found:
        try:
            shutil.rmtree(folder)
        except OSError as error:
            raise InputError(f"cannot remove {folder}: {error.strerror}", hint="remove it as its owner") from error
    return tuple(found)


def list_installed() -> tuple[InstalledKernelspec, ...]:
    """The kernelspecs of ours in the folders that Jupyter looks into, by name; the first of a name wins."""
    from jupyter_core.paths import jupyter_path

    found: dict[str, InstalledKernelspec] = {}
    for parent in map(Path, jupyter_path("kernels")):
        for folder in sorted(parent.glob(f"{PREFIX}*")):
            item = _read(folder)
            if item is not None:
                found.setdefault(item.name, item)
    return tuple(found[name] for name in sorted(found))


def _words(options: KernelOptions) -> list[str]:
    """*options* as arguments of the ``kernel`` command, which reads the same JSON."""
    return ["--options", json.dumps(msgspec.to_builtins(options))]


def _kernels_folder(*, user: bool, prefix: str | Path | None) -> Path:
    from jupyter_core.paths import SYSTEM_JUPYTER_PATH, jupyter_data_dir

    if prefix is not None:
        return Path(prefix).absolute() / "share" / "jupyter" / "kernels"
    return Path(jupyter_data_dir() if user else SYSTEM_JUPYTER_PATH[0]) / "kernels"


def _write(folder: Path, content: dict[str, Any]) -> None:
    import tempfile  # late: a kernelspec that is as it should be is not written

    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=".jc-", dir=folder.parent))
    except OSError as error:
        raise InputError(
            f"cannot write to {folder.parent}: {error.strerror}", hint="--user installs into your own folder"
        ) from error
    try:
        for resource in RESOURCES.iterdir():
            shutil.copyfile(resource, draft / resource.name)
        (draft / "kernel.json").write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        draft.chmod(0o755)
        if folder.exists():
            shutil.rmtree(folder)  # rename(2) replaces only an empty folder
        draft.rename(folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _read(folder: Path) -> InstalledKernelspec | None:
    """The kernelspec in *folder* if it is ours."""
    try:
        content = json.loads((folder / "kernel.json").read_text(encoding="utf-8"))
        provisioner = content["metadata"]["kernel_provisioner"]
        if provisioner["provisioner_name"] != PROVISIONER:
            return None
        config = provisioner.get("config", {})
        return InstalledKernelspec(
            name=folder.name.lower(),
            environment=str(config.get("environment") or config.get("spec_file") or config.get("image") or ""),
            display_name=str(content.get("display_name", "")),
            language=str(content.get("language", "")),
            folder=str(folder),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
