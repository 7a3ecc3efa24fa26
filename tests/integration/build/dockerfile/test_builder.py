"""What a folder with files can't show: downloads, archives of images, parallel stages, stops, the command line."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from jupyter_containers.build.dockerfile.builder import Request, build_dockerfile
from jupyter_containers.build.monitor import Event
from jupyter_containers.environments import Environments
from jupyter_containers.errors import BuildError, CancelledError, ConflictError, InputError
from jupyter_containers.image.inside import exists_in_root, read_text_in_root
from jupyter_containers.image.model import Image
from jupyter_containers.image.saving import save
from jupyter_containers.image.store import Store
from jupyter_containers.paths import Paths
from jupyter_containers.spec.catalog import Record, record

Build = Callable[..., Image]


@pytest.fixture
def build(base: Image, home: Paths, tmp_path: Path) -> Build:
    """Build a Dockerfile's text in a folder of its own."""

    def build(text: str, **options: object) -> Image:
        request = {key: options.pop(key) for key in list(options) if key in {"tags", "platform", "target", "no_cache"}}
        (tmp_path / "Dockerfile").write_text(text)
        return build_dockerfile(Request(context=tmp_path, **request), paths=home, **options)

    return build


def read(image: Image, path: str) -> str:
    return read_text_in_root(image.layer_paths, path)


