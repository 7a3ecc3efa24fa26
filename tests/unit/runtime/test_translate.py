from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from jupyter_containers.errors import ContainerError, InputError
from jupyter_containers.image.model import ExecutionConfig
from jupyter_containers.runtime.base import BindMount, ContainerConfig
from jupyter_containers.runtime.translate import (
    HostFacts,
    ImageFacts,
    check_mounts,
    make_sandbox,
    unique_layers,
)
from jupyter_containers.sandbox.model import Bind

FOLDER = Path("/home/me/jc/containers/0123456789ab")


def image(**execution) -> ImageFacts:
    return ImageFacts(
        layers=(Path("/home/me/jc/store/l/a"), Path("/home/me/jc/store/l/b")),
        execution=ExecutionConfig(**execution),
        passwd="root:x:0:0:root:/root:/bin/sh\n",
        group="root:x:0:\n",
    )


def sandbox(*, facts: ImageFacts | None = None, host: HostFacts | None = None, **fields):
    known = {"image": "sha256:" + "0" * 64, "argv": ("true",), "name": "calm-owl", "user": "jovyan"}
    config = ContainerConfig(**{**known, **fields})
    return make_sandbox(config, facts or image(), host or HostFacts(), folder=FOLDER, home=Path("/home/me/jc"))


def test_the_layers_of_the_image_lie_under_a_layer_of_its_own() -> None:
    made = sandbox()
    assert made.root.layers == image().layers
    assert (made.root.upper, made.root.work) == (FOLDER / "upper", FOLDER / "work")
    assert made.store == Path("/home/me/jc")


def test_it_dies_with_its_keeper_and_has_no_session_of_its_callers() -> None:
    made = sandbox()
    assert made.die_with_parent and made.new_session and made.filter == "container" and made.network == "none"


def test_the_user() -> None:
    made = sandbox()
    assert (made.uid, made.gid, made.env["USER"], made.env["HOME"], made.cwd) == (
        1000,
        1000,
        "jovyan",
        "/home/jovyan",
        "/home/jovyan",
    )
    root = sandbox(user="root", facts=image(env=("HOME=/home/jovyan", "USER=jovyan")))
    assert (root.uid, root.gid, root.env["USER"], root.env["HOME"], root.cwd) == (0, 0, "root", "/root", "/root")


PASSWD = "root:x:0:0:root:/root:/bin/sh\npostgres:x:26:27::/var/lib/pg:/bin/sh\nme:x:1000:1001::/home/me:/bin/sh\n"
GROUP = "root:x:0:\npostgres:x:27:\nusers:x:100:\nme:x:1001:\n"


@pytest.mark.parametrize(
    ("text", "uid", "gid", "name", "home"),
    [
        ("", 0, 0, "root", "/root"),
        ("postgres", 26, 27, "postgres", "/var/lib/pg"),
        ("26", 26, 27, "postgres", "/var/lib/pg"),
        ("postgres:users", 26, 100, "postgres", "/var/lib/pg"),
        ("postgres:5", 26, 5, "postgres", "/var/lib/pg"),
        ("1000", 1000, 1001, "me", "/home/me"),
        ("4711", 4711, 0, "user4711", "/home/user4711"),
        ("4711:27", 4711, 27, "user4711", "/home/user4711"),
    ],
)
def test_the_images_user(text: str, uid: int, gid: int, name: str, home: str) -> None:
    facts = msgspec.structs.replace(image(user=text), passwd=PASSWD, group=GROUP)
    made = sandbox(user="", facts=facts)
    assert (made.uid, made.gid) == (uid, gid)
    assert (made.env["USER"], made.env["LOGNAME"], made.env["HOME"], made.cwd) == (name, name, home, home)
    assert ("/usr" in made.read_only) == bool(uid)
    # The caller's word counts more, and the image's user then has no say.
    assert sandbox(user="me", facts=facts).env["HOME"] == "/home/me"


def test_what_the_images_env_says_of_its_user_holds_for_that_one_alone() -> None:
    facts = msgspec.structs.replace(image(user="me", env=("HOME=/srv", "USER=you")), passwd=PASSWD, group=GROUP)
    assert sandbox(user="", facts=facts).env["HOME"] == "/srv"
    other = sandbox(user="postgres", facts=facts)
    assert (other.env["HOME"], other.env["USER"], other.cwd) == ("/var/lib/pg", "postgres", "/var/lib/pg")


