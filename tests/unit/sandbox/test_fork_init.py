"""The first process of a fork, in a pid namespace as it has one."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

PROGRAM = """if True:
    import os, sys
    from jupyter_containers.sandbox import kernel
    from jupyter_containers.sandbox.fork import init
    from jupyter_containers.sandbox.passing import pair
    uid, gid = os.geteuid(), os.getegid()
    kernel.unshare("user", "pid")
    kernel.map_ids(uid, gid)
    ours, theirs = pair()
    program = init.make_program() if sys.argv[1] == "own" else -1
    if os.fork() == 0:
        child = os.fork()
        if child == 0:
            if os.fork() == 0:
                os._exit(3)  # it is reaped, and is not the command
            {end}
        init.wait(theirs, child, program)
    theirs.close()
    said = ours.recv(100)
    assert said[:1] == b"=" and len(said) == 5, said
    print(os.waitstatus_to_exitcode(int.from_bytes(said[1:], "little")), os.wait()[1])
"""


@pytest.mark.parametrize("kind", ["own", "python"])
@pytest.mark.parametrize(("end", "told"), [("os._exit(7)", "7"), ("os.kill(os.getpid(), 9)", "-9")])
def test_the_first_process_tells_how_the_command_has_ended(kind: str, end: str, told: str) -> None:
    if kind == "own" and os.uname().machine not in ("x86_64", "aarch64"):
        pytest.skip("there is no program for this architecture")
    script = PROGRAM.replace("{end}", end)
    done = subprocess.run([sys.executable, "-c", script, kind], capture_output=True, text=True, timeout=60)
    assert done.stdout.split() == [told, "0"], done.stderr
