from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_containers.errors import ArchiveError
from jupyter_containers.lock.packages import Compact, Index, Relation, make_compact, parse_relations, read_status

TEXT = b"""Package: alpha
Version: 1:2.0-1
Architecture: amd64
Essential: yes
Priority: required
Maintainer: Someone <someone@example.org>
Pre-Depends: libc6 (>= 2.34)
Depends: beta | gamma (<< 3), python3:any
Breaks: delta (<= 1)
Conflicts: epsilon
Provides: virtual, versioned (= 2)
Description: first
 Package: not-a-package
 .
 more
Filename: pool/main/a/alpha.deb
Size: 12
SHA256: aa

Package: beta
Version: 1
Architecture: all
Filename: ./pool/b.deb
Size: 3
SHA256: bb

Package: beta
Version: 2
Architecture: all
Provides: virtual
Filename: pool/b2.deb
Size: 4
SHA256: cc
"""


def test_index_reads_what_a_resolution_needs():
    index = Index(make_compact(TEXT), archive="http://a/debian", suite="trixie")
    (alpha,) = index.find("alpha")
    assert (alpha.version, alpha.architecture, alpha.essential, alpha.priority) == (
        "1:2.0-1",
        "amd64",
        True,
        "required",
    )
    assert alpha.depends == (
        (Relation("libc6", ">=", "2.34"),), (Relation("beta"), Relation("gamma", "<<", "3")), (Relation("python3"),),
    )  # fmt: skip
    assert set(alpha.conflicts) == {Relation("delta", "<=", "1"), Relation("epsilon")}
    assert (alpha.filename, alpha.size, alpha.sha256) == ("pool/main/a/alpha.deb", 12, "aa")
    assert [item.version for item in index.find("beta")] == ["1", "2"]
    assert index.find("beta")[0].filename == "pool/b.deb"
    assert index.providers("virtual") == ["alpha", "beta"]
    assert list(index.essential) == ["alpha"] and list(index.required) == ["alpha"]
    assert index.find("not-a-package") == () and len(index) == 2


def test_compact_form_survives_the_cache():
    compact = make_compact(TEXT)
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(compact), type=Compact) == compact
    assert b"Maintainer" not in compact.text and b"more" not in compact.text


def test_unversioned_provides_satisfies_no_versioned_relation():
    (alpha,) = Index(make_compact(TEXT), archive="", suite="").find("alpha")
    assert alpha.satisfies(Relation("virtual"))
    assert not alpha.satisfies(Relation("virtual", ">=", "1"))
    assert alpha.satisfies(Relation("versioned", ">=", "1")) and not alpha.satisfies(Relation("versioned", ">>", "2"))


def test_stanza_without_a_name_is_refused():
    with pytest.raises(ArchiveError, match="Package"):
        make_compact(b"Version: 1\nArchitecture: all\n")


def test_field_that_is_amiss_is_named():
    index = Index(
        make_compact(b"Package: x\nVersion: 1\nArchitecture: all\nDepends: (>= 1)\n"), archive="http://a", suite="s"
    )
    with pytest.raises(ArchiveError, match=r"http://a s.*'x'.*\(>= 1\)"):
        index.find("x")


def test_status_holds_only_what_is_installed():
    text = b"""Package: here
Status: install ok installed
Version: 1
Architecture: amd64

Package: gone
Status: deinstall ok config-files
Version: 1
Architecture: amd64
"""
    assert set(read_status(text)) == {"here"}
    assert read_status(b"") == {}


_NAME = st.from_regex(r"[a-z0-9][a-z0-9+.-]{1,6}", fullmatch=True)
_RELATION = st.builds(
    Relation,
    _NAME,
    st.sampled_from(["<<", "<=", "=", ">=", ">>"]),
    st.from_regex(r"[0-9][0-9a-z.+~]{0,5}", fullmatch=True),
)
_GROUP = st.lists(st.one_of(_RELATION, _NAME.map(Relation)), min_size=1, max_size=3).map(tuple)


@given(st.lists(_GROUP, max_size=5).map(tuple), st.sampled_from([", ", ",", " ,  "]))
def test_relations_round_trip(groups, comma):
    text = comma.join(" | ".join(map(str, group)) for group in groups)
    assert parse_relations(text) == groups


@given(st.text(max_size=40))
def test_any_text_is_read_or_refused(text):
    try:
        parse_relations(text)
    except ValueError as error:
        assert "no relation" in str(error)
