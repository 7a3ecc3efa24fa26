"""Which stages a target needs; the scopes of arguments; the configuration."""

from __future__ import annotations

import pytest

from jupyter_containers.build.dockerfile.metadata import apply
from jupyter_containers.build.dockerfile.parser import parse
from jupyter_containers.build.dockerfile.platform import Platform, parse_platform
from jupyter_containers.build.dockerfile.scope import Scope, declare_global, unused_arguments
from jupyter_containers.build.dockerfile.stages import lay_out
from jupyter_containers.build.dockerfile.words import expand
from jupyter_containers.errors import InputError
from jupyter_containers.image.model import ExecutionConfig

AMD = Platform("linux", "amd64")
FILE = parse(
    "FROM a AS one\nFROM one AS two\nFROM b AS three\nRUN --mount=from=one,target=/x true\n"
    "FROM c AS four\nCOPY --from=two x y\nCOPY --from=2 x y\nCOPY --from=image x y\n"
)


def jobs(text, target="", **given):
    dockerfile = parse(text) if isinstance(text, str) else text
    return lay_out(dockerfile, target, declare_global(dockerfile, given, AMD, AMD))


def test_variables_have_an_end_together():
    text = f"ARG A={'x' * 100_000}\n" + "".join(f"ARG A{number}=$A\n" for number in range(12))
    with pytest.raises(InputError, match="can't be given to a command"):
        jobs(f"{text}FROM scratch\n")


@pytest.mark.parametrize(
    ("target", "needed"),
    [("", [0, 1, 2, 3]), ("two", [0, 1]), ("ONE", [0]), ("2", [0, 2]), ("three", [0, 2])],
)
def test_only_what_the_target_needs(target: str, needed: list[int]):
    assert [job.stage.index for job in jobs(FILE, target)] == needed


def test_what_a_stage_needs_first():
    found = jobs(FILE)
    assert [(job.base, sorted(job.needs)) for job in found] == [
        (None, []),
        (0, [0]),
        (None, [0]),
        (None, [1, 2]),
    ]


def test_triggers_of_a_base_need_their_stages():
    found = jobs("FROM a AS data\nFROM b AS base\nONBUILD COPY --from=data x y\nFROM base\n")
    assert [(job.stage.index, sorted(job.needs)) for job in found] == [(0, []), (1, []), (2, [0, 1])]


def test_from_is_expanded_with_global_arguments():
    found = jobs("ARG v=1\nARG base=x:$v\nFROM --platform=$BUILDPLATFORM $base\n", v="2")
    assert (found[0].image, found[0].platform) == ("x:2", "linux/amd64")
    with pytest.raises(InputError, match="empty once expanded"):
        jobs("FROM $nothing\n")


def test_a_stage_takes_global_arguments_only_when_it_asks():
    scope = Scope({"given": "g"}, {"outer": "o", "given": "x"})
    assert dict(scope.args) == {}
    assert dict(scope.declare("outer", None).args) == {"outer": "o"}
    assert dict(scope.declare("outer", "own").args) == {"outer": "own"}
    assert dict(scope.declare("given", "own").args) == {"given": "g"}
    assert dict(scope.declare("unset", None).args) == {}


def test_proxies_are_not_counted():
    scope = Scope({"HTTP_PROXY": "p", "x": "1"}).declare("HTTP_PROXY", None).declare("x", None)
    assert (scope.counted, scope.proxies) == ({"x": "1"}, {"HTTP_PROXY": "p"})


def test_arguments_that_nothing_takes_up():
    dockerfile = parse("ARG a\nFROM x\nARG b=1\nONBUILD ARG c\n")
    assert unused_arguments(dockerfile, dict.fromkeys(["a", "b", "c", "d", "http_proxy"], "")) == ("d",)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("arm64", "linux/arm64"), ("linux/arm/v7", "linux/arm/v7"), ("linux/x86_64", "linux/amd64")],
)
def test_platforms(text: str, expected: str):
    assert str(parse_platform(text)) == expected


@pytest.mark.parametrize("text", ["windows/amd64", "a/b/c/d", "linux/", "linux/$x"])
def test_platforms_that_are_none(text: str):
    with pytest.raises(InputError):
        parse_platform(text)


def configure(text: str, before: ExecutionConfig | None = None) -> ExecutionConfig:
    config, has_cmd = before or ExecutionConfig(), False
    for instruction in parse(f"FROM scratch\n{text}\n").stages[0].instructions:
        variables = config.environment
        config = apply(instruction, config, lambda word, v=variables: expand(word, v), has_cmd=has_cmd)
        has_cmd = has_cmd or instruction.keyword == "CMD"
    return config


def test_env_keeps_its_order_and_replaces():
    assert configure("ENV a=1 b=2\nENV a=$b").env == ("a=2", "b=2")


def test_working_folders_are_relative_to_the_one_before():
    assert configure("WORKDIR /a/./b\nWORKDIR ../c").working_dir == "/a/c"
    assert configure("WORKDIR x").working_dir == "/x"


def test_an_entrypoint_takes_a_base_command_away():
    base = ExecutionConfig(cmd=("x",))
    assert configure('ENTRYPOINT ["y"]', base).cmd is None
    assert configure('CMD ["z"]\nENTRYPOINT ["y"]', base).cmd == ("z",)


def test_ports():
    found = configure("ENV p=9\nEXPOSE 80 81/UDP 90-91 $p").exposed_ports
    assert list(found or ()) == ["80/tcp", "81/udp", "90/tcp", "91/tcp", "9/tcp"]
