"""The parsers of other people's formats, on their own and on anything at all."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
import tomlkit
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jupyter_containers.errors import SpecError
from jupyter_containers.spec.conda import convert_version, counterparts, parse_match
from jupyter_containers.spec.load import load_spec
from jupyter_containers.spec.positions import Positions
from jupyter_containers.spec.reading import Folder
from jupyter_containers.spec.requirement import Wrong, check_requirement
from jupyter_containers.spec.requirements import logical_lines, name_url
from jupyter_containers.spec.script import find_block

ANY_FILE = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
LINES = st.lists(
    st.one_of(
        st.text(max_size=30),
        st.sampled_from(
            [
                "six",
                "-r a.txt",
                "-c",
                "-e .",
                "--hash=sha256:00",
                "# x",
                "a \\",
                "\\",
                "-i https://x/",
                "a@b",
                "a;b",
                "./x",
            ]
        ),
    ),
    max_size=8,
).map("\n".join)


def read(folder: Path, name: str, text: str) -> None:
    """Reading gives a spec or a SpecError with problems, whatever the text is."""
    (folder / name).write_text(text)
    try:
        load_spec(folder / name)
    except SpecError as error:
        assert error.problems
        assert all(problem.file and problem.cause for problem in error.problems)


@ANY_FILE
@given(LINES)
def test_requirements_never_crash(tmp_path: Path, text: str) -> None:
    read(tmp_path, "requirements.txt", text)


@ANY_FILE
@given(
    st.lists(
        st.one_of(st.text(max_size=20), st.sampled_from(["dependencies:", " - six=1", " - pip:", "   - a", "name: x"]))
    )
)
def test_conda_files_never_crash(tmp_path: Path, lines: list[str]) -> None:
    read(tmp_path, "environment.yml", "\n".join(lines))


@ANY_FILE
@given(st.text(max_size=60))
def test_scripts_never_crash(tmp_path: Path, text: str) -> None:
    read(tmp_path, "a.py", f"# /// script\n# {text}\n# ///\n")


SIMPLE = st.one_of(
    st.text(max_size=12), st.integers(-5, 5), st.booleans(), st.floats(allow_nan=False, allow_infinity=False)
)
VALUES = st.recursive(
    SIMPLE,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=6), inner, max_size=3)),
)
WORDS = st.sampled_from(
    ["name", "packages", "pip", "apt", "build", "env", "mounts", "kernel", "memory", "resources", "x.y"]
)
DOCUMENTS = st.dictionaries(st.one_of(WORDS, st.text(max_size=6)), VALUES, max_size=6)


@ANY_FILE
@given(DOCUMENTS)
def test_native_documents_never_crash(tmp_path: Path, document: dict) -> None:
    read(tmp_path, "x.toml", tomlkit.dumps(document))


@given(DOCUMENTS)
@settings(deadline=None)
def test_each_key_is_found_on_a_line_that_shows_it(document: dict) -> None:
    text = tomlkit.dumps(document)
    lines = text.split("\n")
    positions = Positions(text)
    for key, value in tomllib.loads(text).items():
        line = positions.line((key,))
        if value != {} and value != []:
            assert line is not None
            assert (
                key in lines[line - 1]
                or tomlkit.item(key).as_string()[1:-1] in lines[line - 1]
                or "\\" in lines[line - 1]
            )


def test_lines_of_a_toml_with_everything() -> None:
    text = '''\
a.b = 1 # [x]
"c]" = """
[not.a.table]
"""
arr = [ # one
  "x", [1,
  2], # two
  { k = 'v#', "l.m" = 3 },
]
[t . "u v"]
w = 1979-05-27 07:32:00
[[m]]
x = 1
[[m]]
x = 2
[m.n]
y = \'\'\'
'\'\'\'
[[m.o]]
[[m.o]]
z = "\\\\"
'''
    tomllib.loads(text)
    positions = Positions(text)
    wanted = {
        ("a", "b"): 1, ("c]",): 2, ("arr",): 5, ("arr", 0): 6, ("arr", 1): 6, ("arr", 1, 1): 7, ("arr", 2, "l.m"): 8,
        ("t", "u v", "w"): 11, ("m", 0): 12, ("m", 0, "x"): 13, ("m", 1, "x"): 15, ("m", 1, "n", "y"): 17,
        ("m", 1, "o", 0): 19, ("m", 1, "o", 1, "z"): 21, ("m", 1, "absent"): 14, ("absent",): None,
    }  # fmt: skip
    assert {key: positions.line(key) for key in wanted} == wanted


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("a \\\nb\n", [(1, "a b")]),
        ("a \\\n# c\nb", [(1, "a"), (3, "b")]),
        ("a#b # c", [(1, "a#b")]),
        ("\n  \n# x\nlast \\", [(4, "last")]),
        ("\\\n\\\nx", [(1, "x")]),
    ],
)
def test_logical_lines_are_pips(text: str, lines: list[tuple[int, str]]) -> None:
    assert list(logical_lines(text)) == lines


@pytest.mark.parametrize(
    ("url", "requirement"),
    [
        ("git+https://h/x.git@v1#egg=x", "x @ git+https://h/x.git@v1"),
        ("git+https://h/x.git#subdirectory=a&egg=x[y] ; os_name=='posix'",
         "x[y] @ git+https://h/x.git#subdirectory=a ; os_name=='posix'"),
        ("https://h/my_pkg-1.0-py3-none-any.whl#sha256=00", "my_pkg @ https://h/my_pkg-1.0-py3-none-any.whl#sha256=00"),
        ("https://h/scikit-learn-1.0.tar.gz", "scikit-learn @ https://h/scikit-learn-1.0.tar.gz"),
        ("https://h/main.zip", "https://h/main.zip"),
        ("six", "six"),
    ],
)  # fmt: skip
def test_urls_get_the_name_that_they_tell(url: str, requirement: str) -> None:
    assert name_url(url) == requirement


@pytest.mark.parametrize(
    ("match", "name", "version"),
    [
        ("numpy", "numpy", ""), ("numpy=1.26", "numpy", "==1.26.*"), ("numpy==1.26.4", "numpy", "==1.26.4"),
        ("numpy=1.26.4=py311_0", "numpy", "==1.26.4"), ("numpy 1.26", "numpy", "==1.26"),
        ("numpy >=1,<2", "numpy", ">=1,<2"),
        ("numpy 1.26.*", "numpy", "==1.26.*"), ("numpy=1.26.*", "numpy", "==1.26.*"),
        ("numpy!=1.2.*", "numpy", "!=1.2.*"),
        ("conda-forge/linux-64::NumPy>1", "numpy", ">1"), ("numpy[version='>=1,<2',build=x]", "numpy", ">=1,<2"),
        ("numpy>=1.2.*", "numpy", ">=1.2"), ("numpy *", "numpy", ""), ("numpy~=1.2", "numpy", "~=1.2"),
    ],
)  # fmt: skip
def test_conda_versions_in_pep440(match: str, name: str, version: str) -> None:
    parsed = parse_match(match)
    assert (parsed.name, convert_version(parsed)) == (name, version)


@pytest.mark.parametrize("match", ["numpy=1|2", "numpy=abc!", "=1", "a b c", "numpy>=1 <2"])
def test_conda_versions_without_counterpart(match: str) -> None:
    with pytest.raises(Wrong):
        convert_version(parse_match(match))


def test_the_table_of_counterparts_is_sound() -> None:
    known = counterparts()
    assert len(known.pypi) >= 150
    assert not known.pypi.keys() & known.debian.keys()
    assert not known.unneeded.keys() & (known.pypi.keys() | known.debian.keys())
    for name in (*known.pypi, *known.debian, *known.unneeded):
        assert parse_match(name).name == name
    for requirement in known.pypi.values():
        assert check_requirement(requirement) == requirement


REFERENCE = r"(?m)^# /// (?P<type>[a-zA-Z0-9-]+)$\s(?P<content>(^#(| .*)$\s)+)^# ///$"
"""PEP 723, "Reference Implementation"."""
COMMENTS = st.lists(
    st.sampled_from(["# /// script", "# /// other", "# ///", "# a = 1", "#", "#x", "x", ""]), max_size=9
)


@given(COMMENTS)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_blocks_are_those_of_the_reference(tmp_path: Path, lines: list[str]) -> None:
    text = "\n".join(lines) + "\n"
    (tmp_path / "a.py").write_text(text)
    found = [item for item in re.finditer(REFERENCE, text) if item["type"] == "script"]
    if len(found) > 1:
        with pytest.raises(SpecError, match="second"):
            find_block(Folder(tmp_path), "a.py")
        return
    block = find_block(Folder(tmp_path), "a.py")
    if not found:
        assert block is None
        return
    content = "".join(line[2:] if line.startswith("# ") else line[1:] for line in found[0]["content"].splitlines(True))
    assert block is not None
    assert block.text == content
    assert text.split("\n")[block.line - 2] == "# /// script"


def test_a_megabyte_of_open_blocks_takes_one_pass(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("# /// script\n" * 80_000)

    assert find_block(Folder(tmp_path), "a.py") is None
