"""``openapi.yaml`` and the handlers say the same: routes, methods, bodies, and what really comes over the wire."""

from __future__ import annotations

import asyncio
import json
import random
import re
from pathlib import Path

import jsonschema
import msgspec
import pytest
import yaml

from jupyter_containers.build.monitor import Event
from jupyter_containers.carried import Carried
from jupyter_containers.carrying import Checked
from jupyter_containers.errors import Problem
from jupyter_containers.kernels.deaths import Death
from jupyter_containers.kernels.limits import Ceiling, Chosen
from jupyter_containers.lock.compare import LockedPackage, Moved
from jupyter_containers.lock.counting import PackageCounts
from jupyter_containers.lock.search import FoundPackage, Package, SearchResult
from jupyter_containers.runtime.base import ContainerConfig, ContainerState, LimitReport, Stats
from jupyter_containers.runtime.usage import Total
from jupyter_containers.sandbox.probe import Finding
from jupyter_containers.server import models
from jupyter_containers.server.audience import Change
from jupyter_containers.server.handlers import ROUTES
from jupyter_containers.server.handlers.base import STATUS
from jupyter_containers.server.usage import StatsReport, Usage
from jupyter_containers.spec.draft import Draft
from jupyter_containers.spec.edit import Edit
from jupyter_containers.specs import CheckedText, LockChanges, SpecText
from jupyter_containers.views import (
    BuildView,
    EnvironmentView,
    HistoryView,
    ImageView,
    JobView,
    LayerView,
    StoreSize,
)

DOCUMENT = yaml.safe_load((Path(models.__file__).parent / "openapi.yaml").read_text())

OPERATIONS = {
    operation["operationId"]: operation
    for item in DOCUMENT["paths"].values()
    for method, operation in item.items()
    if method != "parameters"
}

TYPES = (
    models.Version, models.CreateEnvironment, models.StartBuild, models.StopContainer, models.ErrorReply,
    EnvironmentView, BuildView, Event, ImageView, LayerView, ContainerState, LimitReport, Stats, Finding, Problem,
    Change, Usage, StatsReport, Total, models.WriteSpec, models.CheckSpec, models.DraftSpec, models.EditSpec,
    models.EditedSpec, Edit,
    SpecText, CheckedText, LockChanges, LockedPackage, Moved, Draft, models.Output,
    StoreSize, PackageCounts, JobView, HistoryView, SearchResult, FoundPackage, Package, models.PullImage,
    models.PushImage, models.PruneStore, models.Pruned, models.CommitContainer, models.Terminal,
    models.AddPackages, models.ChooseLimits, models.Limits, models.HostSize, Chosen, Ceiling, Death, Carried, Checked,
    models.UpdateContainer, models.CarryEnvironment, models.NotebookMetadata, models.CheckNotebook, models.OpenNotebook,
)  # fmt: skip


def test_routes_and_methods_both_ways():
    documented = {
        (re.sub(r"\{\w+\}", "{}", path), method)
        for path, item in DOCUMENT["paths"].items()
        for method in item
        if method != "parameters"
    }
    handled = {
        (re.sub(r"\(\?P<\w+>[^)]*\)", "{}", pattern).replace("\\", ""), method)
        for pattern, handler in ROUTES
        for method in ("get", "head", "post", "put", "patch", "delete")
        if method in vars(handler)
    }
    assert documented == handled


@pytest.mark.parametrize("kind", TYPES, ids=lambda kind: kind.__name__)
def test_schemas_have_the_fields_of_the_structs(kind):
    (_,), components = msgspec.json.schema_components([kind], ref_template="{name}")
    ours, theirs = DOCUMENT["components"]["schemas"][kind.__name__], components[kind.__name__]
    assert list(ours["properties"]) == list(theirs["properties"])
    assert ours["additionalProperties"] is False
    for name, field in theirs["properties"].items():
        if "enum" in field:
            assert sorted(ours["properties"][name]["enum"]) == sorted(field["enum"]), name


def test_the_guide_has_the_same_routes_and_statuses():
    guide = (Path(__file__).parents[3] / "docs" / "rest-api.md").read_text()
    routes = {(path, method.lower()) for method, path in re.findall(r"^\| `(\w+)` \| `(/\S*)` \|", guide, re.MULTILINE)}
    assert routes == {
        (path, method) for path, item in DOCUMENT["paths"].items() for method in item if method != "parameters"
    }
    statuses = set(re.findall(r"^\| (\d{3}) \|", guide, re.MULTILINE))
    assert statuses == {str(status) for status in STATUS.values()} | {"403", "413"}


def test_references_lead_somewhere():
    def references(node):
        if isinstance(node, dict):
            yield from [node["$ref"]] if "$ref" in node else []
            for value in node.values():
                yield from references(value)
        elif isinstance(node, list):
            for value in node:
                yield from references(value)

    for reference in references(DOCUMENT):
        node = DOCUMENT
        for key in reference.removeprefix("#/").split("/"):
            node = node[key]


