"""Every folder of tests/cases gives the spec, or exactly the problems, that its expect.toml says."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path

import pytest

from jupyter_containers.errors import SpecError
from jupyter_containers.spec.dump import dump_spec
from jupyter_containers.spec.inputs import find_missing_inputs, find_missing_mounts
from jupyter_containers.spec.load import load_spec

CASES = Path(__file__).parents[2] / "cases"
NAMES = sorted(path.name for path in CASES.iterdir() if path.is_dir())
KEYS = {"about", "path", "build", "file", "lock", "pylock", "used", "ignored", "missing", "spec", "error", "problems"}


def expected(name: str) -> dict:
    return tomllib.loads((CASES / name / "expect.toml").read_text())


def test_there_are_cases() -> None:
    assert len(NAMES) >= 60
    assert sum(expected(name).get("build", False) for name in NAMES) >= 25


@pytest.mark.parametrize("name", NAMES)
def test_case_is_complete(name: str) -> None:
    expect = expected(name)
    assert set(expect) <= KEYS
    assert expect["about"]
    verify = CASES / name / "verify"
    assert verify.exists() == expect.get("build", False)
    assert not verify.exists() or os.access(verify, os.X_OK)
    assert ("spec" in expect) != ("problems" in expect or "error" in expect)


@pytest.mark.parametrize("name", [name for name in NAMES if "spec" in expected(name)])
def test_good_case(name: str) -> None:
    case, expect = CASES / name, expected(name)

    loaded = load_spec(case / expect.get("path", "."))

    assert tomllib.loads(dump_spec(loaded.spec)) == expect["spec"]
    assert _below(case, loaded.file) == expect["file"]
    assert _below(case, loaded.lock_file) == expect["lock"]
    assert _below(case, loaded.pylock) == expect.get("pylock")
    assert [f"{_below(case, used.file)}: {used.part}" for used in loaded.used] == expect["used"]
    assert [f"{_below(case, item.file)}: {item.reason}" for item in loaded.ignored] == expect.get("ignored", [])
    if "missing" in expect:
        missing = (*find_missing_inputs(loaded), *find_missing_mounts(loaded))
        assert [_without_folder(case, str(problem)) for problem in missing] == expect["missing"]


@pytest.mark.parametrize("name", [name for name in NAMES if "spec" not in expected(name)])
def test_bad_case(name: str) -> None:
    case, expect = CASES / name, expected(name)

    with pytest.raises(SpecError) as caught:
        load_spec(case / expect.get("path", "."))

    told = [_without_folder(case, str(problem)) for problem in caught.value.problems]
    assert told == expect.get("problems", [])
    first_line = _without_folder(case, caught.value.message.splitlines()[0])
    assert first_line == expect.get("error", "the spec is not valid")


def _below(case: Path, file: Path | None) -> str | None:
    return None if file is None else str(file.relative_to(case))


def _without_folder(case: Path, text: str) -> str:
    return text.replace(f"{case}/", "").replace(str(case), ".")
