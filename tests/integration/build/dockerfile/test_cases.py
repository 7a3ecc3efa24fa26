"""Every case folder, built; its ``verify`` in a container of the result, its configuration, its notes and errors."""

from __future__ import annotations

import dockerfile_case as cases
import msgspec
import pytest

from jupyter_containers.build.dockerfile.builder import build_dockerfile
from jupyter_containers.errors import ContainersError
from jupyter_containers.image.model import Image
from jupyter_containers.paths import Paths

NAMES = cases.case_names()


def test_there_are_forty_cases_with_a_verify_script():
    assert len([name for name in NAMES if (cases.CASES / name / "verify").exists()]) >= 40


@pytest.mark.parametrize("name", NAMES)
def test_case(name: str, base: Image, home: Paths):
    case, folder = cases.read_case(name), cases.CASES / name
    notes: list[str] = []
    if case.error:
        with pytest.raises(ContainersError) as caught:
            build_dockerfile(case.request(folder), paths=home, note=notes.append)
        for part in case.error:
            assert part in str(caught.value)
        return
    image = build_dockerfile(case.request(folder), paths=home, note=notes.append)
    assert len(notes) == len(case.notes), notes
    for part in case.notes:
        assert any(part in note for note in notes), notes
    config = msgspec.json.decode(msgspec.json.encode(image.config.execution))
    assert {key: config.get(key, type(value)()) for key, value in case.config.items()} == case.config
    assert cases.verify(image, folder, home) == (0, "")


@pytest.mark.parametrize("name", [name for name in NAMES if not cases.read_case(name).error])
def test_case_is_cached(name: str, base: Image, home: Paths):
    """A second build makes nothing, and gives the same image."""
    case, folder = cases.read_case(name), cases.CASES / name
    first = build_dockerfile(case.request(folder), paths=home)
    made: list[str] = []

    def listen(event):
        if event.kind == "step" and event.phase in {"running", "copying"}:
            made.append(event.step)

    again = build_dockerfile(case.request(folder), paths=home, monitor=listen)
    assert (made, again.digest) == ([], first.digest)
