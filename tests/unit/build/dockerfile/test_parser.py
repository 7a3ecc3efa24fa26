"""Statements to instructions, and all that is wrong at once."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_containers.build.dockerfile.model import Copy, Healthcheck, Mount, OnBuild, Run
from jupyter_containers.build.dockerfile.parser import parse, parse_trigger
from jupyter_containers.errors import InputError


def only(line: str):
    return parse(f"FROM scratch\n{line}\n").stages[0].instructions[0]


def test_stages_and_global_arguments():
    found = parse("ARG a=1\nARG b\nFROM --platform=linux/arm64 x:$a AS Build\nRUN y\nFROM build\n")
    assert [argument.pairs for argument in found.arguments] == [(("a", "1"),), (("b", None),)]
    first, second = found.stages
    assert (first.base.image, first.base.platform, first.base.name) == ("x:$a", "linux/arm64", "build")
    assert (first.title, second.title, len(second.instructions)) == ("build", "stage-1", 0)


def test_exec_form_is_json_and_everything_else_is_for_the_shell():
    assert only('RUN ["a", "b c"]').command.argv == ("a", "b c")
    assert only("RUN ['a', 'b']").command.line == "['a', 'b']"
    assert only("RUN [ -f x ]").command.line == "[ -f x ]"
    assert only('CMD ["a", 1]').command.line == '["a", 1]'
    assert only("CMD []").command.argv == ()


def test_mounts():
    run = only("RUN --mount=type=cache,target=/c,sharing=locked,id=x --mount=target=/b,source=s,from=y,rw true")
    assert run.mounts == (
        Mount("cache", target="/c", id="x", sharing="locked", read_only=False),
        Mount("bind", target="/b", source="s", from_="y", read_only=False),
    )
    secret = only("RUN --mount=type=secret,id=t,required,mode=0400 true").mounts[0]
    assert (secret.kind, secret.required, secret.mode) == ("secret", True, 0o400)
    assert only("RUN --mount=type=tmpfs,target=/t,size=2M true").mounts[0].size == 2 << 20


@pytest.mark.parametrize(
    "mount",
    ["type=ssh", "type=x,target=/x", "target=", "type=cache", "type=tmpfs,target=/x,id=y", "type=bind,target=/x,foo=1",
     "type=cache,target=/x,sharing=mine", "type=secret,id=a,mode=9", "type=tmpfs,target=/x,size=big",
     "from=$x,target=/x",
     "type=bind,target=/x,ro=maybe"],
)  # fmt: skip
def test_wrong_mounts_are_refused(mount: str):
    with pytest.raises(InputError, match=r"Dockerfile:2: RUN: .*mount|ssh"):
        only(f"RUN --mount={mount} true")


def test_copy_and_its_flags():
    copy = only("COPY --from=x --chown=a:b --chmod=0755 --link --exclude=*.a --exclude=b a b/ c/")
    assert isinstance(copy, Copy)
    assert (copy.sources, copy.target, copy.from_, copy.chown, copy.chmod) == (
        ("a", "b/"),
        "c/",
        "x",
        "a:b",
        "0755",
    )
    assert (copy.link, copy.exclude, copy.add) == (True, ("*.a", "b"), False)


def test_health_check_times_are_nanoseconds():
    check = only("HEALTHCHECK --interval=1m1.5s --retries=2 CMD x")
    assert isinstance(check, Healthcheck)
    assert (check.times["interval"], check.times["timeout"], check.retries) == (61_500_000_000, 0, 2)


def test_heredocs_become_scripts_commands_and_files():
    script = parse("FROM x\nRUN <<EOF\n#!/bin/a\nb\nEOF\n").stages[0].instructions[0]
    assert isinstance(script, Run) and script.script == "#!/bin/a\nb\n"
    line = parse("FROM x\nRUN <<EOF\na\nb\nEOF\n").stages[0].instructions[0]
    assert isinstance(line, Run) and line.command.line == "a\nb\n"
    piped = parse("FROM x\nRUN a <<EOF\nb\nEOF\n").stages[0].instructions[0]
    assert isinstance(piped, Run) and piped.command.line == "a <<EOF\nb\nEOF\n"


def test_a_trigger_is_read_where_it_is_carried_out():
    found = only("ONBUILD COPY --from=x a b")
    assert isinstance(found, OnBuild)
    trigger = parse_trigger(found.trigger, escape="\\", file="D", line=7)
    assert isinstance(trigger, Copy) and (trigger.from_, trigger.line) == ("x", 7)


@pytest.mark.parametrize(
    ("line", "cause"),
    [
        ("COPY a", "at least one source and a target"), ("COPY a b c", "several sources need a folder"),
        ("COPY --chmod=u+x a b", "octal"), ("COPY --from=$x a b", "variables mean nothing"),
        ("COPY --from a b", "--from needs a value"), ("COPY --link=x a b", "neither true nor false"),
        ("COPY --from=a --from=b c d", "given twice"), ("ADD --from=a b c", "unknown flag --from"),
        ("ENV", "NAME=VALUE"), ("ENV a=1 b", "'b' is not of the form"), ("ENV =1", "not of the form"),
        ("LABEL x", "has no value"), ("ARG", "takes a NAME"), ("USER", "takes one USER"), ("WORKDIR", "a path"),
        ("VOLUME []", "at least one path"), ("STOPSIGNAL a b", "one signal"), ("SHELL x", "list in JSON"),
        ("HEALTHCHECK", "takes NONE, or CMD"), ("HEALTHCHECK NONE x", "no command"), ("HEALTHCHECK --retries=x CMD y",
         "not a number"), ("ONBUILD", "an instruction"), ("ONBUILD ONBUILD RUN x", "ONBUILD can't be a trigger"),
        ("ONBUILD COPY a", "at least one source"), ("FROM", "one image"), ("FROM a b", "IMAGE AS NAME"),
        ("FROM a AS 1x", "can't be the name"), ("RUN --network=vpn x", "none of default"), ("BUILD x", "unknown instr"),
        ("CMD --x y", "unknown flag --x"),
    ],
)  # fmt: skip
def test_mistakes_are_told_with_their_line(line: str, cause: str):
    with pytest.raises(InputError) as caught:
        parse(f"FROM scratch\n\n{line}\n")
    problem = caught.value.problems[0]
    assert problem.line == 3 and cause in str(problem)


def test_all_problems_come_at_once_and_in_order():
    with pytest.raises(InputError) as caught:
        parse("FROM a AS x\nFOO\nCOPY a\nFROM b AS x\nCOPY --from=1 a b\n")
    assert [problem.line for problem in caught.value.problems] == [2, 3, 4, 5]


@pytest.mark.parametrize("text", ["", "# only\n", "ARG x\n", "RUN x\nFROM y\n"])
def test_a_file_needs_a_base_first(text: str):
    with pytest.raises(InputError, match="FROM"):
        parse(text)


def test_notes():
    assert parse("FROM x\n").notes == ()
    assert parse("# syntax=docker/dockerfile:1.7-labs\nFROM x\n").notes == ()
    assert len(parse("# syntax=other/frontend\nFROM x\nMAINTAINER y\n").notes) == 2


@given(st.text(alphabet=st.sampled_from("FROMRUNCPYADEV abc\n\\=-\"'<>[]{}$:,#1"), max_size=200))
def test_any_text_is_a_dockerfile_or_refused_in_words(text: str):
    try:
        parse("FROM scratch\n" + text)
    except InputError as error:
        assert error.problems and all(problem.cause for problem in error.problems)