@pytest.fixture
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    folder = tmp_path_factory.mktemp("served")

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, *words: object) -> None:
            (folder / "requests").open("a").write(self.path + "\n")

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder))) as httpd:
        threading.Thread(target=httpd.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{httpd.server_port}", folder
        httpd.shutdown()


def test_an_address_with_a_checksum_is_downloaded_once(build: Build, server: tuple[str, Path]):
    url, folder = server
    (folder / "a file.txt").write_bytes(b"content\n")
    digest = hashlib.sha256(b"content\n").hexdigest()
    text = f"FROM cases-base\nADD --checksum=sha256:{digest} {url}/a%20file.txt /into/\n"
    image = build(text)
    assert read(image, "into/a file.txt") == "content\n"
    assert build(text).digest == image.digest
    assert (folder / "requests").read_text().count("/a%20file.txt") == 1


def test_an_address_without_a_checksum_is_asked_for_changes(build: Build, server: tuple[str, Path]):
    url, folder = server
    text = f"FROM cases-base\nADD {url}/one.tar /named\n"
    (folder / "one.tar").write_bytes(b"first")
    first = build(text)
    assert read(first, "named") == "first"
    (folder / "one.tar").write_bytes(b"second version")
    os.utime(folder / "one.tar", (2_000_000_000, 2_000_000_000))  # the server tells whole seconds
    assert read(build(text), "named") == "second version"


def test_a_wrong_checksum_is_told(build: Build, server: tuple[str, Path]):
    url, folder = server
    (folder / "x").write_bytes(b"other")
    with pytest.raises(BuildError, match=r"(?s)Dockerfile:2.*wrong content"):
        build(f"FROM cases-base\nADD --checksum=sha256:{'0' * 64} {url}/x /x\n")


def test_a_missing_address_is_told(build: Build, server: tuple[str, Path]):
    with pytest.raises(BuildError, match="no such file"):
        build(f"FROM cases-base\nADD {server[0]}/nothing /x\n")


def test_from_an_archive_beside_the_dockerfile(build: Build, base: Image, home: Paths, tmp_path: Path):
    save(Store(home.store), base, tmp_path / "base.tar", reference="some:name")
    image = build("FROM oci-archive:base.tar\nRUN echo from an archive > /result\n")
    assert read(image, "result") == "from an archive\n"
    assert image.layers[:-1] == base.layers
    named = build("FROM scratch\nCOPY --from=oci-archive:base.tar /etc/passwd /x\n")
    assert read(named, "x") == read(base, "etc/passwd")


def test_an_image_that_is_nowhere_is_told_with_its_line(build: Build):
    with pytest.raises(InputError, match=r"Dockerfile:2: registry\.example/none"):
        build("# one\nFROM registry.example/none:1\n")


def test_images_of_registries_come_by_the_callers_pull(build: Build, base: Image):
    asked = []

    def pull(name: str, platform: str, progress: object) -> Image:
        asked.append((name, platform))
        return base

    image = build("FROM registry.example/some:1\nRUN echo x > /result\n", pull=pull)
    assert read(image, "result") == "x\n"
    assert [name for name, _ in asked] == ["registry.example/some:1"]


def test_another_platform_of_a_local_image_is_refused(build: Build, base: Image):
    other = "arm64" if base.config.architecture != "arm64" else "amd64"
    with pytest.raises(InputError, match=f"--platform=linux/{other} was asked for"):
        build(f"FROM --platform=linux/{other} cases-base\n")
    image = build("FROM scratch\nCOPY Dockerfile /\n", platform=f"linux/{other}")
    assert image.config.architecture == other


def test_independent_stages_are_built_side_by_side(build: Build):
    """Each waits for the other's sign in a shared cache: one after the other they would never end."""
    mount = "--mount=type=cache,id=test-side-by-side,target=/c"
    wait = "for i in $(seq 300); do [ -e /c/%s ] && break; sleep 0.1; done; [ -e /c/%s ] && echo met > /met"
    token = os.urandom(4).hex()
    stages = "".join(
        f"FROM cases-base AS {mine}\nRUN {mount} touch /c/{mine}{token}; {wait.replace('%s', other + token)}\n"
        for mine, other in (("left", "right"), ("right", "left"))
    )
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("one processor: one stage at a time")
    image = build(stages + "FROM cases-base\nCOPY --from=left /met /l\nCOPY --from=right /met /r\n")
    assert read(image, "l") == read(image, "r") == "met\n"


def test_the_same_steps_give_the_same_image_again(build: Build):
    text = "FROM cases-base\nCOPY Dockerfile /x/\nRUN mkdir /y && echo z > /y/z && date +%s%N > /dev/null\nENV a=b\n"
    assert build(text, no_cache=True).digest == build(text, no_cache=True).digest


def test_a_step_that_gives_the_same_bytes_does_not_cost_those_after_it(build: Build):
    steps: dict[str, bool] = {}

    def listen(event: Event) -> None:
        if event.kind == "step":
            steps[event.step.partition("] ")[2]] = event.cached

    build("FROM cases-base\nRUN echo same > /same\nRUN cat /same > /other\n")
    build("FROM cases-base\nRUN printf 'same\\n' > /same\nRUN cat /same > /other\n", monitor=listen)
    assert steps["RUN printf 'same\\n' > /same"] is False
    assert steps["RUN cat /same > /other"] is True


def test_a_build_is_cancelled_while_a_command_runs(build: Build):
    cancel = threading.Event()

    def listen(event: Event) -> None:
        if event.kind == "output" and event.text == "at work":
            cancel.set()

    start = time.monotonic()
    with pytest.raises(CancelledError):
        build("FROM cases-base\nRUN echo at work; sleep 60\n", cancel=cancel, monitor=listen)
    assert time.monotonic() - start < 30


def test_a_failing_stage_stops_the_others(build: Build):
    text = "FROM cases-base AS a\nRUN sleep 60\nFROM cases-base AS b\nRUN exit 3\nFROM a\nCOPY --from=b / /\n"
    with pytest.raises(BuildError, match=r"Dockerfile:4: .*exit status 3"):
        build(text)


def test_pipes_and_closed_files_that_a_command_leaves(build: Build):
    text = (
        "FROM cases-base\nRUN mkfifo /run/pipe /pipe && echo x > /run/closed && chmod 0 /run/closed && "
        "mkdir -m 0 /run/folder /closed\n"
    )
    image = build(text)
    assert exists_in_root(image.layer_paths, "run/closed") and exists_in_root(image.layer_paths, "pipe")


def test_what_can_not_be_copied_is_told_with_its_line(build: Build, tmp_path: Path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(BuildError, match=r"Dockerfile:2: /pipe of the build context: it is neither"):
        build("FROM cases-base\nCOPY . /x\n")
    os.unlink(tmp_path / "pipe")
    with pytest.raises(BuildError, match=r"Dockerfile:3: cannot copy: /x is a folder|Dockerfile:3: .*is a folder"):
        build("FROM cases-base\nRUN mkdir -p /x/Dockerfile\nCOPY . /x\n")
    with pytest.raises(BuildError, match=r"Dockerfile:3: .*a folder is needed there"):
        build("FROM cases-base\nRUN echo > /x\nCOPY Dockerfile /x/y\n")


def test_nothing_is_left_behind_by_a_failure(build: Build, home: Paths):
    with pytest.raises(BuildError):
        build("FROM cases-base\nRUN mkdir /some && echo x > /some/x && exit 1\n")
    assert list((home.store / "tmp").iterdir()) == []


def test_a_tag_that_is_an_environments_name_is_refused(base: Image, home: Paths, tmp_path: Path):
    record(home, Record(name="thesis", display_name="Thesis", spec_file=str(tmp_path)))
    (tmp_path / "Dockerfile").write_text("FROM cases-base\n")
    with pytest.raises(ConflictError, match="thesis is the name of an environment"):
        Environments(home).build_dockerfile(Request(context=tmp_path, tags=("thesis",)))


@pytest.fixture
def command(base: Image, home: Paths, tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """The command line, in the case's folder."""
    environ = {**os.environ, "JUPYTER_CONTAINERS_HOME": str(home.home), "TOKEN": "hidden"}

    def run(*words: str, text: str = "") -> subprocess.CompletedProcess[str]:
        argv = [sys.executable, "-m", "jupyter_containers", *words]
        return subprocess.run(argv, cwd=tmp_path, env=environ, input=text, capture_output=True, text=True, check=False)

    return run


def test_the_command_builds_tags_and_the_image_runs(
    command: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
):
    (tmp_path / "Dockerfile").write_text(
        "FROM cases-base AS one\nARG who\nUSER daemon\n"
        'RUN --mount=type=secret,id=t [ "$(cat /run/secrets/t)" = hidden ] && echo "hello $who" > /hello\n'
        'USER root\nCMD ["cat", "/hello"]\nFROM one\nRUN exit 1\n'
    )
    done = command(
        "build", "-f", "Dockerfile", "-t", "thing:1", "-t", "other", "--build-arg", "who=you", "--target", "one",
        "--secret", "id=t,env=TOKEN", ".",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("thing:1, other: ready in ")
    assert "[one 4/6] RUN --mount=type=secret" in done.stderr and "note: Dockerfile:4: RUN as daemon" in done.stderr
    assert command("run", "--rm", "thing:1").stdout == "hello you\n"
    again = command("build", "-t", "other", "--build-arg", "who=you", "--target", "one", "--secret", "id=t,env=TOKEN")
    assert [line.split()[1] for line in again.stderr.splitlines() if "RUN --mount" in line] == ["cached"]


def test_the_command_reads_a_pipe_and_prints_json(command: Callable[..., subprocess.CompletedProcess[str]]):
    done = command("build", "-f", "-", "--json", ".", text="FROM cases-base\nMAINTAINER me\n")
    answer = json.loads(done.stdout)
    assert answer["image"].startswith("sha256:") and len(answer["notes"]) == 1
    assert command("logs", answer["build"]).returncode == 0


def test_the_command_tells_all_mistakes_and_ends_with_2(
    command: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
):
    (tmp_path / "Dockerfile").write_text("FROM scratch\nFOO\nBAR\n")
    done = command("build", "-f", "Dockerfile", ".")
    assert done.returncode == 2
    assert "Dockerfile:2: unknown instruction 'FOO'" in done.stderr and "Dockerfile:3" in done.stderr


@pytest.mark.parametrize(
    ("words", "cause"),
    [
        (("-f", "nowhere", "."), "cannot read nowhere"), (("-t", "x", "."), "has no Dockerfile"),
        (("-t", "UPPER", "-f", "-", "."), "not an image reference"), (("--secret", "src=x", "."), "not well formed"),
        (("--secret", "id=x,src=nowhere", "."), "cannot read the secret"), (("--build-arg", "=x", "."), "has no name"),
        (("-f", "-", "--platform", "windows/amd64", "."), "only linux"), (("-f", "-", "--locked", "."), "no lock"),
    ],
)  # fmt: skip
def test_wrong_options_are_told(
    command: Callable[..., subprocess.CompletedProcess[str]], words: tuple[str, ...], cause: str
):
    done = command("build", *words, text="FROM scratch\n")
    assert done.returncode == 2 and cause in done.stderr


def test_files_that_a_later_layer_removes_are_gone(build: Build):
    image = build("FROM cases-base\nRUN rm /etc/group\nCOPY Dockerfile /etc/\n")
    assert not exists_in_root(image.layer_paths, "etc/group") and exists_in_root(image.layer_paths, "etc/Dockerfile")
