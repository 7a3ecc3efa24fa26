"""Lines to statements."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from jupyter_containers.build.dockerfile.lexer import (
    Directives,
    read_directives,
    read_statements,
    shell_words,
)
from jupyter_containers.errors import Problem


def statements(text: str):
    problems: list[Problem] = []
    directives = read_directives(text, "Dockerfile", problems)
    return read_statements(text, directives, "Dockerfile", problems), problems


def test_comments_and_empty_lines_count_for_nothing():
    found, _ = statements("# one\n\n  # two\nFROM x\n\tRUN y # no comment\n")
    assert [(each.line, each.keyword, each.rest) for each in found] == [
        (4, "FROM", "x"),
        (5, "RUN", "y # no comment"),
    ]


def test_lines_are_continued_over_comments_and_empty_lines():
    found, _ = statements("RUN a \\\n  # inside\n\n  b \\  \n c\nRUN d\n")
    assert [(each.line, each.rest.split()) for each in found] == [(1, ["a", "b", "c"]), (6, ["d"])]


def test_an_escaped_escape_does_not_continue():
    found, _ = statements("RUN a \\\\\nRUN b\n")
    assert [each.rest for each in found] == ["a \\\\", "b"]


def test_the_last_line_may_be_continued():
    found, _ = statements("RUN a \\\n")
    assert found[0].rest == "a"


def test_directives_stand_before_all_else():
    assert read_directives("# escape=`\n# syntax = x/y:1\nFROM a", "", []) == Directives("`", "x/y:1")
    assert read_directives("# a comment\n# escape=`\n", "", []).escape == "\\"
    assert read_directives("\n# escape=`\n", "", []).escape == "\\"


def test_wrong_directives_are_told():
    problems: list[Problem] = []
    read_directives("# escape=x\n# syntax=a\n# syntax=b\n", "D", problems)
    assert [problem.line for problem in problems] == [1, 3]


def test_another_escape_character():
    found, _ = statements("# escape=`\nRUN a `\nb\\\n")
    assert found[0].rest == "a b\\"


def test_flags_are_cut_off_and_unquoted():
    (found,), _ = statements('RUN --mount=type=bind,target="/a b" --network=none -- --not-a-flag\n')
    assert found.flags == ("--mount=type=bind,target=/a b", "--network=none")
    assert found.rest == "--not-a-flag"


def test_flags_end_with_the_first_other_word():
    (found,), _ = statements("COPY --from=x a --b c\n")
    assert (found.flags, found.rest) == (("--from=x",), "a --b c")


def test_heredocs_are_read_to_their_ends():
    found, problems = statements("RUN cat <<A <<'B'\n1\nA\n# 2 \\\nB\nCOPY <<-C /x\n\tone\n\tC\nFROM y\n")
    first, second = found[0].heredocs
    assert (first.name, first.content, first.expand) == ("A", "1\n", True)
    assert (second.name, second.content, second.expand) == ("B", "# 2 \\\n", False)
    assert (found[1].heredocs[0].content, found[1].heredocs[0].text) == ("\tone\n", "one\n")
    assert found[2].keyword == "FROM" and not problems


def test_shifts_herestrings_and_other_instructions_are_no_heredocs():
    found, _ = statements('RUN echo $((1<<2)) <<<x "<<A"\nENV a=<<A\nRUN ["cat", "<<A"]\n')
    assert all(not each.heredocs for each in found) and len(found) == 3


def test_a_heredoc_without_an_end_is_told_by_its_line():
    _, problems = statements("FROM x\nRUN <<EOF\nabc\n")
    assert [(problem.line, "EOF has no end" in problem.cause) for problem in problems] == [(2, True)]


def test_a_trigger_keeps_its_heredocs():
    (found,), _ = statements("ONBUILD RUN <<EOF\nabc\nEOF\n")
    assert found.body == "ONBUILD RUN <<EOF\nabc\nEOF"


def test_windows_line_ends_and_a_byte_order_mark():
    found, _ = statements("\ufeffFROM x\r\nRUN a \\\r\n b\r\n")
    assert [each.rest.split() for each in found] == [["x"], ["a", "b"]]


@given(st.text(alphabet=st.sampled_from("FROM RUN\n\\\"'<>EO#=`$-\t\r[]{}"), max_size=120))
def test_any_text_is_read(text: str):
    found, _ = statements(text)
    assert all(1 <= each.line <= text.count("\n") + 1 and each.keyword for each in found)


@given(st.text(max_size=60))
def test_words_hold_all_but_blanks(text: str):
    assert "".join(shell_words(text, "\\")).replace(" ", "").replace("\t", "").replace("\n", "") == text.replace(
        " ", ""
    ).replace("\t", "").replace("\n", "")