def test_every_schema_is_used_and_valid():
    text = json.dumps(DOCUMENT)
    for name, schema in DOCUMENT["components"]["schemas"].items():
        jsonschema.Draft202012Validator.check_schema(schema)
        assert f"#/components/schemas/{name}" in text or f"`{name}`" in text or name == "Event", name
    operations = [
        item[method]["operationId"] for item in DOCUMENT["paths"].values() for method in item if method != "parameters"
    ]
    assert len(operations) == len(set(operations))


def test_every_status_of_an_error_is_explained():
    text = DOCUMENT["components"]["responses"]["Error"]["description"]
    assert {str(status) for status in STATUS.values()} | {"403", "413"} == set(re.findall(r"\b\d{3}\b", text))


JOBS = {
    "pushEnvironment", "saveEnvironment", "searchPackages", "fetchNames", "getPackage", "pullImage", "loadImages",
    "getHistory", "deleteImage", "addPackages",
    "removePackage", "carryEnvironment",
    "openNotebook", "getJob", "cancelJob", "followJob", "commitContainer", "openTerminal",
}  # fmt: skip
"""What needs an image, an index or terminals: test_jobs_api.py, test_notebooks_api.py."""


async def test_answers_are_as_described(api, spec, builder, runtime, extension):
    """A walk through every operation; each answer is held against the schema of its status."""
    seen = set()

    async def ask(operation, path, *, method="GET", **options):
        status, content, headers = await api(*path.strip("/").split("/"), method=method, **options)
        described = OPERATIONS[operation]["responses"]
        answer = _resolve(described.get(str(status), described["default"]))
        assert str(status) in described or status >= 400, (operation, status)
        media = answer.get("content", {})
        if media:
            kind = headers["Content-Type"].partition(";")[0]
            assert kind in media, (operation, kind)
            if kind == "application/json":
                _check(media[kind]["schema"], content)
        else:
            assert content == b""
        seen.add((operation, status))
        return content

    await ask("getVersion", "version")
    assert b"openapi: 3.1.0" in await ask("getOpenAPI", "openapi.yaml")
    await ask("createEnvironment", "environments", method="POST", body={"path": "demo"})
    await ask("createEnvironment", "environments", method="POST", body={"text": "name = 3"})
    await ask("createEnvironment", "environments", method="POST", body={"text": 'name = "demo"'})
    await ask("listEnvironments", "environments")
    await ask("getEnvironment", "environments/demo")
    await ask("getEnvironment", "environments/nobody")
    text = await ask("getSpec", "environments/demo/spec")
    await ask("getSpec", "environments/nobody/spec")
    body = {"text": text["text"], "version": text["version"]}
    await ask("putSpec", "environments/demo/spec", method="PUT", body=body)
    await ask("putSpec", "environments/demo/spec", method="PUT", body={**body, "text": "name = 3"})
    await ask("compareLock", "environments/demo/lock")
    await ask("compareLock", "environments/nobody/lock")
    await ask("getSchema", "schema")
    await ask("checkSpec", "specs/check", method="POST", body={"text": "name = 3"})
    await ask("checkSpec", "specs/check", method="POST", body={"text": "", "folder": "demo"})
    await ask("draftSpec", "specs/draft", method="POST", body={"folder": "demo"})
    await ask("draftSpec", "specs/draft", method="POST", body={})
    body = {"text": "", "changes": [{"key": ["name"], "value": "x"}]}
    await ask("editSpec", "specs/edit", method="POST", body=body)
    await ask("editSpec", "specs/edit", method="POST", body={**body, "text": "a"})
    build = await ask("startBuild", "builds", method="POST", body={"environment": "demo"})
    await asyncio.to_thread(builder.began.wait)
    await ask("startBuild", "builds", method="POST", body={"environment": "demo"})
    await ask("startBuild", "builds", method="POST", body={"environment": "nobody"})
    await ask("startBuild", "builds", method="POST", body={})
    await ask("listBuilds", "builds")
    await ask("deleteEnvironment", "environments/demo", method="DELETE")
    builder.go.set()
    events = await ask("followBuild", f"builds/{build['id']}/events")
    for line in re.findall(rb"^data: (.*)$", events, re.MULTILINE)[:-1]:
        _check({"$ref": "#/components/schemas/Event"}, json.loads(line))
    await ask("followBuild", "builds/none/events")
    await ask("followBuild", f"builds/{build['id']}/events", headers={"Last-Event-ID": "3"})
    await ask("getBuild", f"builds/{build['id']}")
    await ask("getBuildLog", f"builds/{build['id']}/log")
    await ask("getBuildLog", "builds/none/log")
    await ask("cancelBuild", f"builds/{build['id']}", method="DELETE")
    await ask("cancelBuild", "builds/none", method="DELETE")
    await ask("listImages", "images")
    await ask("listJobs", "jobs")
    await ask("checkNotebook", "notebooks/check", method="POST", body={"metadata": None})
    await ask("checkNotebook", "notebooks/check", method="POST", body={"metadata": {"spec": 1}})
    await ask("getLimits", "limits")
    body = {"path": "a.ipynb", "limits": {"memory": "2G"}}
    await ask("chooseLimits", "notebooks/limits", method="POST", body=body)
    await ask("chooseLimits", "notebooks/limits", method="POST", body={**body, "limits": {"cpus": 0}})
    await ask("prune", "prune", method="POST", body={"dry_run": True})
    await ask("getJob", "jobs/none")
    await ask("pullImage", "images/pull", method="POST", body={"reference": "A B"})
    await ask("deleteImage", "images/none", method="DELETE")
    for name in ("one", "two"):
        runtime.create(ContainerConfig(image="sha256:0", argv=("x",), name=name, memory=1 << 30)).start()
    await ask("listContainers", "containers", params={"all": "true"})
    await ask("listContainers", "containers", params={"all": "1"})
    await ask("getContainer", "containers/one")
    await ask("getContainer", "containers/none")
    await ask("getContainerLog", "containers/one/log")
    await ask("getContainerStats", "containers/one/stats")
    await ask("updateContainer", "containers/one", method="PATCH", body={"memory": "2G", "cpus": 1})
    await ask("updateContainer", "containers/one", method="PATCH", body={"memory": "much"})
    await ask("pauseContainer", "containers/one/pause", method="POST")
    await ask("resumeContainer", "containers/one/resume", method="POST")
    await ask("pauseContainer", "containers/none/pause", method="POST")
    await ask("stopContainer", "containers/one/stop", method="POST")
    await ask("followContainer", "containers/one/log/events")
    await ask("followContainer", "containers/none/log/events")
    await ask("stopContainer", "containers/two/stop", method="POST", body={"grace": -1})
    await ask("deleteContainer", "containers/two", method="DELETE")
    await ask("deleteContainer", "containers/one", method="DELETE")
    await ask("deleteEnvironment", "environments/demo", method="DELETE")
    extension.service.environments.diagnose = lambda archives: (Finding("a", "ok", "b", ""),)
    await ask("diagnose", "doctor")
    good = {operation for operation, status in seen if status < 300}
    # Those that this walk can't show have tests of their own: a cancel that succeeds would end the build that is
    # followed here, and the feed has no end.
    shown = {"cancelBuild", "followAll", *JOBS}
    assert OPERATIONS.keys() - good == shown
    assert {400, 404, 409} <= {status for _, status in seen}


