from __future__ import annotations

import signal

import pytest

from jupyter_containers.errors import ConflictError, ContainerError, NotFoundError
from jupyter_containers.runtime.base import Container, ContainerConfig, Runtime
from jupyter_containers.runtime.fake import FakeRuntime

IMAGE = "sha256:" + "0" * 64


def config(**fields) -> ContainerConfig:
    return ContainerConfig(image=IMAGE, argv=("true",), **fields)


def test_it_is_a_runtime_and_its_containers_are_containers() -> None:
    runtime: Runtime = FakeRuntime()
    container: Container = runtime.create(config())
    assert container.state().status == "created"


def test_a_life_from_start_to_removal() -> None:
    runtime = FakeRuntime(images={IMAGE})
    container = runtime.create(config(name="one", memory=1 << 20))
    container.start()
    assert [state.name for state in runtime.list()] == ["one"]
    with pytest.raises(ConflictError):
        container.remove()
    container.finish(3, cause="it had enough", output="a\nb\nc\n")
    assert (container.poll(), container.wait(0), container.state().cause) == (3, 3, "it had enough")
    assert container.logs(tail=1) == "c\n"
    assert runtime.list() == () and len(runtime.list(all=True)) == 1
    container.remove()
    assert runtime.list(all=True) == () and runtime.removed == [container]


def test_stop_goes_from_sigterm_to_sigkill() -> None:
    runtime = FakeRuntime()
    container = runtime.create(config(remove=True))
    container.ends_at = frozenset({signal.SIGKILL})
    container.start()
    assert container.stop() == 137
    assert container.signals == [signal.SIGTERM, signal.SIGKILL]
    assert runtime.containers == []


def test_a_program_ends_the_start_at_once() -> None:
    container = FakeRuntime(program=lambda container: 7).create(config())
    container.start()
    assert container.poll() == 7


def test_what_is_not_there_is_said() -> None:
    runtime = FakeRuntime(images=())
    with pytest.raises(NotFoundError):
        runtime.create(config())
    runtime = FakeRuntime()
    runtime.create(config(name="a"))
    with pytest.raises(ConflictError):
        runtime.create(config(name="a"))
    with pytest.raises(NotFoundError):
        runtime.find("b")
    with pytest.raises(ContainerError):
        runtime.find("a").signal(signal.SIGINT)


def test_finding_by_name_id_and_prefix() -> None:
    runtime = FakeRuntime()
    first, second = runtime.create(config(name="a")), runtime.create(config())
    assert (
        runtime.find("a") is first and runtime.find(second.id) is second and runtime.find(second.config.name) is second
    )
    with pytest.raises(NotFoundError):
        runtime.find("0000")
