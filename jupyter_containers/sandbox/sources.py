"""Host paths that were checked, opened as they were checked.

Between the check of a mount's source and the mount itself its parent folder may change: another container that can
write there swaps the folder for a symbolic link, and what the link names would be mounted, with the rights of the user.
So a source that has been resolved is opened with no link on its way, and the descriptor is what gets mounted.
"""

from __future__ import annotations

import errno
import os
import stat

__all__ = ["open_linkless"]

_FLAGS = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC


def open_linkless(path: str) -> int:
    """A descriptor (O_PATH) of the absolute *path*, whose every part is what it says.

    Raises OSError: ELOOP where a part is a symbolic link by now. Part by part and not by ``openat2``, for which Python
    has no name: the standard library is all that a start waits for.
    """
    here = os.open("/", _FLAGS)
    for part in path.split("/"):
        if part in ("", "."):
            continue
        if part == "..":
            os.close(here)
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL), path)
        try:
            below = os.open(part, _FLAGS, dir_fd=here)
        except OSError as error:
            raise OSError(error.errno, error.strerror, path) from None
        finally:
            os.close(here)
        here = below
        if stat.S_ISLNK(os.fstat(here).st_mode):
            os.close(here)
            raise OSError(errno.ELOOP, "a symbolic link has taken its place", path)
    return here
