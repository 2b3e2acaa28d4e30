"""Records: titles, descriptions, keywords and ids of catalogues; they have no columns to drop."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from catalog.model import RunState
from tests.harvesters.test_palapa import item, node
from tests.harvesters.test_wms import capabilities, wmts
from tests.privacy.watch import NIK, PHONE, Watched
from tests.servers.ckan_speaker import speaking
from tests.servers.iso_records import Rec, gmd, mdb
from tests.servers.loopback import Answer, BadCsw, serve

TEXT = f"Rumah {NIK}, hubungi {PHONE} atau siti.contoh@gmail.com"
GMD = "http://www.isotc211.org/2005/gmd"
MDB = "http://standards.iso.org/iso/19115/-3/mdb/2.0"
SECRETS = (NIK, PHONE, "siti.contoh")


@contextmanager
def csw(form: Callable[[Rec], bytes], schema: str) -> Iterator[str]:
    rec = Rec(identifier="rec-1", title=TEXT, abstract=TEXT, keywords=("banjir", NIK))
    with serve(BadCsw({"rec-1": form(rec)}, schemas=(schema,))) as url:
        yield f"{url}/csw"


@contextmanager
def palapa() -> Iterator[str]:
    with node([item(title=TEXT, abstract=TEXT, keywords=f"a,{NIK}")]) as url:
        yield url


@contextmanager
def ckan() -> Iterator[str]:
    with speaking() as site:
        site.packages["rumah"] = {
            "id": "pkg", "name": "rumah", "title": TEXT, "notes": TEXT, "tags": [{"name": NIK}],
            "extras": [{"key": "catatan", "value": f"NIK {NIK}"}],
            "resources": [{"id": "r", "name": TEXT, "url": f"https://x.example/u?nik={NIK}", "format": "PDF"}],
        }  # fmt: skip
        yield site.url


@contextmanager
def wms() -> Iterator[str]:
    body = capabilities(layers=1, crs=2).replace(
        b"<Title></Title><Abstract/>", f"<Title>{TEXT}</Title><Abstract>{TEXT}</Abstract>".encode()
    )
    with serve(lambda _: Answer(body)) as url:
        yield f"{url}/wms"


@contextmanager
def tiles() -> Iterator[str]:
    body = wmts()
    begin = body.index(b"<ows:Title>", body.index(b"<Layer>")) + len(b"<ows:Title>")
    with serve(lambda _: Answer(body[:begin] + TEXT.encode() + b" " + body[begin:])) as url:
        yield f"{url}/wmts"


WAYS: dict[str, tuple[str, Callable[[], Any]]] = {
    "csw iso 19139": ("csw", lambda: csw(gmd, GMD)), "csw iso 19115-3": ("csw", lambda: csw(mdb, MDB)),
    "palapa": ("palapa", palapa), "ckan": ("ckan", ckan), "wms": ("wms", wms), "wmts": ("wmts", tiles),
}  # fmt: skip


@pytest.mark.parametrize("way", list(WAYS))
def test_numbers_phones_and_private_addresses_are_masked_in_what_is_said(way: str, watched: Watched) -> None:
    type_, serving = WAYS[way]
    with serving() as url:
        run = watched.take(type_, url, {"remote": "*"})
    assert run.state is RunState.OK, (run.reason, watched.catalog.runs.errors(run.id))
    datasets = list(watched.catalog.datasets.all())
    assert any("[disembunyikan]" in repr(one.record) for one in datasets)
    assert "personal-text" in {error.code for error in watched.catalog.runs.errors(run.id)}
    watched.nowhere(*SECRETS)


def test_masking_again_is_unchanged(watched: Watched) -> None:
    with palapa() as url:
        watched.take("palapa", url, {"remote": "*"})
        assert watched.take("palapa", url, {"remote": "*"}).state is RunState.UNCHANGED


def test_an_office_s_contact_is_no_secret(watched: Watched) -> None:
    with node([item(abstract="Hubungi walidata@bappeda.go.id atau (0263) 261234")]) as url:
        run = watched.take("palapa", url, {"remote": "*"})
    assert watched.catalog.runs.errors(run.id) == []
    (dataset,) = watched.catalog.datasets.all()
    assert "walidata@bappeda.go.id" in dataset.record.description.id


def test_a_record_whose_id_is_a_person_is_not_registered(watched: Watched) -> None:
    with node([item(own=f"palapa:{NIK}"), item()]) as url:
        run = watched.take("palapa", url, {"remote": "*"})
    assert run.state is RunState.HELD
    assert len(list(watched.catalog.datasets.all())) == 1
    assert watched.guards(run) == {"(id)": {"nik"}}
    watched.nowhere(NIK)