@pytest.mark.parametrize(
    ("path", "operation"),
    [
        ("environments", "createEnvironment"),
        ("builds", "startBuild"),
        ("containers/box/stop", "stopContainer"),
        ("images/pull", "pullImage"),
        ("prune", "prune"),
        ("notebooks/limits", "chooseLimits"),
        ("notebooks/carry", "carryEnvironment"),
        ("notebooks/check", "checkNotebook"),
        ("notebooks/open", "openNotebook"),
        ("environments/demo/packages", "addPackages"),
        ("containers/box/commit", "commitContainer"),
        ("environments/demo/push", "pushEnvironment"),
        ("specs/check", "checkSpec"),
        ("specs/draft", "draftSpec"),
        ("specs/edit", "editSpec"),
    ],
)
async def test_any_body_is_taken_or_refused_as_the_schema_says(api, runtime, path, operation):
    """What the schema refuses is answered with 400; what it takes never is a defect."""
    schema = _resolve(OPERATIONS[operation]["requestBody"]["content"]["application/json"]["schema"])
    check = jsonschema.Draft202012Validator({**schema, "components": DOCUMENT["components"]})
    runtime.create(ContainerConfig(image="sha256:0", argv=("x",), name="box")).start()
    draw = random.Random(operation)
    keys = [*schema["properties"], "other"]
    values = ["", "demo", "a/../b", "\0", "é" * 300, "-", True, False, None, 0, -1, 1.5, 1e308, [], {}, ["x"], {"a": 1}]
    seen = set()
    for _ in range(60):
        body = {key: draw.choice(values) for key in draw.sample(keys, draw.randint(0, len(keys)))}
        status, answer, _ = await api(*path.split("/"), method="POST", body=body)
        seen.add(status)
        if not check.is_valid(body):
            assert (status, answer["reason"]) == (400, "InputError"), body
        else:
            assert status in {200, 201, 202, 400, 404, 409}, (body, answer)
    assert 400 in seen


def _resolve(node):
    if "$ref" in node:
        found = DOCUMENT
        for key in node["$ref"].removeprefix("#/").split("/"):
            found = found[key]
        return found
    return node


def _check(schema, content):
    whole = {**schema, "components": DOCUMENT["components"]}
    jsonschema.Draft202012Validator(whole).validate(content)
