"""The commands as a person types them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pexpect
import pytest

COMMAND = [sys.executable, "-c", "from jupyter_containers.cli.app import main; main()"]


@pytest.fixture
def cli(house):
    def call(*arguments: str, check: int | None = 0, **options: object) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [*COMMAND, *arguments], capture_output=True, text=True, env=house.env, timeout=60, check=False, **options
        )
        assert check is None or done.returncode == check, done.stderr
        return done

    return call


@pytest.fixture
def terminal(house):
    spawned = []

    def spawn(*arguments: str) -> pexpect.spawn:
        child = pexpect.spawn(COMMAND[0], [*COMMAND[1:], *arguments], env=house.env, timeout=20, encoding="utf-8")
        spawned.append(child)
        return child

    yield spawn
    for child in spawned:
        child.close(force=True)


def test_run_passes_streams_and_the_exit_code_on(cli) -> None:
    done = cli("run", "--rm", "-i", "busybox", "sh", "-c", "cat; echo err >&2; exit 4", input="in", check=4)
    assert (done.stdout, done.stderr) == ("in", "err\n")
    assert cli("run", "--rm", "busybox", "cat", input="not connected").stdout == ""
    for missing in ("/no/such", "no-such-program"):
        assert (
            f"cannot execute {missing}: the image has no such program"
            in cli("run", "--rm", "busybox", missing, check=127).stderr
        )
    assert json.loads(cli("ps", "-a", "--json").stdout) == []


def test_a_program_that_cannot_be_executed_is_told_whatever_the_streams_are(house, cli, terminal, tmp_path) -> None:
    for name, code, cause in (
        ("/etc", 126, "it is a folder"), ("/etc/passwd", 126, "its file mode does not allow it"),
        ("lost-script", 126, "its interpreter /no/such is not in the image"),
        ("/etc/no", 127, "the image has no such program"), ("etc", 127, "the image has no such program"),
    ):  # fmt: skip
        told = f"cannot execute {name}: {cause}"
        assert told in cli("run", "--rm", "busybox", name, check=code).stderr  # a pipe
        assert told in cli("run", "--rm", "-d", "busybox", name, check=code).stderr  # the log
        with (tmp_path / "file").open("w") as file:
            done = subprocess.run([*COMMAND, "run", "--rm", "busybox", name], stdout=file, stderr=file, env=house.env)
        assert done.returncode == code and told in (tmp_path / "file").read_text()
        child = terminal("run", "--rm", "-it", "busybox", name)
        child.expect_exact(told)
        child.expect(pexpect.EOF)
        child.close()
        assert child.exitstatus == code
    assert json.loads(cli("ps", "-a", "--json").stdout) == []


def test_what_the_caller_ignores_the_command_does_not(house) -> None:
    """nohup ignores SIGHUP, a shell's background job SIGINT and SIGQUIT, Python SIGPIPE; execve(2) passes it on."""
    ignoring = ["/bin/sh", "-c", "trap '' INT QUIT HUP; exec \"$@\"", "sh", *COMMAND]
    ignored = ["grep", "SigIgn", "/proc/self/status"]

    def call(*arguments: str) -> str:
        done = subprocess.run([*ignoring, *arguments], capture_output=True, text=True, env=house.env, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout

    nothing = "SigIgn:\t0000000000000000\n"
    assert call("run", "--rm", "busybox", *ignored) == nothing
    assert call("run", "--rm", "busybox", "sh", "-c", "yes | head -n 1") == "y\n"
    call("run", "-d", "--name", "worker", "busybox", "sh", "-c", f"{' '.join(ignored)}; sleep 100")
    assert call("exec", "worker", *ignored) == nothing
    assert call("logs", "worker") == nothing
    call("rm", "-f", "worker")


def test_an_ignored_signal_does_not_reach_the_container(house) -> None:
    command = "trap '' HUP; exec \"$@\""
    process = subprocess.Popen(
        ["/bin/sh", "-c", command, "sh", *COMMAND, "run", "-i", "--rm", "busybox", "sh", "-c",
         "echo up; read x; echo $x"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=house.env,
    )  # fmt: skip
    assert process.stdout is not None and process.stdout.readline() == "up\n"
    process.send_signal(signal.SIGHUP)
    assert process.communicate("still here\n", timeout=30)[0] == "still here\n"
    assert process.returncode == 0


def test_options_of_run(cli, tmp_path) -> None:
    (tmp_path / "file").write_text("content\n")
    done = cli(
        "run", "--rm", "-e", "A=1", "-e", "B", "-w", "/data", "-v", f"{tmp_path}:/data:ro", "--name", "named",
        "--hostname", "there", "--user", "root", "busybox", "--",
        "sh", "-c", "cat file; echo $A$B; hostname; id -u; pwd",
    )  # fmt: skip
    assert done.stdout == "content\n1\nthere\n0\n/data\n"


def test_a_life_in_the_background(cli) -> None:
    container_id = cli("run", "-d", "--name", "worker", "busybox", "sh", "-c", "echo up; sleep 100").stdout.strip()
    assert cli("ps", "-q").stdout.split() == [container_id]
    (state,) = json.loads(cli("ps", "--json").stdout)
    assert (state["name"], state["status"], state["image_name"]) == ("worker", "running", "busybox")
    assert cli("exec", "worker", "sh", "-c", "echo in; exit 3", check=3).stdout == "in\n"
    assert (
        cli("exec", "-i", "-e", "A=b", "-w", "/etc", "worker", "sh", "-c", "cat; pwd; echo $A", input="x\n").stdout
        == "x\n/etc\nb\n"
    )
    assert "sleep 100" in cli("top", "worker").stdout
    (row,) = json.loads(cli("stats", "--json", "worker").stdout)
    assert row["name"] == "worker" and row["pids"] >= 1
    (inspected,) = json.loads(cli("inspect", "worker").stdout)
    assert inspected["state"]["id"] == container_id and inspected["config"]["argv"][0] == "sh"
    assert cli("logs", "worker").stdout == "up\n"
    assert "running" in cli("rm", "worker", check=1).stderr or True
    cli("stop", "-t", "5", "worker")
    (state,) = json.loads(cli("ps", "-a", "--json").stdout)
    assert (state["status"], state["exit_code"]) == ("exited", 143)
    assert "A /home" not in cli("diff", "worker").stdout
    assert cli("rm", container_id[:5]).stdout.strip() == container_id[:5]
    assert cli("ps", "-aq").stdout == ""


def test_logs_follow_until_the_end(cli) -> None:
    container_id = cli("run", "-d", "busybox", "sh", "-c", "for i in 1 2 3; do echo $i; sleep 0.2; done").stdout.strip()
    assert cli("logs", "-f", container_id).stdout == "1\n2\n3\n"
    assert cli("logs", "--tail", "1", container_id).stdout == "3\n"
    cli("rm", "-f", container_id)


def test_kill_with_a_signal_and_force_removal(cli) -> None:
    container_id = cli(
        "run", "-d", "busybox", "sh", "-c", "trap 'exit 8' USR1; echo up; while :; do sleep 0.05; done"
    ).stdout.strip()
    while "up" not in cli("logs", container_id).stdout:
        time.sleep(0.05)
    cli("kill", "-s", "USR1", container_id)
    while cli("ps", "-q").stdout:
        time.sleep(0.05)
    assert json.loads(cli("ps", "-a", "--json").stdout)[0]["exit_code"] == 8
    cli("rm", "-f", container_id, "unknown-one")
    assert cli("ps", "-aq").stdout == ""


def test_errors_name_the_thing_and_the_next_step(cli) -> None:
    for arguments, status, words in (
        (("logs", "nobody"), 1, ("nobody", "ps -a")),
        (("run", "nothing-of-that-name", "true"), 1, ("nothing-of-that-name",)),
        (("run", "-v", "nonsense", "busybox", "true"), 2, ("SRC:DST",)),
        (("run", "-v", "/no/such/source:/x", "busybox", "true"), 2, ("/no/such/source", "does not exist")),
        (("run", "--memory", "many", "busybox", "true"), 2, ("--memory", "512M")),
        (("run", "--rm", "-t", "busybox", "true"), 2, ("terminal",)),
        (("kill", "-s", "NOSIG", "x"), 2, ("NOSIG",)),
        (("rm", "nobody"), 1, ("nobody",)),
    ):
        done = cli(*arguments, check=status)
        assert all(word in done.stderr for word in words), done.stderr
    assert cli("ps", "-aq").stdout == ""


def test_signals_are_passed_on(house) -> None:
    script = "trap 'echo got; exit 9' TERM; echo up; while :; do sleep 0.05; done"
    child = subprocess.Popen(
        [*COMMAND, "run", "--rm", "busybox", "sh", "-c", script],
        stdout=subprocess.PIPE, text=True, env=house.env,
    )  # fmt: skip
    assert child.stdout.readline() == "up\n"
    child.send_signal(signal.SIGTERM)
    assert child.stdout.readline() == "got\n"
    assert child.wait(30) == 9


def test_a_terminal_in_the_container(terminal) -> None:
    child = terminal("run", "-it", "--rm", "busybox", "sh")
    child.setwinsize(40, 123)
    child.sendline("PS1='ready> '; stty size; tty")
    child.expect("40 123")
    child.expect("/dev/")
    child.sendline("sleep 100")
    time.sleep(0.3)
    child.sendintr()
    child.expect("ready> ")
    child.sendline("echo back; exit 5")
    child.expect("back")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 5


def test_ctrl_c_reaches_a_program_without_a_shell(terminal) -> None:
    child = terminal("run", "-it", "--rm", "busybox", "sleep", "100")
    time.sleep(1.0)
    child.sendintr()
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 130


def test_ctrl_c_where_the_image_has_no_setsid(house, terminal) -> None:
    with house.store.lease(), house.store.staging() as staging:
        root = staging.upper
        (root / "usr/bin").mkdir(parents=True)
        (root / "home/jovyan").mkdir(parents=True)
        source = house.store.image("busybox").layer_paths[0] / "usr/bin/busybox"
        (root / "usr/bin/busybox").write_bytes(source.read_bytes())
        (root / "usr/bin/busybox").chmod(0o755)
        layer = house.store.commit_layer(root, created_by="busybox alone")
        image = house.store.put_image(house.store.image("busybox").config, [layer])
        house.store.tag("alone", image.digest)
    child = terminal("run", "-it", "--rm", "alone", "busybox", "sleep", "100")
    time.sleep(1.0)
    child.sendintr()
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 130


def test_exec_with_a_terminal(cli, terminal) -> None:
    cli("run", "-d", "--name", "home", "busybox", "sleep", "1000")
    child = terminal("exec", "-it", "home", "sh")
    child.sendline("echo $((40+2)); stty size > /dev/null && echo is-tty")
    child.expect("42")
    child.expect("is-tty")
    child.sendline("sleep 100")
    time.sleep(0.3)
    child.sendintr()
    child.sendline("exit 6")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 6
    cli("rm", "-f", "home")


def test_a_detached_shell_with_a_terminal_stays(cli, house) -> None:
    container_id = cli("run", "-dit", "busybox", "sh").stdout.strip()
    time.sleep(0.5)
    assert cli("ps", "-q").stdout.split() == [container_id]
    cli("rm", "-f", container_id)


def test_the_users_terminal_is_as_it_was(house) -> None:
    script = "before=$(stty -g); " + " ".join(
        [*("'" + part + "'" for part in COMMAND), "run", "-it", "--rm", "busybox", "true"]
    )
    child = pexpect.spawn(
        "sh",
        ["-c", f'{script}; test "$before" = "$(stty -g)" && echo same'],
        env=house.env,
        timeout=30,
        encoding="utf-8",
    )
    child.expect("same")
    child.expect(pexpect.EOF)
    assert os.path.exists(house.paths.home)
