"""A tiny base for cases, ``cases-base``: a static busybox, accounts, and a /tmp."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from jupyter_containers.build.dockerfile.builder import Request, build_dockerfile
from jupyter_containers.image.model import Image
from jupyter_containers.paths import Paths

BUSYBOX = Path("/bin/busybox")
DOCKERFILE = """\
FROM scratch
COPY busybox /bin/
RUN ["/bin/busybox", "--install", "-s", "/bin"]
COPY passwd group /etc/
RUN mkdir -m 1777 /tmp && mkdir -m 700 /root
"""
PASSWD = "root:x:0:0:root:/root:/bin/sh\ndaemon:x:1:1:daemon:/usr/sbin:/bin/false\n"
GROUP = "root:x:0:\ndaemon:x:1:\n"


@pytest.fixture(scope="session")
def home() -> Iterator[Paths]:
    """A store of its own, gone at the end; short, since sockets lie below it."""
    with tempfile.TemporaryDirectory(prefix="jc-", dir="/tmp") as folder:
        yield Paths(Path(folder, "home"), Path(folder, "run")).made()


@pytest.fixture(scope="session")
def base(home: Paths, tmp_path_factory: pytest.TempPathFactory) -> Image:
    # ldd(1) fails for what needs no loader.
    if not BUSYBOX.exists() or subprocess.run(["ldd", BUSYBOX], capture_output=True, check=False).returncode == 0:
        pytest.skip("needs a static /bin/busybox (Debian: busybox-static)")
    context = tmp_path_factory.mktemp("base")
    shutil.copy(BUSYBOX, context / "busybox")
    (context / "busybox").chmod(0o755)
    (context / "passwd").write_text(PASSWD)
    (context / "group").write_text(GROUP)
    (context / "Dockerfile").write_text(DOCKERFILE)
    return build_dockerfile(Request(context=context, tags=("cases-base",)), paths=home)
