"""Changes of values: what is not changed stays byte for byte, and what comes of it reads back as asked for."""

from __future__ import annotations

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_containers.errors import SpecError
from jupyter_containers.spec.edit import Edit, change_text, edit_packages, replace_text
from jupyter_containers.spec.load import load_text

TEXT = """\
# The environment of the course.
name = "course"  # as in the catalogue

[packages]
# What the notebooks import:
pip = [
  "numpy",   # arrays
  # for the second half
  "scipy",
]
apt = ["graphviz"]  # dot

[[mounts]]
source = "~/data"  # read only
target = "/data"
"""


def change(*changes, text=TEXT):
    return change_text(text, [Edit(tuple(key), value) for key, value in changes])


@pytest.mark.parametrize(
    ("key", "value", "before", "after"),
    [
        (["name"], "seminar", '"course"  #', '"seminar"  #'),
        (["packages", "pip"], ["numpy", "scipy", "six"], '  "scipy",\n', '  "scipy",\n  "six",\n'),
        (["packages", "pip"], ["scipy"], '  "numpy",   # arrays\n', ""),
        (["packages", "apt"], [], '["graphviz"]', "[]"),
        (["packages", "apt"], None, 'apt = ["graphviz"]  # dot\n', ""),
        (["python"], "3.13", "catalogue\n", 'catalogue\npython = "3.13"\n'),
        (["resources", "memory"], "2G", 'target = "/data"\n', 'target = "/data"\n\n[resources]\nmemory = "2G"\n'),
        (["packages", "apt"], ["graphviz"], "", ""),
        (["resources", "memory"], None, "", ""),
        (["build", "env", "A"], "b", 'target = "/data"\n', 'target = "/data"\n\n[build.env]\nA = "b"\n'),
    ],
)
def test_only_what_is_changed_changes(key, value, before, after):
    assert change((key, value)) == TEXT.replace(before, after, 1)


def test_a_table_of_a_project():
    text = '[project]\nname = "x"\n\n[tool.jupyter-containers]\npython = "3.12"  # so far\n'
    changed = change_text(text, [Edit(("python",), "3.13"), Edit(("network",), "full")], in_project=True)
    assert changed == text.replace("3.12", "3.13") + 'network = "full"\n'


@pytest.mark.parametrize(("text", "key"), [("a = ", ["a"]), ('name = "x"\n', ["name", "deeper"])])
def test_what_can_t_be_changed(text, key):
    with pytest.raises(SpecError):
        change((key, 1), text=text)


WORDS = st.text("abc é\"'\\#\n", max_size=4)
VALUES = st.one_of(WORDS, st.integers(0, 9), st.booleans(), st.lists(WORDS, max_size=3, unique=True))
KEYS = st.sampled_from(
    [["name"], ["python"], ["packages", "pip"], ["packages", "apt"], ["packages", "new"], ["build", "env", "A B"]]
)


@given(st.lists(st.tuples(KEYS, st.none() | VALUES), max_size=5))
def test_the_text_says_what_was_asked_for(changes):
    expected = tomllib.loads(TEXT)
    for key, value in changes:
        table = expected
        for name in key[:-1]:
            table = table.setdefault(name, {}) if value is not None else table.get(name, {})
        if value is None:
            table.pop(key[-1], None)
        else:
            table[key[-1]] = value
    assert tomllib.loads(change(*changes)) == expected


def test_a_file_is_replaced_whole_with_its_mode(tmp_path):
    file = tmp_path / "a"
    file.write_text("old")
    file.chmod(0o640)
    replace_text(file, "new\r\n")
    assert (file.read_bytes(), file.stat().st_mode & 0o777) == (b"new\r\n", 0o640)
    with pytest.raises(SpecError, match="can't be written"):
        replace_text(tmp_path / "nowhere" / "a", "x")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


