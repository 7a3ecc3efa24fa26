"""Containers of the bundled runtime: what is in them, how they end, and what is left."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

import pytest

from jupyter_containers.errors import ConflictError, ContainerError, InputError, NotFoundError
from jupyter_containers.runtime.base import BindMount, Change, ContainerConfig


def mount(source: Path, target: str, mode: str = "rw") -> BindMount:
    return BindMount(source=str(source), target=target, mode=mode)  # type: ignore[arg-type]


def test_exit_codes_and_causes(house) -> None:
    for script, code, cause in (
        ("exit 0", 0, ""),
        ("exit 3", 3, "exit code 3"),
        ("kill -9 $$", 137, "killed by SIGKILL"),
        ("kill -TERM $$", 143, "killed by SIGTERM"),
    ):
        container = house.start(script)
        assert container.wait(30) == code
        state = container.state()
        assert (state.status, state.exit_code, state.cause, state.pid) == ("exited", code, cause, None)
        assert container.cause == cause and container.poll() == code
        container.remove()
        with pytest.raises(NotFoundError):
            container.state()


def test_who_it_is_and_what_it_sees(house, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_TOKEN", "of the host")
    monkeypatch.setenv("TZ", "Europe/Berlin")
    _, text = house.run(
        "id -un; id -u; pwd; hostname; cat /etc/hosts; env; ls /root /home", name="some-name", env={"A": "b"}
    )
    lines = text.splitlines()
    assert lines[:4] == ["jovyan", "1000", "/home/jovyan", "some-name"]
    assert "127.0.1.1 some-name" in lines
    assert {"A=b", "HOME=/home/jovyan", "USER=jovyan", "TZ=Europe/Berlin"} <= set(lines)
    assert "SECRET_TOKEN" not in text


def test_root_inside_is_not_root_outside(house) -> None:
    container = house.start("id -u; sleep 100", user="root")
    house.eventually(lambda: container.logs() == "0\n")
    pid = container.state().pid
    assert pid is not None
    assert os.stat(f"/proc/{pid}").st_uid != 0 or "Uid:\t0" not in Path(f"/proc/{pid}/status").read_text()
    container.remove(force=True)


def test_system_folders_are_read_only_for_jovyan_alone(house) -> None:
    assert house.run("touch /usr/bin/new")[0] != 0
    assert house.run("touch /opt/new /etc/new /home/jovyan/new")[0] == 0
    assert house.run("touch /usr/bin/new", user="root")[0] == 0


def test_network_none_has_only_loopback(house) -> None:
    _, text = house.run("ls /sys/class/net 2>/dev/null; grep -c : /proc/net/dev; cat /etc/resolv.conf")
    assert text.splitlines()[0] == "1"
    _, text = house.run("grep -c : /proc/net/dev; test -s /etc/resolv.conf", network="full")
    assert int(text.splitlines()[0]) >= 1


def test_mounts(house, tmp_path: Path) -> None:
    (tmp_path / "in").write_text("hello")
    code, text = house.run(
        "cat in; echo made > out; stat -c %u in out", mounts=(mount(tmp_path, "/work"),), cwd="/work"
    )
    assert (code, text) == (0, "hello1000\n1000\n")
    made = tmp_path / "out"
    assert made.read_text() == "made\n" and made.stat().st_uid == tmp_path.stat().st_uid
    assert house.run("touch /work/no", mounts=(mount(tmp_path, "/work", "ro"),))[0] != 0
    with pytest.raises(InputError, match="does not exist"):
        house.create("true", mounts=(mount(tmp_path / "nowhere", "/work"),))


def test_output_is_logged_and_bounded_to_what_was_asked(house) -> None:
    container = house.start("echo one; echo two >&2; echo three")
    container.wait(30)
    assert container.logs() == "one\ntwo\nthree\n" and container.logs(tail=1) == "three\n"
    container.remove()


def test_logs_are_followed_to_the_end(house) -> None:
    container = house.start("for i in 1 2 3; do echo $i; sleep 0.1; done")
    assert b"".join(container.follow()) == b"1\n2\n3\n"
    container.remove()


def test_streams_are_passed_through(house) -> None:
    read, write = os.pipe()
    answer_read, answer = os.pipe()
    container = house.create("cat")
    container.start(stdin=read, stdout=answer)
    os.close(read)
    os.close(answer)
    os.write(write, b"to and fro")
    os.close(write)
    assert container.wait(30) == 0
    assert os.read(answer_read, 100) == b"to and fro"
    os.close(answer_read)
    container.remove()


def test_a_command_that_is_not_there(house) -> None:
    container = house.create("/no/such/command")
    with pytest.raises(ContainerError, match="no/such/command") as caught:
        container.start()
    assert caught.value.exit_code == 127
    container.remove()


def test_a_failed_start_leaves_nothing_running_and_can_be_told_apart(house) -> None:
    container = house.create("true", cwd="relative")
    with pytest.raises(ContainerError):
        container.start()
    assert container.state().status == "created"
    container.remove()


def test_interrupt_reaches_the_program_and_what_it_runs(house) -> None:
    script = "trap 'echo interrupted' INT; sleep 100 & wait; sleep 0.1; trap - INT; echo ready; sleep 100"
    container = house.start(f"echo up; {script}")
    house.eventually(lambda: "up" in container.logs())
    time.sleep(0.1)
    container.signal(signal.SIGINT)
    house.eventually(lambda: "interrupted" in container.logs())
    house.eventually(lambda: "ready" in container.logs())
    time.sleep(0.1)
    container.signal(signal.SIGINT)  # sleep, in the program's process group, gets it as well
    assert container.wait(10) == 130
    container.remove()


def test_stop_terminates_and_then_kills(house) -> None:
    gentle = house.start("trap 'echo bye; exit 7' TERM; echo up; while :; do sleep 0.05; done")
    house.eventually(lambda: "up" in gentle.logs())
    assert gentle.stop(grace=10) == 7
    assert "bye" in gentle.logs()
    gentle.remove()
    stubborn = house.start("trap '' TERM; echo up; while :; do sleep 0.05; done")
    house.eventually(lambda: "up" in stubborn.logs())
    assert stubborn.stop(grace=0.2) == 137
    stubborn.remove()


def test_the_image_has_a_say_in_the_stop_signal(house) -> None:
    image = house.make_image("interrupted", stop_signal="SIGINT")
    container = house.start("trap 'exit 9' INT; echo up; while :; do sleep 0.05; done", image=image)
    house.eventually(lambda: "up" in container.logs())
    assert container.stop() == 9
    container.remove()


def test_nothing_survives_the_program(house) -> None:
    container = house.start("sleep 1000 & sleep 1001 & sleep 0.3; exit 0")
    pid = container.state().pid
    container.wait(30)
    assert pid is not None
    house.eventually(lambda: not Path(f"/proc/{pid}").exists())
    container.remove()


def test_zombies_are_reaped(house) -> None:
    script = "for i in 1 2 3 4 5; do (sleep 0.05 &) ; done; sleep 0.5; cat /proc/[0-9]*/stat | grep -c ' Z '"
    assert house.run(script)[1] == "0\n"


def test_remove_at_the_end_leaves_nothing(house) -> None:
    container = house.start("echo gone", remove=True)
    assert container.wait(30) == 0
    assert not (house.paths.containers / container.id).exists()
    assert not (house.paths.containers / "names" / container.config.name).is_symlink()


def test_a_second_start_makes_nothing_outside_of_the_layer(house, tmp_path: Path) -> None:
    container = house.create("sh", "-c", f"cd /; rm -r /not; ln -s {tmp_path} /not", cwd="/not/there")
    container.start()
    assert container.wait(30) == 0
    with pytest.raises(ContainerError):
        container.start()  # its working directory has gone
    assert list(tmp_path.iterdir()) == []
    container.remove()


def test_start_again_on_the_kept_layer(house) -> None:
    container = house.start("cat /home/jovyan/count 2>/dev/null; echo again >> /home/jovyan/count")
    container.wait(30)
    container.start()
    assert container.wait(30) == 0
    assert container.logs() == "again\n"
    with pytest.raises(ConflictError):
        running = house.start("sleep 100", name="twice")
        try:
            running.start()
        finally:
            running.remove(force=True)
    container.remove()


def test_names_are_unique_and_found(house) -> None:
    first = house.create("true", name="only-one")
    with pytest.raises(ConflictError, match="only-one"):
        house.create("true", name="only-one")
    assert house.runtime.find("only-one").id == house.runtime.find(first.id[:6]).id == first.id
    first.remove()
    house.create("true", name="only-one").remove()
    with pytest.raises(NotFoundError):
        house.runtime.find("only-one")


def test_exec_has_the_rights_of_the_container(house) -> None:
    import subprocess

    container = house.start("echo up; sleep 100", env={"A": "1"})
    argv = container.exec_argv(
        ["sh", "-c", "id -u; pwd; echo $A$B; grep CapEff /proc/self/status; exit 5"], env={"B": "2"}
    )
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.split("\n")[:3]) == (5, ["1000", "/home/jovyan", "12"]), done.stderr
    assert "CapEff:\t0000000000000000" in done.stdout
    container.remove(force=True)
    with pytest.raises((ContainerError, NotFoundError)):
        container.exec_argv(["true"])


def test_changes_against_the_image(house, tmp_path: Path) -> None:
    container = house.start(
        "echo new > /opt/new; rm /etc/remove-me; echo x >> /home/jovyan/f", mounts=(mount(tmp_path, "/mnt/here"),)
    )
    container.wait(30)
    found = set(container.changes())
    assert {Change(kind="A", path="/opt/new"), Change(kind="D", path="/etc/remove-me")} <= found
    assert Change(kind="A", path="/home/jovyan/f") in found
    assert not {change.path for change in found} & {"/mnt", "/mnt/here", "/etc/hosts", "/run", "/proc"}
    container.remove()


def test_statistics(house) -> None:
    container = house.start("i=0; while :; do i=$((i+1)); done")
    container.stats()
    time.sleep(0.3)
    stats = container.stats()
    assert stats.cpu_seconds > 0.05 and stats.cpu_percent > 5 and stats.memory > 0 and stats.pids >= 1
    container.remove(force=True)


def test_many_at_once(house) -> None:
    containers = [house.create("sh", "-c", f"echo {number}; sleep 0.2; exit {number}") for number in range(20)]
    threads = [threading.Thread(target=container.start) for container in containers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [container.wait(60) for container in containers] == list(range(20))
    assert [container.logs() for container in containers] == [f"{number}\n" for number in range(20)]
    for container in containers:
        container.remove()


def test_the_starting_thread_may_end(house) -> None:
    container = house.create("sh", "-c", "sleep 0.5; echo alive")
    thread = threading.Thread(target=container.start)
    thread.start()
    thread.join()
    assert container.wait(30) == 0 and container.logs() == "alive\n"
    container.remove()


def test_the_disk_limit_ends_it(house) -> None:
    container = house.start("dd if=/dev/zero of=/home/jovyan/big bs=1M count=64; sleep 60", disk=8 << 20)
    assert container.wait(30) == 137
    assert container.cause.startswith("out of disk")
    report = {item.limit: item.enforced_by for item in container.state().limits}
    assert report == {"disk": "watcher"}
    container.remove()


def test_an_image_is_kept_while_a_container_of_it_is(house) -> None:
    from jupyter_containers.image.gc import collect

    image = house.make_image("passing", stop_signal="SIGQUIT")
    resting = house.create("true", image=image)
    house.store.untag("passing")
    collect(house.store)
    resting.start()
    assert resting.wait(30) == 0
    running = house.start("sleep 100", image=image, remove=True)
    resting.remove()
    collect(house.store)
    assert house.store.image(image).digest == image
    running.remove(force=True)
    detached = house.start("sleep 100", image=image, remove=True, die_with_parent=False)
    collect(house.store)
    assert house.store.image(image).digest == image
    detached.remove(force=True)

    def is_gone() -> bool:
        collect(house.store)
        return image not in {known.digest for known in house.store.images()}

    house.eventually(is_gone)  # the monitor lets go a moment after it has removed the container


def test_scratch_folders_go_with_it_and_lie_in_the_runtime_folder_only(house, tmp_path: Path) -> None:
    scratch = house.paths.runtime / "k" / "12345678"
    scratch.mkdir(parents=True)
    container = house.create("true", scratch=(str(scratch),))
    container.remove()
    assert not scratch.exists()
    for bad in (tmp_path, house.paths.runtime, house.paths.runtime / ".." / "home"):
        with pytest.raises(InputError):
            house.create("true", scratch=(str(bad),))


def test_an_image_that_is_not_there(house) -> None:
    with pytest.raises(NotFoundError):
        house.runtime.create(ContainerConfig(image="sha256:" + "0" * 64, argv=("true",)))
