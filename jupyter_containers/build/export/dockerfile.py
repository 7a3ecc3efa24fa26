"""``to-dockerfile``: a Dockerfile that gives the same packages, files and settings with any builder.

Not the same image: owners, times and the order of what is in a layer are the other builder's. What is the same is each
version, and each downloaded file, which is held to the hash that the lock has.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterator

from ...errors import InputError
from ...lock.model import Lock
from ...spec.model import EnvironmentSpec, LoadedSpec
from .. import rootfs
from ..emulation import ENVIRONMENT
from .debian import install_packages, list_debs
from .original import pinned_dockerfile
from .parts import Export, File, env_line, exec_form
from .requirements import find_pip, local_folders, repositories, write_requirements

__all__ = ["export_dockerfile"]

_TEMPORARY = "/tmp/jupyter-containers"  # noqa: S108  in the image, and removed
_REQUIREMENTS = "requirements.txt"
_SUITE = r"/([a-z][a-z0-9-]*)$"
_FETCH = (
    "import hashlib, sys, urllib.request; data = urllib.request.urlopen(sys.argv[1]).read(); "
    "assert hashlib.sha256(data).hexdigest() == sys.argv[2], 'another pip'; open(sys.argv[3], 'wb').write(data)"
)


def export_dockerfile(
    loaded: LoadedSpec, lock: Lock, *, architecture: str, command: str, read: Callable[[str], str]
) -> Export:
    """The environment of *loaded* and its *lock*, for *architecture* (Debian's name), whose versions are written.

    *command* is what the text says that it was written by; *read* gives the text of a file of the spec's folder.
    :class:`InputError` for what a Dockerfile can't say.
    """
    return _Writer(loaded, lock, architecture, command, read).write()


class _Writer:
    def __init__(
        self, loaded: LoadedSpec, lock: Lock, architecture: str, command: str, read: Callable[[str], str]
    ) -> None:
        self.loaded, self.lock, self.architecture, self.command, self.read = loaded, lock, architecture, command, read
        self.spec: EnvironmentSpec = loaded.spec
        self.files: list[File] = []
        self.copies: dict[str, str] = {}
        self.notes: list[str] = []

    def write(self) -> Export:
        base, lock = self.lock.base, self.lock
        parts = [self._head(), *self._base()]
        packages = [*base.packages.get(self.architecture, ()), *lock.apt.get(self.architecture, ())]
        if packages:
            self.files.append(list_debs(packages))
            suites = [match[1] for item in self.spec.packages.apt if (match := re.search(_SUITE, item))]
            parts.append(install_packages(packages, lock, suites=tuple(dict.fromkeys(suites))))
        parts += self._python()
        if self._adds_something:
            parts += [self._user(), *self._steps(), *self._settings()]
        build = self.spec.build
        return Export(
            dockerfile="\n\n".join(part.rstrip("\n") for part in parts) + "\n",
            files=tuple(self.files),
            copies=self.copies,
            context=build.context if build.dockerfile else "",
            args=build.args,
            notes=tuple(self.notes),
        )

    @property
    def _adds_something(self) -> bool:
        """Whether anything of the spec comes on top of the image that is started from."""
        spec = self.spec
        on_top = (spec.build.copy, spec.build.run, spec.build.env, spec.labels, self.lock.apt, self.lock.python)
        return self.lock.base.kind == "debian" or any(on_top)

    def _head(self) -> str:
        return (
            f"# The environment {self.spec.name}, written by `{self.command}` from its lock:\n"
            f"# the same versions, and each file that is downloaded is held to the hash that is locked "
            f"({self.architecture})."
        )

    def _base(self) -> Iterator[str]:
        base = self.lock.base
        if base.kind == "debian":
            yield f"ARG BASE=debian:{base.suite}-slim\nFROM ${{BASE}}"
        elif base.kind == "image":
            (image,) = base.images
            if not image.reference:
                self.notes.append(f"{image.name} is an image of this host: push it, or give --build-arg BASE=…")
            yield f"ARG BASE={image.reference or image.name}\nFROM ${{BASE}}"
        elif base.kind == "dockerfile":
            text, notes = pinned_dockerfile(
                self.read(self.spec.build.dockerfile), base.images, target=self.spec.build.target,
                args=self.spec.build.args, file=self.spec.build.dockerfile,
            )  # fmt: skip
            self.notes += notes
            yield text
        else:
            raise InputError(
                f"the base {base.source} is a file of this host, or another environment, which no Dockerfile can start "
                "from",
                hint="push its image, and write `image:REGISTRY/NAME` as `base`",
            )
        if self._adds_something:
            yield "USER root"

    def _python(self) -> Iterator[str]:
        python = self.lock.python
        if python is None:
            return
        pip, place = find_pip(python, self.architecture), python.interpreter.environment
        wheel = f"{_TEMPORARY}/{pip.filename}"
        self.files.append(File(path=_REQUIREMENTS, content=write_requirements(python)))
        index = f" --index-url {self.spec.packages.index_url}" if self.spec.packages.index_url else ""
        index += "".join(f" --extra-index-url {url}" for url in self.spec.packages.extra_index_urls)
        own = " --system-site-packages" if python.interpreter.system_packages else ""
        install = f"{place}/bin/python {wheel}/pip install --no-cache-dir --no-deps{index}"
        yield env_line({"VIRTUAL_ENV": place, "LANG": "C.UTF-8"}) + f"\nENV PATH={place}/bin:$PATH"
        folders = local_folders(python, self.architecture)
        for item in folders:
            target = f"{_TEMPORARY}/packages/{posixpath.normpath(item.url_or_path)}"
            yield self._copy(item.url_or_path, target if item.kind == "directory" else f"{posixpath.dirname(target)}/")
        lines = [
            f"{python.interpreter.path} -m venv --without-pip{own} {place}",
            f'{python.interpreter.path} -c "{_FETCH}" \\\n        {pip.url_or_path} \\\n        {pip.sha256} {wheel}',
            f"{install} --require-hashes -r {_TEMPORARY}/{_REQUIREMENTS}",
        ]
        lines += [
            f"{install} {_TEMPORARY}/packages/{posixpath.normpath(item.url_or_path)}" for item in folders
        ]  # fmt: skip
        for item in repositories(python, self.architecture):
            lines.append(f'{install} "{item.name} @ {item.url_or_path}"')
        lines.append(f"rm -rf {_TEMPORARY}")
        yield f"COPY {_REQUIREMENTS} {_TEMPORARY}/\nRUN " + " \\\n && ".join(lines)

    def _copy(self, source: str, target: str, *, flags: str = "") -> str:
        # Below a name of its own: in a Dockerfile's own context there may be another of the same name.
        inside = posixpath.normpath(posixpath.join("inputs", source)) if self.spec.build.dockerfile else source
        self.copies[inside] = source
        return f"COPY {flags}{inside} {target}"

    def _user(self) -> str:
        home, number = rootfs.HOME, rootfs.USER_ID
        return (
            f"RUN getent passwd {number} > /dev/null \\\n"
            f" || useradd --uid {number} --user-group --home-dir {home} --shell /bin/bash {rootfs.USER}\n"
            f"RUN mkdir -p {home} && chown {number}:{number} {home}"
        )

    def _steps(self) -> Iterator[str]:
        build = self.spec.build
        if build.env:
            yield env_line(build.env)
        owner = f"--chown={rootfs.USER_ID}:{rootfs.USER_ID} "
        copies = [self._copy(item.source, item.target, flags=owner) for item in build.copy]
        if copies:
            yield "\n".join(copies)
        if build.run:
            yield "\n".join(exec_form("RUN", ("/bin/sh", "-c", line)) for line in build.run)
            # They ran as root, and what they left is the kernel user's: here it is so by itself.
            yield f"RUN chown -R {rootfs.USER_ID}:{rootfs.USER_ID} {rootfs.HOME}"

    def _settings(self) -> Iterator[str]:
        labels = {"org.opencontainers.image.title": self.spec.display_name or self.spec.name, **self.spec.labels}
        yield env_line(labels, keyword="LABEL")
        env = {"HOME": rootfs.HOME, "USER": rootfs.USER}
        if self.lock.base.kind == "debian":
            env |= {"LANG": ENVIRONMENT.get("LANG", "C.UTF-8")}
        yield env_line({**env, **self.spec.build.env})
        yield f"WORKDIR {rootfs.HOME}\nUSER {rootfs.USER_ID}:{rootfs.USER_ID}"