NATIVE = '# mine\nname = "a"\n\n[packages]  # all\npip = [\n  "six",   # old\n  "numpy==1",\n]\n'
PROJECT = (
    '[project]\nname = "x"\ndependencies = [\n    "six",  # old\n    "numpy==1",\n]\n\n[tool.ruff]\nline-length = 100\n'
)
LINES = "# mine\nsix   # old\n-r more.txt\nnumpy==1"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("jupyter-container.toml", NATIVE),
        ("pyproject.toml", PROJECT),
        (
            "pyproject.toml",
            '[project]\nname = "y"\n\n[tool.jupyter-containers]\n'
            + NATIVE.replace("[packages]", "[tool.jupyter-containers.packages]"),
        ),
        ("requirements.txt", LINES),
    ],
)
def test_packages_come_and_go(tmp_path, name, text):
    (tmp_path / "more.txt").write_text("zict\n")
    more = ("zict",) if name.endswith(".txt") else ()
    edited, changed = edit_packages(name, text, add=["attrs", "numpy>=2", "six", "Six"])
    assert changed == ("attrs", "numpy>=2")
    assert "# old" in edited
    assert set(load_text(edited, tmp_path, name).spec.packages.pip) - {"."} == {"six", "numpy>=2", "attrs", *more}
    edited, changed = edit_packages(name, edited, remove=["numpy", "ATTRS"])
    assert changed == ("numpy", "ATTRS")
    assert set(load_text(edited, tmp_path, name).spec.packages.pip) - {"."} == {"six", *more}
    assert edit_packages(name, edited, add=["six"]) == (edited, ())
    with pytest.raises(SpecError, match="does not list scipy"):
        edit_packages(name, edited, remove=["scipy"])


def test_packages_for_a_spec_that_has_none(tmp_path):
    edited, _ = edit_packages("jupyter-container.toml", 'name = "a"\n', add=["six", "./pkg"])
    assert load_text(edited, tmp_path).spec.packages.pip == ("six", "./pkg")
    edited, _ = edit_packages(
        "pyproject.toml", "[tool.jupyter-containers]\nname = 'b'\n\n[tool.x]\na = 1\n", add=["six"]
    )
    assert load_text(edited, tmp_path, "pyproject.toml").spec.packages.pip == ("six",)
    assert edit_packages("requirements.txt", "", add=["six"]) == ("six\n", ("six",))


@pytest.mark.parametrize(
    ("name", "text", "add", "message"),
    [
        ("jupyter-container.toml", NATIVE, ["six", "attrs=1"], "attrs=1"),
        ("jupyter-container.toml", "[packages]\npip = 3\n", ["six"], "has to be a list"),
        ("jupyter-container.toml", "packages = 3\n", ["six"], "has to be a list"),
        ("jupyter-container.toml", "a = ", ["six"], "not valid TOML"),
        ("pyproject.toml", "[build-system]\n", ["six"], "neither"),
        ("requirements.txt", "six==1 --hash=sha256:0\n", ["attrs"], "has hashes"),
        ("environment.yml", "dependencies: []\n", ["six"], "is not changed by this program.*pip:"),
        ("pylock.toml", "", ["six"], "is not changed"),
        ("a.ipynb", "{}", ["six"], "is not changed"),
    ],
)
def test_packages_that_can_t_be_added(name, text, add, message):
    with pytest.raises(SpecError, match=message):
        edit_packages(name, text, add=add)


NAMES = st.sampled_from(["six", "numpy", "attrs", "zict"])


@given(
    st.lists(st.tuples(NAMES, st.sampled_from(["", "==1", ">=2"])), max_size=6), st.sampled_from(["a.toml", "a.txt"])
)
def test_what_was_added_last_is_there_once(wanted, name):
    text = ""
    for package, version in wanted:
        text, _ = edit_packages(name, text, add=[package + version])
    expected = {}
    for package, version in wanted:
        if version or package not in expected:
            expected[package] = version
    listed = tomllib.loads(text).get("packages", {}).get("pip", []) if name == "a.toml" else text.split()
    assert sorted(listed) == sorted(package + version for package, version in expected.items())
    for package in expected:
        text, _ = edit_packages(name, text, remove=[package])
    assert not (tomllib.loads(text).get("packages", {}).get("pip", []) if name == "a.toml" else text.split())
