"""What a kernel gets: a notebook only takes away, its user may agree to more, the administrator has the last word."""

from __future__ import annotations

import json
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_containers.errors import InputError
from jupyter_containers.kernels.limits import Ceiling, Chosen, Policy, check_chosen, decide, read_chosen
from jupyter_containers.kernels.options import KernelOptions
from jupyter_containers.spec.model import EnvironmentSpec, Resources

G = 1 << 30
OPTIONS = KernelOptions(environment="x")


def spec(network="none", **resources):
    return EnvironmentSpec(name="x", network=network, resources=Resources(**resources))


def told(limits):
    made = {name: getattr(limits.resources, name) for name in ("memory", "cpus", "pids", "gpus")}
    return {name: value for name, value in made.items() if value is not None} | {"network": limits.network}


@pytest.mark.parametrize(
    ("of_spec", "given", "expected"),
    [
        ({"memory": G}, {}, {"memory": G, "network": "none"}),
        ({"memory": 2 * G}, {"chosen": Chosen(memory="1G")}, {"memory": G, "network": "none"}),
        ({"memory": G}, {"chosen": Chosen(memory="2G")}, {"memory": G, "network": "none"}),
        ({}, {"chosen": Chosen(memory=G, cpus=0.5)}, {"memory": G, "cpus": 0.5, "network": "none"}),
        ({}, {"chosen": Chosen(network="full")}, {"network": "none"}),
        ({"network": "full"}, {"chosen": Chosen(network="none")}, {"network": "none"}),
        ({"network": "full"}, {"chosen": Chosen(network="full")}, {"network": "full"}),
        ({}, {"chosen": Chosen(gpus=2)}, {"network": "none"}),
        ({"gpus": 2}, {"chosen": Chosen(gpus=1)}, {"gpus": 1, "network": "none"}),
        ({"memory": G}, {"agreed": Chosen(memory="2G", network="full")}, {"memory": 2 * G, "network": "full"}),
        (
            {"memory": G},
            {"agreed": Chosen(cpus=2), "chosen": Chosen(memory=1)},
            {"memory": G, "cpus": 2, "network": "none"},
        ),
        ({}, {"agreed": Chosen(gpus=1)}, {"gpus": 1, "network": "none"}),
        ({"memory": 4 * G}, {"ceiling": Ceiling(memory=G, pids=9)}, {"memory": G, "pids": 9, "network": "none"}),
        ({}, {"agreed": Chosen(memory="8G"), "ceiling": Ceiling(memory=G)}, {"memory": G, "network": "none"}),
        ({"network": "full"}, {"ceiling": Ceiling(network="none")}, {"network": "none"}),
        ({}, {"agreed": Chosen(network="full"), "ceiling": Ceiling(network="none")}, {"network": "none"}),
        ({"gpus": 4}, {"ceiling": Ceiling(gpus=0)}, {"gpus": 0, "network": "none"}),
        ({}, {"ceiling": Ceiling(gpus=2)}, {"network": "none"}),
    ],
)
def test_decide(of_spec, given, expected):
    assert told(decide(spec(**of_spec), OPTIONS, **given)) == expected


def test_the_server_s_own_settings_go_before_the_spec():
    options = KernelOptions(environment="x", memory="2G", network="full")
    assert told(decide(spec(memory=G), options)) == {"memory": 2 * G, "network": "full"}
    narrowed = decide(spec(memory=G), options, chosen=Chosen(memory="1G", network="none"))
    assert told(narrowed) == {"memory": G, "network": "none"}


NUMBER = st.none() | st.integers(1, 9)
CHOSEN = st.builds(
    Chosen, memory=NUMBER, cpus=NUMBER, pids=NUMBER, gpus=st.none() | st.integers(0, 3),
    network=st.sampled_from([None, "none", "full"]),
)  # fmt: skip
SPECS = st.builds(
    lambda network, **fields: spec(network, **fields), st.sampled_from(["none", "full"]), memory=NUMBER, cpus=NUMBER,
    pids=NUMBER, gpus=st.none() | st.integers(0, 3),
)  # fmt: skip
CEILINGS = st.builds(
    Ceiling, memory=NUMBER, cpus=NUMBER, pids=NUMBER, gpus=st.none() | st.integers(0, 3),
    network=st.sampled_from(["none", "full"]),
)  # fmt: skip


def most(value):
    return float("inf") if value is None else value


@given(SPECS, CHOSEN, st.none() | CHOSEN, CEILINGS)
def test_a_notebook_never_adds_and_nothing_passes_the_ceiling(wanted, chosen, agreed, ceiling):
    limits = decide(wanted, OPTIONS, chosen=chosen, agreed=agreed, ceiling=ceiling)
    plain = decide(wanted, OPTIONS, ceiling=ceiling)
    for name in ("memory", "cpus", "pids"):
        assert most(getattr(limits.resources, name)) <= most(getattr(ceiling, name))
        if agreed is None:
            assert most(getattr(limits.resources, name)) <= most(getattr(plain.resources, name))
    assert (limits.resources.gpus or 0) <= most(ceiling.gpus)
    if agreed is None:
        assert (limits.resources.gpus or 0) <= (plain.resources.gpus or 0)
        assert (limits.network, plain.network) != ("full", "none")
    assert ceiling.network == "full" or limits.network == "none"


