from __future__ import annotations

import pytest

from jupyter_containers.errors import ResolutionError
from jupyter_containers.lock.packages import Index, make_compact, read_status
from jupyter_containers.lock.solver import solve
from jupyter_containers.lock.universe import Universe, Wish, parse_wish


def index(text: str, suite: str = "trixie") -> Index:
    """``name version; field: value; …`` per line."""
    stanzas = []
    for line in filter(None, map(str.strip, text.splitlines())):
        head, *fields = [part.strip() for part in line.split(";")]
        name, version = head.split()
        stanzas.append(
            "\n".join([f"Package: {name}", f"Version: {version}", "Architecture: all", *fields, f"SHA256: {name}"])
        )
    return Index(make_compact("\n\n".join(stanzas).encode()), archive="http://archive/debian", suite=suite)


def chosen(text: str, *wanted: str, **options) -> dict[str, str]:
    universe = Universe([index(text)], **options)
    return {name: item.version for name, item in solve(universe, wanted).items()}


def test_dependencies_follow():
    world = """
        a 1; Depends: b (>= 2), c
        b 2; Pre-Depends: d
        c 1
        d 1
        e 1
    """
    assert chosen(world, "a") == {"a": "1", "b": "2", "c": "1", "d": "1"}


def test_circular_dependencies_are_fine():
    assert chosen("a 1; Depends: b\nb 1; Depends: a", "a") == {"a": "1", "b": "1"}


def test_newest_of_several_suites():
    universe = Universe([index("a 1\na 3"), index("a 2", "trixie-security")])
    assert solve(universe, ["a"])["a"].version == "3"


def test_first_alternative_is_taken_and_a_strict_dependency_settles_it():
    assert set(chosen("a 1; Depends: x | y\nx 1\ny 1", "a")) == {"a", "x"}
    assert set(chosen("a 1; Depends: x | y\nb 1; Depends: y\nx 1\ny 1", "a", "b")) == {"a", "b", "y"}


def test_real_package_before_a_provider_and_important_before_optional():
    world = """
        a 1; Depends: mail
        p 1; Provides: mail; Priority: optional
        q 1; Provides: mail; Priority: important
    """
    assert set(chosen(world, "a")) == {"a", "q"}
    assert set(chosen(world + "mail 1\n", "a")) == {"a", "mail"}


def test_versioned_virtual_package():
    world = "a 1; Depends: api (>= 2)\nold 1; Provides: api (= 1)\nplain 1; Provides: api\nnew 1; Provides: api (= 2)"
    assert set(chosen(world, "a")) == {"a", "new"}


def test_conflict_leads_back_to_another_alternative():
    world = """
        a 1; Depends: x | y
        b 1; Conflicts: x
        x 1
        y 1
    """
    assert set(chosen(world, "a", "b")) == {"a", "b", "y"}
    assert set(chosen(world, "b", "a")) == {"a", "b", "y"}


def test_conflict_found_late_takes_a_decision_back():
    world = """
        a 1; Depends: x | y
        x 1; Depends: z | w
        z 1; Conflicts: c
        w 1; Depends: v
        v 1; Breaks: c (<< 2)
        c 1
        y 1
    """
    assert set(chosen(world, "a", "c")) == {"a", "c", "y"}


def test_breaks_of_another_version_do_not_count():
    assert set(chosen("a 1; Breaks: b (<< 2)\nb 2", "a", "b")) == {"a", "b"}


def test_package_may_conflict_with_what_it_provides():
    assert set(chosen("a 1; Provides: mta; Conflicts: mta", "a")) == {"a"}
    with pytest.raises(ResolutionError, match="conflicts with mta"):
        chosen("a 1; Provides: mta; Conflicts: mta\nb 1; Provides: mta; Conflicts: mta", "a", "b")


def test_contradiction_names_both_sides():
    with pytest.raises(ResolutionError, match=r"packages: a 1 depends on b \(>= 2\), but there is only version 1"):
        solve(Universe([index("a 1; Depends: b (>= 2)\nb 1")]), ["a"], title="packages")
    with pytest.raises(ResolutionError, match=r"b 1 conflicts with a"):
        chosen("a 1\nb 1; Conflicts: a", "a", "b")


def test_unknown_package_has_a_suggestion():
    with pytest.raises(ResolutionError, match="graphvis") as caught:
        chosen("graphviz 1", "graphvis")
    assert "did you mean graphviz" in caught.value.hint


def test_wished_version_and_suite():
    suites = [index("a 2"), index("a 1", "trixie-security"), index("a 9", "trixie-backports")]

    def pick(wish: str) -> str:
        made = parse_wish(wish)
        universe = Universe(suites, wishes={made.name: made}, optional=frozenset({"trixie-backports"}))
        return solve(universe, [made.name])["a"].version

    assert pick("a") == "2"  # backports are for those who ask
    assert pick("a=1") == "1"
    assert pick("a/trixie-backports") == "9"
    assert pick("a=9*") == "9"
    with pytest.raises(ResolutionError, match=r"a=3 is not to be had: there is a 9 \(trixie-backports\), 2 \(trixie\)"):
        pick("a=3")


def test_backports_serve_a_dependency_that_nothing_else_meets():
    suites = [index("b 1"), index("a 2; Depends: b (>= 2)\nb 2", "bpo")]
    universe = Universe(suites, wishes={"a": Wish("a", suite="bpo")}, optional=frozenset({"bpo"}))
    assert {name: item.version for name, item in solve(universe, ["a"]).items()} == {"a": "2", "b": "2"}


def test_earlier_version_is_kept_while_it_is_there():
    suites = [index("a 2"), index("a 1", "trixie-security")]
    assert solve(Universe(suites, preferred={"a": "1"}), ["a"])["a"].version == "1"
    assert solve(Universe(suites, preferred={"a": "0.9"}), ["a"])["a"].version == "2"


def installed(text: str):
    stanzas = []
    for line in filter(None, map(str.strip, text.splitlines())):
        head, *fields = [part.strip() for part in line.split(";")]
        name, version = head.split()
        fields = [*fields, "Architecture: all", "Status: install ok installed"]
        stanzas.append("\n".join([f"Package: {name}", f"Version: {version}", *fields]))
    return read_status("\n\n".join(stanzas).encode())


def test_what_a_base_has_is_left_alone():
    assert chosen("a 1; Depends: b\nb 2", "a", installed=installed("b 1")) == {"a": "1"}


def test_base_moves_up_where_it_must_with_what_hangs_on_it():
    base = installed("b 1\nb-tool 1; Depends: b (= 1)")
    world = "a 1; Depends: b (>= 2)\nb 2\nb-tool 2; Depends: b (= 2)"
    assert chosen(world, "a", installed=base) == {"a": "1", "b": "2", "b-tool": "2"}


def test_wished_version_is_not_met_by_another_one_of_the_base():
    world = index("b 2")
    universe = Universe([world], installed=installed("b 1"), wishes={"b": Wish("b", version="2")})
    assert solve(universe, ["b"])["b"].version == "2"


def test_order_of_wishes_does_not_matter_and_runs_agree():
    world = "\n".join(f"p{number} 1; Depends: p{(number * 7) % 30} | p{(number * 11) % 30}" for number in range(30))
    first = chosen(world, "p1", "p2", "p3")
    assert first == chosen(world, "p1", "p2", "p3") and set(first) >= {"p1", "p2", "p3"}