def test_users_that_an_image_does_not_have() -> None:
    with pytest.raises(ContainerError, match="no user 'nobody'"):
        sandbox(user="", facts=image(user="nobody"))
    with pytest.raises(ContainerError, match="no group 'wheel'"):
        sandbox(user="0:wheel")
    with pytest.raises(ContainerError, match="no user or group id"):
        sandbox(user="4294967295")
    bare = msgspec.structs.replace(image(), passwd="", group="")
    files = sandbox(user="", facts=bare).files
    assert files["/etc/passwd"] == b"root:x:0:0::/root:/bin/sh\n" and files["/etc/group"] == b"root:x:0:\n"


def test_volumes_have_layers_of_their_own() -> None:
    wanted = {"/data": {}, "/usr/share/x/": {}, "/": {}, "/proc/x": {}, "relative": {}, "/in/deep": {}, "/out": {}}
    mounts = (BindMount(source="/h", target="/in"), BindMount(source="/h", target="/out"))
    made = sandbox(facts=image(volumes=wanted), mounts=mounts)
    assert [volume.target for volume in made.volumes] == ["/data", "/usr/share/x"]
    assert made.volumes[1][1:3] == (FOLDER / "volumes/1/upper", FOLDER / "volumes/1/work")


def test_system_folders_are_read_only_unless_root_or_asked_otherwise() -> None:
    assert "/usr" in sandbox().read_only and "/opt" not in sandbox().read_only
    assert sandbox(user="root").read_only == ()
    assert sandbox(read_only_system=False).read_only == ()


def test_the_environment_comes_from_the_image_and_then_from_the_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "of the host")
    made = sandbox(facts=image(env=("PATH=/opt/venv/bin:/bin", "A=image", "B=image")), env={"B": "caller"})
    assert (made.env["PATH"], made.env["A"], made.env["B"]) == ("/opt/venv/bin:/bin", "image", "caller")
    assert "SECRET" not in made.env and "TZ" not in made.env and "TERM" not in made.env
    made = sandbox(host=HostFacts(time_zone="Europe/Berlin", terminal="xterm-256color"), tty=True)
    assert (made.env["TZ"], made.env["TERM"]) == ("Europe/Berlin", "xterm-256color")


def test_the_working_directory_is_the_callers_else_the_images() -> None:
    assert sandbox(facts=image(working_dir="/srv")).cwd == "/srv"
    assert sandbox(facts=image(working_dir="/srv"), cwd="/work").cwd == "/work"


def test_generated_files() -> None:
    files = sandbox(host=HostFacts(resolv_conf=b"nameserver 1.2.3.4\n")).files
    assert b"127.0.1.1 calm-owl" in files["/etc/hosts"] and "/etc/resolv.conf" not in files
    assert b"\njovyan:x:1000:1000:" in files["/etc/passwd"] and files["/etc/passwd"].startswith(b"root:")
    files = sandbox(network="full", host=HostFacts(resolv_conf=b"nameserver 1.2.3.4\n")).files
    assert files["/etc/resolv.conf"] == b"nameserver 1.2.3.4\n"


def test_an_image_that_has_the_user_keeps_its_own_files() -> None:
    facts = ImageFacts(
        layers=(Path("/l"),),
        execution=ExecutionConfig(),
        passwd="me:x:1000:1000::/home/me:/bin/sh\n",
        group="me:x:1000:\n",
    )
    assert not {"/etc/passwd", "/etc/group"} & sandbox(facts=facts).files.keys()


def test_mounts_become_binds() -> None:
    made = sandbox(mounts=(BindMount(source="/data", target="/in"), BindMount(source="/out", target="/out", mode="rw")))
    assert made.binds == (
        Bind(Path("/data"), "/in", resolved=True),
        Bind(Path("/out"), "/out", writable=True, resolved=True),
    )


def test_no_command_is_an_error() -> None:
    with pytest.raises(ContainerError, match="command"):
        sandbox(argv=())


def test_a_layer_is_given_once_and_the_topmost_counts() -> None:
    a, b = Path("/a"), Path("/b")
    assert unique_layers((a, b, a)) == (b, a)
    assert unique_layers((a, b)) == (a, b)


def test_everything_wrong_with_mounts_is_told_at_once(tmp_path: Path) -> None:
    check_mounts((BindMount(source=str(tmp_path), target="/work"),))
    bad = (
        BindMount(source=str(tmp_path / "no"), target="/a"),
        BindMount(source="relative", target="/b"),
        BindMount(source=str(tmp_path), target="c"),
        BindMount(source=str(tmp_path), target="/d/../../etc"),
        BindMount(source=str(tmp_path), target="/"),
        BindMount(source=str(tmp_path), target="/proc/self"),
        BindMount(source=str(tmp_path), target="/twice"),
        BindMount(source=str(tmp_path), target="/twice/"),
    )
    with pytest.raises(InputError) as caught:
        check_mounts(bad)
    assert len(caught.value.problems) == 7