@pytest.mark.parametrize(
    "bad", [{"memory": "lots"}, {"memory": 0}, {"cpus": 0}, {"cpus": -1.5}, {"pids": 0}, {"gpus": -1}]
)
def test_limits_that_no_kernel_can_have(bad):
    with pytest.raises(InputError) as told:
        check_chosen(Chosen(**bad))
    assert told.value.problems[0].key in bad


def notebook(path, metadata):
    path.write_text(json.dumps({"cells": [], "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}))
    return path


def test_read_from_the_notebook(tmp_path):
    ours = {"limits": {"memory": "2G", "network": "none", "later": 1}, "spec": "…"}
    assert read_chosen(notebook(tmp_path / "a.ipynb", {"jupyter_containers": ours})) == Chosen(
        memory="2G", network="none"
    )
    assert read_chosen(notebook(tmp_path / "b.ipynb", {})) is None


@pytest.mark.parametrize(
    "ours",
    [None, 3, [], {"limits": 3}, {"limits": {"memory": []}}, {"limits": {"network": "half"}}, {"limits": {"cpus": -1}}],
)
def test_what_makes_no_sense_is_no_wish(tmp_path, ours):
    assert read_chosen(notebook(tmp_path / "a.ipynb", {"jupyter_containers": ours})) is None


def test_only_a_notebook_in_its_folder_is_read(tmp_path):
    (tmp_path / "work").mkdir()
    outside = notebook(tmp_path / "b.ipynb", {"jupyter_containers": {"limits": {"memory": 1}}})
    (tmp_path / "work" / "a.ipynb").symlink_to(outside)
    os.mkfifo(tmp_path / "pipe.ipynb")
    for path in (tmp_path / "work" / "a.ipynb", tmp_path / "pipe.ipynb", tmp_path / "no.ipynb", tmp_path / "a.txt"):
        assert read_chosen(path) is None
    (tmp_path / "deep.ipynb").write_text('{"metadata":' + "[" * 100_000)
    assert read_chosen(tmp_path / "deep.ipynb") is None


def test_the_user_s_word_is_for_one_notebook(tmp_path):
    policy = Policy()
    policy.agree(tmp_path / "a" / ".." / "b.ipynb", Chosen(memory=1))
    assert policy.agreed(tmp_path / "b.ipynb") == Chosen(memory=1)
    assert policy.agreed(tmp_path / "a.ipynb") is None
    policy.agree(tmp_path / "b.ipynb", None)
    assert policy.agreed(tmp_path / "b.ipynb") is None


def test_it_goes_with_the_notebook(tmp_path):
    policy, two = Policy(), Chosen(memory="2G")
    old, new = tmp_path / "old.ipynb", tmp_path / "new.ipynb"
    policy.agree(old, two)
    policy.agree(new, Chosen(memory="8G"))  # of a notebook that was there before
    policy.move(old, new)
    assert (policy.agreed(old), policy.agreed(new)) == (None, two)
    policy.move(tmp_path / "other.ipynb", new)  # another one takes its place
    assert policy.agreed(new) is None


def test_it_goes_with_the_folder_and_is_gone_with_it(tmp_path):
    policy, two = Policy(), Chosen(memory="2G")
    for name in ("work/a.ipynb", "work/deep/b.ipynb", "work2/c.ipynb"):
        policy.agree(tmp_path / name, two)
    policy.move(tmp_path / "work", tmp_path / "moved")
    found = [policy.agreed(tmp_path / name) for name in ("moved/a.ipynb", "moved/deep/b.ipynb", "work2/c.ipynb")]
    assert found == [two, two, two]
    assert policy.agreed(tmp_path / "work" / "a.ipynb") is None
    policy.forget(tmp_path / "moved")
    assert policy.agreed(tmp_path / "moved" / "a.ipynb") is None
    assert policy.agreed(tmp_path / "work2" / "c.ipynb") == two


def test_a_link_is_renamed_and_not_what_it_leads_to(tmp_path):
    policy, two = Policy(), Chosen(memory="2G")
    file, link = tmp_path / "file.ipynb", tmp_path / "link.ipynb"
    file.touch()
    link.symlink_to(file)
    policy.agree(link, two)
    link.rename(tmp_path / "moved.ipynb")
    policy.move(link, tmp_path / "moved.ipynb")
    assert policy.agreed(tmp_path / "moved.ipynb") == two
    policy.forget(tmp_path / "moved.ipynb")
    assert policy.agreed(file) == two
