"""The abstract tests of the classes that the server claims, and which of our tests stands for which.

`ATS` names, per conformance class, the abstract tests that OGC's annex A has for it. A test says with
`@holds` which of them it performs; `test_claims` compares both with what `/conformance` declares. An
abstract test about what no collection here has (a third dimension, point clouds) is left out by name.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

MAPS, COVERAGES = "ogcapi-maps-1/1.0/conf/", "ogcapi-coverages-1/1.0/conf/"
EDR, TILES, TMS = "ogcapi-edr-1/1.1/conf/", "ogcapi-tiles-1/1.0/conf/", "tms/2.0/conf/"

ATS: dict[str, tuple[str, ...]] = {
    # OGC API - Maps 1.0 (20-058), annex A.
    f"{MAPS}core": ("map-op", "map-response", "conformance-success"),
    f"{MAPS}tilesets": ("desc-links", "tiles-parameters"),
    f"{MAPS}background": (
        "bgcolor-definition", "transparent-definition", "void-color-definition", "void-transparent-definition",
        "map-success",
    ),
    f"{MAPS}scaling": ("width-definition", "height-definition", "scale-denominator-definition"),
    f"{MAPS}display-resolution": ("mm-per-pixel-definition", "map-success"),
    f"{MAPS}spatial-subsetting": (
        "bbox-crs", "subset-crs", "center-crs", "bbox-definition", "subset-definition", "subset-response",
        "center-definition", "width-height", "map-success",
    ),
    f"{MAPS}datetime": (
        "datetime-definition", "datetime-response", "subset-definition", "subset-response", "axis", "map-success",
    ),
    f"{MAPS}crs": ("crs-definition", "map-success"),
    f"{MAPS}collection-map": ("desc-links", "desc-crs", "map-operation"),
    f"{MAPS}png": ("content",),
    f"{MAPS}jpeg": ("content",),
    f"{MAPS}api-operations": ("completeness", "operation-id"),
    f"{MAPS}cors": ("cors",),
    # OGC API - Coverages 1.0 (19-087, release candidate 4), annex A.
    f"{COVERAGES}core": (
        "conformance-success", "collection-description", "coverage-fields-schema", "get-coverage",
        "response-headers", "preference-applied", "preference-handling-interpolation",
        "preference-handling-resolution",
    ),
    f"{COVERAGES}subsetting-spatial": (  # 3d-axis: no raster here has a height
        "subset", "subset-invalid-axis", "out-of-bounds", "wrap-around", "subset-bbox-exclusivity",
        "wildcard-limits", "multiple-subset", "subset-scaling-exclusivity", "subset-crs", "bbox-definition",
        "bbox-crs",
    ),
    f"{COVERAGES}scaling-spatial": (  # 3d-axis; spatial-distance: for coverages that are no grid
        "resolution", "native-resolution", "resolution-invalid-axis", "multi-field-resolution",
        "width-and-height",
    ),
    f"{COVERAGES}field-selection": ("properties", "exclude-properties"),
    f"{COVERAGES}position-query": ("position-query",),
    f"{COVERAGES}crs": ("crs-definition",),
    f"{COVERAGES}geotiff": ("coverage", "raster-type"),
    f"{COVERAGES}cog": ("http-range", "cloud-optimized"),
    f"{COVERAGES}coveragejson": ("coverage",),
    # Names of the draft of 2023, which clients look for; requirements of its clauses 8 to 10.
    f"{COVERAGES}scaling": ("factor", "axes", "size"),
    f"{COVERAGES}fieldselection": ("properties",),
    # OGC API - EDR 1.1 (19-086r6), annex A.
    f"{EDR}core": (
        "http", "root-op", "root-success", "api-definition", "api-definition-success", "conformance",
        "conformance-success",
    ),
    f"{EDR}covjson": ("definition", "content"),
    # OGC API - Tiles 1.0 (20-057) and Two Dimensional Tile Matrix Set 2.0 (17-083r4), annexes A.
    f"{TILES}core": (
        "tc-op", "tc-success", "tc-error", "tc-tilematrix-definition", "tc-tilerow-definition",
        "tc-tilecol-definition", "conformance-success",
    ),
    f"{TILES}tileset": ("tileset-description", "conformance-success"),
    f"{TILES}tilesets-list": ("tileset-links", "conformance-success"),
    f"{TILES}geodata-tilesets": ("desc-links", "operation", "conformance-success"),
    f"{TILES}mvt": ("content",),
    f"{TILES}oas30": ("completeness", "operation-id"),
    f"{TMS}tilematrixset": ("model",),
    f"{TMS}json-tilematrixset": ("ietf", "media-type", "model", "schema"),
    f"{TMS}tilematrixsetlimits": ("model",),
    f"{TMS}json-tilematrixsetlimits": ("ietf", "model", "schema"),
    f"{TMS}tilesetmetadata": ("model", "identifier"),
    f"{TMS}json-tilesetmetadata": ("ietf", "media-type", "model", "schema"),
}  # fmt: skip

HELD: dict[str, set[str]] = {}
"""Class -> the abstract tests that a test of ours performs; filled when the test modules are imported."""


def holds[T: Callable[..., Any]](name: str, *tests: str) -> Callable[[T], T]:
    """Say that a test performs abstract tests of a class; unknown names are a mistake in the test."""
    unknown = set(tests) - set(ATS[name])
    assert not unknown, f"{name} has no abstract test {unknown}"

    def mark(test: T) -> T:
        HELD.setdefault(name, set()).update(tests)
        return test

    return mark
