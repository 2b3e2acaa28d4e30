"""Every class of Maps, Coverages, EDR, Tiles and tile matrix sets that is claimed has its abstract tests here."""

from __future__ import annotations

import httpx

from tests.conformance import test_coverages, test_edr, test_maps, test_tiles
from tests.conformance.classes import ATS, HELD

MODULES = (test_coverages, test_edr, test_maps, test_tiles)
SPEC = "http://www.opengis.net/spec/"


def families() -> tuple[str, ...]:
    return tuple(sorted({name.rpartition("conf/")[0] for name in ATS}))


def test_each_claim_has_all_its_abstract_tests(client: httpx.Client) -> None:
    declared = [one.removeprefix(SPEC) for one in client.get("/conformance?f=json").json()["conformsTo"]]
    claimed = [one for one in declared if one.startswith(families())]
    assert len(declared) == len(set(declared))
    assert len(claimed) >= 20
    for one in claimed:
        assert one in ATS, f"{one} is claimed, but no abstract test of it is listed"
        assert set(ATS[one]) == HELD.get(one, set()), one
    for one in ATS:
        assert one in claimed, f"{one} is tested, but not claimed"
