"""The first process of a container runs a program of the host's. Here that belongs to the tests' user, as where the
package is installed in his home; some kernels let a program that runs be written to (Linux 6.11, the first 6.12)."""

from __future__ import annotations

import os
import subprocess

from jupyter_containers.sandbox.bwrap import find_bwrap

WRITE = "(: >> /proc/1/exe) 2>&1 && echo written"


def test_the_host_s_program_is_not_written_to(house):
    program = str(find_bwrap().path)
    plain = [program, "--unshare-user", "--unshare-pid", "--bind", "/", "/", "--proc", "/proc", "--dev", "/dev"]
    told = subprocess.run([*plain, "sh", "-c", WRITE], capture_output=True, text=True, check=False)
    print(f"{program} of {os.stat(program).st_uid}, for {os.geteuid()}; bubblewrap alone: {told.stdout.strip()}")
    _, text = house.run(WRITE)
    assert "written" not in text
