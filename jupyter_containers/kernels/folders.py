"""Which host folders a container may see.

A kernel that can write the user's home can write ``~/.profile`` and run anything at the next login: that is no
container any more. One that can write the store changes what the next kernel runs, and one that sees Jupyter's runtime
folder has every other kernel's connection file. So a folder *is* or *holds* none of these, or it is refused and the
message says what to do; ``mount_home`` is the user's explicit consent to the home, and to nothing else.
"""

from __future__ import annotations

import stat
from dataclasses import dataclass
from pathlib import Path

from ..errors import InputError
from ..paths import Paths

__all__ = ["Guarded", "check_mount"]

SYSTEM = frozenset(
    Path("/", name)
    for name in (
        "", "bin", "boot", "dev", "etc", "lib", "lib64", "opt", "proc", "run", "sbin", "sys", "tmp", "usr", "usr/bin",
        "usr/lib", "usr/lib64", "usr/local", "usr/sbin", "usr/share", "var", "var/lib", "var/tmp",
    )
)  # fmt: skip
"""Never mounted as a whole: they would hide the image's own, or hold other programs' sockets and devices."""

KERNEL_FILES = tuple(map(Path, ("/dev", "/proc", "/sys")))
"""Nothing below these either."""

SETTINGS = tuple(map(Path, ("/boot", "/etc", "/root", "/run", "/var/lib/docker", "/var/lib/containers")))
"""Nothing below these because a spec says so: keys, and sockets of programs that do what they are told."""
REMOVABLE = Path("/run/media")
"""Where desktops mount a user's disks."""


@dataclass(frozen=True, slots=True)
class Guarded:
    """The places of one user that containers are kept from."""

    home: Path
    private: tuple[Path, ...]
    """This program's own folders and Jupyter's runtime folder: not seen even with ``mount_home``."""
    empty: Path
    """A folder with nothing in it, mounted over a private one."""

    @classmethod
    def current(cls, paths: Paths) -> Guarded:
        from jupyter_core.paths import jupyter_runtime_dir

        own = (paths.home, paths.runtime, Path(jupyter_runtime_dir()))
        empty = paths.runtime / "empty"
        empty.mkdir(mode=0o500, exist_ok=True)
        return cls(Path.home().resolve(), tuple(folder.resolve() for folder in own), empty)

    def inside(self, folder: Path) -> tuple[Path, ...]:
        """The private folders that lie in *folder* and have to be covered where it is mounted."""
        return tuple(place for place in self.private if place.is_relative_to(folder) and place.exists())


def check_mount(source: Path, guarded: Guarded, *, what: str, allow_home: bool = False, foreign: bool = False) -> Path:
    """Check that *source* may be mounted, and return it with symbolic links resolved.

    *what* begins the message (``the notebook's folder``). *foreign*: somebody else may have chosen it (a spec that
    came with a repository), so hidden folders of the home such as ``~/.ssh`` are refused too.
    :class:`InputError` tells the reason and the way out.
    """
    try:
        real = source.resolve(strict=True)
    except FileNotFoundError as error:
        raise InputError(f"{what} {source} does not exist", hint="make it, or correct the path") from error
    except (OSError, RuntimeError) as error:
        raise InputError(
            f"{what} {source} can't be reached: {error}", hint="check its permissions and links"
        ) from error
    if real in SYSTEM or any(real.is_relative_to(folder) for folder in KERNEL_FILES):
        raise InputError(
            f"{what} {_named(source, real)} is a system folder and can't be mounted in a container",
            hint="keep notebooks in a folder of their own, or set `mount_folder` to `none`",
        )
    if not allow_home and guarded.home.is_relative_to(real):
        kind = "your home folder" if real == guarded.home else f"above your home folder {guarded.home}"
        raise InputError(
            f"{what} {_named(source, real)} is {kind}: a container that can write there can change your login "
            "scripts and read your keys",
            hint="move the notebook into a folder of its own, or set `mount_home` to true, "
            "or `mount_folder` to `none` (the kernel then sees none of your files)",
        )
    for place in guarded.private:
        if real.is_relative_to(place) or (place.is_relative_to(real) and not (allow_home and place != real)):
            raise InputError(
                f"{what} {_named(source, real)} holds or lies in {place}, which belongs to Jupyter's or this "
                "program's own files",
                hint="use another folder; JUPYTER_CONTAINERS_HOME moves this program's files",
            )
    if foreign:
        _check_foreign(source, real, guarded, what=what)
    if foreign and not allow_home and real.is_relative_to(guarded.home):
        parts = real.relative_to(guarded.home).parts
        if parts and parts[0].startswith("."):
            raise InputError(
                f"{what} {_named(source, real)} lies in {guarded.home / parts[0]}: hidden folders of your home hold "
                "keys and settings and are not mounted because a spec says so",
                hint="copy what is needed into the spec's folder, or set `mount_home` to true",
            )
    return real


def _check_foreign(source: Path, real: Path, guarded: Guarded, *, what: str) -> None:
    mode = real.stat().st_mode
    if not (stat.S_ISDIR(mode) or stat.S_ISREG(mode)):
        raise InputError(
            f"{what} {_named(source, real)} is a socket or a device: whoever can use it may be able to do more than "
            "the container, and it is not mounted because a spec says so",
            hint="mount it with `jupyter containers run -v`, if you know what is behind it",
        )
    own = (guarded.home, REMOVABLE)  # root's home is /root
    for place in SETTINGS:
        if real.is_relative_to(place) and not any(real.is_relative_to(each) for each in own):
            raise InputError(
                f"{what} {_named(source, real)} lies in {place}, whose keys, settings and sockets are not mounted "
                "because a spec says so",
                hint="copy what is needed into the spec's folder, or mount it with `jupyter containers run -v`",
            )


def _named(source: Path, real: Path) -> str:
    return str(source) if source == real else f"{source} ({real})"
