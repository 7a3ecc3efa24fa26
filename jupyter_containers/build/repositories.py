"""Packages in git repositories: fetched by the host's git where there is one, else by the image's.

What is in a repository is not trusted, and git runs nothing of it: no hook, no filter of large files, no transport but
the usual ones. The user's own configuration holds (credentials, other addresses), as when the lock was made.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit, urlunsplit

from ..errors import BuildError
from ..lock.interruption import run_program
from .aside import SOURCE, run_aside, writable
from .context import Context

__all__ = ["clone", "split_vcs"]

_SCHEMES = ("https", "http", "ssh", "git", "file")
_SETTINGS = (
    "core.hooksPath=/dev/null", "core.fsmonitor=false", "init.defaultBranch=main", "protocol.ext.allow=never",
    "filter.lfs.smudge=", "filter.lfs.process=", "filter.lfs.required=false", "advice.detachedHead=false",
)  # fmt: skip

_ELSEWHERE = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_OBJECT_DIRECTORY")
"""Variables of who runs us within a repository (a hook, say): they would have git work in that one."""

_CLONE = f"""set -e
cd {SOURCE}
command -v git >/dev/null || {{ echo "git: command not found" >&2; exit 127; }}
git init -q .
git fetch -q --depth 1 "$REPOSITORY" "$COMMIT" && git checkout -q FETCH_HEAD
git submodule update -q --init --recursive --depth 1
"""


def clone(repository: str, revision: str, target: Path, context: Context) -> str:
    """Fill the empty folder *target* with *revision* of *repository*, submodules included; the commit's id.

    Without the history: what derives a version from it gets the one that it has for that case.
    """
    git = shutil.which("git")
    context.reporter.phase("downloading", f"{repository} at {revision[:12] or 'its head'}")
    if git is None:
        env = {"REPOSITORY": repository, "COMMIT": revision or "HEAD"}
        binds = (writable(target, SOURCE),)
        run_aside(("/bin/sh", "-c", _CLONE), context, f"clone {repository}", binds=binds, env=env, network=True)
        return revision
    if context.settings.offline:
        raise BuildError(f"offline, and {repository} would have to be fetched", hint="unset JUPYTER_CONTAINERS_OFFLINE")
    given = [option for setting in _SETTINGS for option in ("-c", setting)]
    kept = {name: value for name, value in os.environ.items() if name not in _ELSEWHERE}
    env = {**kept, "GIT_TERMINAL_PROMPT": "0", "GIT_LFS_SKIP_SMUDGE": "1", "LC_ALL": "C.UTF-8"}

    def run(*words: str) -> str:
        done = run_program([git, *given, *words], work=target, env=env, stop=context.cancel)
        if done.returncode != 0:
            raise _failed(repository, revision, done.stderr, context)
        return done.stdout.strip()

    run("init", "-q", "--template=", ".")
    try:
        run("fetch", "-q", "--depth", "1", "--", repository, revision or "HEAD")
        run("checkout", "-q", "FETCH_HEAD")
    except BuildError:
        # Some servers give no single commit, and a repository as plain files knows no depth: all of it, then.
        run("fetch", "-q", "--tags", "--", repository, "HEAD", "+refs/heads/*:refs/remotes/origin/*")
        try:
            run("checkout", "-q", f"refs/remotes/origin/{revision}" if revision else "FETCH_HEAD")
        except BuildError:
            run("checkout", "-q", revision)
    run("submodule", "update", "-q", "--init", "--recursive", "--depth", "1")
    return run("rev-parse", "HEAD")


def _failed(repository: str, revision: str, told: str, context: Context) -> BuildError:
    words = " ".join(line.strip() for line in told.splitlines() if line.strip())
    return BuildError(
        f"cannot get {revision or 'the head'} of {repository}: {words}",
        step=context.reporter.title, output=told, log=context.reporter.log,
        hint="look at the address, the revision and, for a private one, git's credentials: `git ls-remote` shows them",
    )  # fmt: skip


def split_vcs(url: str) -> tuple[str, str, str]:
    """``git+https://host/repo.git@COMMIT#subdirectory=…`` → the repository's address, the commit, and the folder in it
    that holds the package (empty: its top)."""
    if not url.startswith("git+"):
        raise BuildError(f"{url}: only git is known of the version control systems", hint="use a git+https:// URL")
    parts = urlsplit(url.removeprefix("git+"))
    if parts.scheme not in _SCHEMES:
        raise BuildError(f"{url}: repositories are fetched by {', '.join(_SCHEMES)} only", hint="use git+https://")
    path, at, commit = parts.path.rpartition("@")
    if not at or not commit:
        raise BuildError(f"{url} names no commit", hint="run `jupyter containers lock`")
    inside = dict(parse_qsl(parts.fragment)).get("subdirectory", "").strip("/")
    if ".." in inside.split("/"):
        raise BuildError(f"{url} leads out of its repository", hint="correct its subdirectory")
    return urlunsplit((parts.scheme, parts.netloc, path, "", "")), commit, inside
