"""What an image's configuration says of how it is run (OCI image-spec, config.md): each of it holds."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from jupyter_containers.errors import ContainerError
from jupyter_containers.runtime.base import BindMount


def run_command(house, *words: str, check: bool = True) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "jupyter_containers", *words], env=house.env, capture_output=True, text=True, check=False
    )
    assert not check or done.returncode == 0, done.stderr
    return done.stdout


def test_env(house) -> None:
    image = house.make_image("env", env=("A=image", "B=image", "PATH=/usr/bin:/opt/own"))
    _, text = house.run("echo $A $B $PATH", image=image, env={"B": "caller"}, user="")
    assert text == "image caller /usr/bin:/opt/own\n"


@pytest.mark.parametrize(
    ("user", "expected"),
    [
        ("", "0 0 root /root"),
        ("0", "0 0 root /root"),
        ("1000", "1000 1000 jovyan /home/jovyan"),
        ("4711", "4711 0 user4711 /home/user4711"),
        ("4711:12", "4711 12 user4711 /home/user4711"),
    ],
)
def test_user(house, user: str, expected: str) -> None:
    image = house.make_image("user", user=user)
    code, text = house.run("echo $(id -u) $(id -g) $(id -un) $HOME; touch $HOME/x", image=image, user="")
    assert (code, text) == (0, f"{expected}\n")


def test_a_user_that_the_image_does_not_have_keeps_it_from_starting(house) -> None:
    container = house.create("true", image=house.make_image("nobody", user="nobody"), user="")
    with pytest.raises(ContainerError, match="the image has no user 'nobody'"):
        container.start()
    container.remove()
    assert house.run("id -un", image=container.config.image, user="root") == (0, "root\n")


def test_the_files_that_anyone_makes_are_the_callers(house, tmp_path) -> None:
    mounts = (BindMount(source=str(tmp_path), target="/out", mode="rw"),)
    code, _ = house.run("touch /out/x", image=house.make_image("user", user="4711"), user="", mounts=mounts)
    assert code == 0 and (tmp_path / "x").stat().st_uid == tmp_path.stat().st_uid


def test_working_dir_is_made_where_it_is_missing(house) -> None:
    image = house.make_image("cwd", working_dir="/srv/deep/er")
    assert house.run("pwd; touch x", image=image, user="") == (0, "/srv/deep/er\n")
    assert house.run("pwd", image=image, user="", cwd="/etc") == (0, "/etc\n")


def test_entrypoint_and_cmd(house) -> None:
    both = house.make_image("both", entrypoint=("echo", "entry"), cmd=("from", "cmd"))
    assert run_command(house, "run", "--rm", both) == "entry from cmd\n"
    assert run_command(house, "run", "--rm", both, "mine") == "entry mine\n"
    assert run_command(house, "run", "--rm", "--entrypoint", "printf", both, "x%s", "y") == "xy"
    assert run_command(house, "run", "--rm", "--entrypoint", "", both, "echo", "plain") == "plain\n"
    assert run_command(house, "run", "--rm", "-u", "4711", house.make_image("cmd", cmd=("id", "-u"))) == "4711\n"
    assert run_command(house, "run", "--rm", house.make_image("none"), check=False) == ""


@pytest.mark.parametrize("name", ["SIGUSR1", "usr1", "10", "SIGRTMIN+3"])
def test_stop_signal(house, name: str) -> None:
    image = house.make_image("stop", stop_signal=name)
    number = 37 if "RTMIN" in name else 10
    # The shell's `kill -l` numbers start at libc's SIGRTMIN, which is 34 with glibc and 35 with musl.
    script = f"trap 'echo heard; exit 5' {number}; echo ready; while :; do sleep 0.05; done"
    container = house.start(script, image=image, user="")
    house.eventually(lambda: "ready" in container.logs())
    assert container.stop(grace=10) == 5 and "heard" in container.logs()
    container.remove()


def test_volumes_are_written_apart_over_what_the_image_has(house) -> None:
    image = house.make_image(
        "volumes", user="1000", volumes={"/opt/new": {}, "/etc": {}, "/usr/bin": {}, "/proc": {}, "/": {}}
    )
    script = (
        "cat /etc/remove-me && rm /etc/remove-me && echo 1 > /etc/made && echo 2 > /opt/new/made "
        "&& echo 3 > /usr/bin/made && ls /etc | grep -c remove-me; cat /etc/made /opt/new/made /usr/bin/made"
    )
    container = house.start(script, image=image, user="", remove=False, die_with_parent=True)
    assert container.wait(30) == 0
    assert container.logs() == "from the image\n0\n1\n2\n3\n"
    # They are the container's, and not a change of its image's files.
    assert not [change for change in container.changes() if "made" in change.path or "remove-me" in change.path]
    container.start()  # what is in them is there at its next start
    assert container.wait(30) == 0
    assert container.logs().endswith("1\n2\n3\n")
    folder = house.paths.containers / container.id
    assert (folder / "volumes").is_dir()
    container.remove()
    assert not folder.exists()
    # The image is what it was.
    assert house.run("cat /etc/remove-me; ls /usr/bin/made", image=image, user="")[1].startswith("from the image\n")


def test_what_is_mounted_goes_before_a_volume(house, tmp_path) -> None:
    image = house.make_image("volumes", volumes={"/data": {}, "/work/deep": {}})
    mounts = (
        BindMount(source=str(tmp_path), target="/data", mode="rw"),
        BindMount(source=str(tmp_path), target="/work", mode="rw"),
    )
    house.run("echo x > /data/x; mkdir /work/deep; echo y > /work/deep/y", image=image, user="", mounts=mounts)
    assert (tmp_path / "x").read_text() == "x\n" and (tmp_path / "deep/y").read_text() == "y\n"


def test_what_is_in_volumes_counts_as_the_containers_disk(house) -> None:
    image = house.make_image("volumes", volumes={"/data": {}})
    container = house.start("dd if=/dev/zero of=/data/big bs=1M count=20; sleep 30", image=image, user="", disk=5 << 20)
    assert container.wait(25) == 137
    assert "out of disk" in container.cause
    container.remove()


def test_exposed_ports_are_shown(house) -> None:
    image = house.make_image("ports", exposed_ports={"8080/tcp": {}, "53/udp": {}}, cmd=("true",))
    (shown,) = json.loads(run_command(house, "inspect", image))
    assert set(shown["image"]["config"]["config"]["ExposedPorts"]) == {"8080/tcp", "53/udp"}
    container = house.create("true", image=image, user="")
    (shown,) = json.loads(run_command(house, "inspect", container.id))
    assert shown["exposed_ports"] == ["53/udp", "8080/tcp"]
    container.remove()
