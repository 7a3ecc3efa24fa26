"""What the documentation says of documents for programs is what they have."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import msgspec
import pytest

from jupyter_containers.build.history import BuildRecord
from jupyter_containers.disk_views import DiskView, ImageDetail, PruneView
from jupyter_containers.files import Committed
from jupyter_containers.image.check import Damage
from jupyter_containers.image.compare import ImageDifference
from jupyter_containers.kernels.execute import NotebookResult
from jupyter_containers.runtime.base import Change, ContainerConfig, ContainerState, Stats
from jupyter_containers.runtime.copying import Copied
from jupyter_containers.sandbox.probe import Finding
from jupyter_containers.views import EnvironmentView

DOCS = Path(__file__).parents[2] / "docs"
SECTIONS = {
    "State of a container": ContainerState, "Configuration of a container": ContainerConfig, "Sample of stats": Stats,
    "Change": Change, "Environment": EnvironmentView, "Build": BuildRecord, "Result of a notebook": NotebookResult,
    "Finding": Finding, "Image in detail": ImageDetail, "Image that was made": Committed, "Copied": Copied,
    "Disk": DiskView, "Pruned": PruneView, "Damage": Damage, "Difference of images": ImageDifference,
}  # fmt: skip


@pytest.mark.parametrize("section", SECTIONS)
def test_every_field_is_told_and_none_that_is_not_there(section):
    text = (DOCS / "json.md").read_text().partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    cells = [line.split("|")[1] for line in text.splitlines() if line.startswith("| `")]
    told = [name for cell in cells for name in re.findall(r"`(\w+)`", cell)]
    kind = SECTIONS[section]
    fields = kind.__struct_fields__ if issubclass(kind, msgspec.Struct) else [f.name for f in dataclasses.fields(kind)]
    assert sorted(told) == sorted(fields)
