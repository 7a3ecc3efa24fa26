"""What is written reads back as the same spec, and the schema agrees with the border."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jupyter_containers.spec.dump import dump_spec
from jupyter_containers.spec.load import load_spec
from jupyter_containers.spec.model import Build, Copy, EnvironmentSpec, Kernel, Mount, Packages, Resources
from jupyter_containers.spec.schema import json_schema

ROOT = Path(__file__).parents[3]
CASES = ROOT / "tests" / "cases"

text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r"), max_size=20)
line = text.filter(str.strip)
names = st.from_regex(r"[a-z0-9]{1,8}(-[a-z0-9]{1,8})?", fullmatch=True)
variables = st.dictionaries(st.from_regex(r"[A-Z_][A-Z0-9_]{0,5}", fullmatch=True), text, max_size=3)
parts = st.lists(st.from_regex(r"[\w -]{0,5}\w", fullmatch=True), min_size=1, max_size=3).map("/".join)
size = st.none() | st.integers(1, 2**63 - 1)


def tuples(values: st.SearchStrategy, **options: object) -> st.SearchStrategy:
    return st.lists(values, max_size=3, **options).map(tuple)


specs = st.builds(
    EnvironmentSpec,
    name=names,
    display_name=text,
    base=st.sampled_from(["debian:trixie", "debian:bookworm", "env:a", "oci-archive:x y.tar", "scratch+root.tar"]),
    python=st.sampled_from([None, "3.13", ">=3.11,<4"]),
    packages=st.builds(
        Packages,
        apt=tuples(st.sampled_from(["git", "git=1:2.39-1", "r-base/trixie"])),
        pip=tuples(st.sampled_from(["six", "six>=1", "a[b]; os_name == 'x'", "./pkg[x]", "b @ https://h/b.whl"])),
        constraints=tuples(st.just("six<2")),
        index_url=st.sampled_from([None, "https://h/simple"]),
        extra_index_urls=tuples(st.just("https://h/2")),
    ),
    build=st.builds(
        Build,
        copy=st.lists(parts, max_size=3, unique=True).map(
            lambda targets: tuple(Copy(source="a", target=f"/home/jovyan/{target}") for target in targets)
        ),
        run=tuples(line),
        env=variables,
    ),
    kernel=st.builds(
        Kernel,
        argv=st.sampled_from([(), ("/bin/k", "{connection_file}")]),
        env=variables,
        preload=tuples(st.just("a.b")),
    ),
    resources=st.builds(
        Resources,
        memory=size,
        disk=size,
        cpus=st.none() | st.floats(0.1, 64),
        pids=st.none() | st.integers(1, 9),
        gpus=st.none() | st.just(0),
    ),
    network=st.sampled_from(["none", "full"]),
    mounts=st.lists(parts, max_size=3, unique=True).map(
        lambda targets: tuple(Mount(source=f"~/{target}", target=f"/data/{target}", mode="rw") for target in targets)
    ),
    labels=st.dictionaries(line, text, max_size=2),
)


@given(specs)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_a_written_spec_reads_back_the_same(tmp_path: Path, spec: EnvironmentSpec) -> None:
    written = dump_spec(spec)
    (tmp_path / "jupyter-container.toml").write_text(written, newline="")

    assert load_spec(tmp_path).spec == spec
    jsonschema.validate(tomllib.loads(written), json_schema(), jsonschema.Draft202012Validator)


def test_defaults_are_not_written() -> None:
    assert dump_spec(EnvironmentSpec(name="a")) == 'name = "a"\n'


def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(json_schema())


def test_every_key_is_described() -> None:
    schema = json_schema()
    for part in (schema, *schema["$defs"].values()):
        assert part["description"]
        assert part["additionalProperties"] is False
        for name, key in part["properties"].items():
            assert key.get("description") or "$ref" in key, name


def test_the_committed_schema_is_the_one_that_is_printed() -> None:
    committed = (ROOT / "docs" / "jupyter-container.schema.json").read_text()
    assert committed == json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"


@pytest.mark.parametrize("file", sorted(CASES.glob("[!b]*/jupyter-container.toml")), ids=lambda file: file.parent.name)
def test_good_cases_fit_the_schema(file: Path) -> None:
    jsonschema.validate(tomllib.loads(file.read_text()), json_schema(), jsonschema.Draft202012Validator)


@pytest.mark.parametrize("name", ["bad-keys", "bad-types", "bad-values", "bad-copies"])
def test_bad_cases_do_not(name: str) -> None:
    validator = jsonschema.Draft202012Validator(json_schema())
    assert not validator.is_valid(tomllib.loads((CASES / name / "jupyter-container.toml").read_text()))


def test_the_reference_tells_of_every_key() -> None:
    reference = (ROOT / "docs" / "spec-reference.md").read_text()
    schema = json_schema()
    for part in (schema, *schema["$defs"].values()):
        for name in part["properties"]:
            assert f"`{name}`" in reference, name
