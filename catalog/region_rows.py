"""Reads regions and crosswalk rows out of harvested tables, as the layer's options say."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from catalog.codes import Code, parse
from catalog.errors import ConfigError, RecordError
from catalog.model import ItemError, Scheme
from catalog.region_model import QUALITIES, CrosswalkRow, Quality, Region

_NO_MATCH = {"", "none"}


class _Options(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ReferenceOptions(_Options):
    """`region_reference` of a layer: what its rows are a reference of, and in which columns."""

    scheme: Scheme
    vintage: int
    code: str
    name: str
    parent: str | None = None


class SideOptions(_Options):
    """One side of a crosswalk: `code` is the column that holds it."""

    scheme: Scheme
    vintage: int
    code: str


class CrosswalkOptions(_Options):
    """`region_crosswalk` of a layer: two sides, and the columns of the shares (0..1) and quality."""

    from_: SideOptions = Field(alias="from")
    to: SideOptions
    share: str | None = None
    share_back: str | None = None
    quality: str | None = None


def reference_options(given: Mapping[str, Any]) -> ReferenceOptions:
    """Check the option `region_reference`; ConfigError says what is wrong."""
    return _checked(ReferenceOptions, given, "region_reference")


def crosswalk_options(given: Mapping[str, Any]) -> CrosswalkOptions:
    """Check the option `region_crosswalk`; ConfigError says what is wrong."""
    return _checked(CrosswalkOptions, given, "region_crosswalk")


def regions_of(
    rows: Iterable[Mapping[str, Any]], options: ReferenceOptions, errors: list[ItemError]
) -> Iterator[Region]:
    """Yield the regions of a table; a row that is none goes to `errors`."""
    seen: set[str] = set()
    for row in rows:
        raw = _cell(row, options.code)
        try:
            code = parse(raw, options.scheme)
            if str(code) in seen:
                raise RecordError(f"the code {code} stands there twice")
            parent = _parent(code, _cell(row, options.parent))
        except RecordError as error:
            errors.append(ItemError(error.code, error.detail, remote_id=raw))
            continue
        seen.add(str(code))
        yield Region(str(code), code.level, _cell(row, options.name), parent)


def crosswalk_of(
    rows: Iterable[Mapping[str, Any]], options: CrosswalkOptions, errors: list[ItemError]
) -> Iterator[CrosswalkRow]:
    """Yield the pairs of a table; rows without a match are left out, bad ones go to `errors`."""
    seen: set[tuple[str, str]] = set()
    for row in rows:
        raw, target = _cell(row, options.from_.code), _cell(row, options.to.code)
        quality = _cell(row, options.quality).lower() if options.quality else "official"
        if not target or quality in _NO_MATCH:
            continue
        try:
            pair = str(parse(raw, options.from_.scheme)), str(parse(target, options.to.scheme))
            if pair in seen:
                raise RecordError(f"the pair {pair[0]}, {pair[1]} stands there twice")
            made = CrosswalkRow(
                *pair, share=_share(row, options.share), quality=_quality(quality),
                share_back=_share(row, options.share_back),
            )  # fmt: skip
        except RecordError as error:
            errors.append(ItemError(error.code, error.detail, remote_id=raw))
            continue
        seen.add(pair)
        yield made


def _checked[M: BaseModel](model: type[M], given: Mapping[str, Any], name: str) -> M:
    try:
        return model.model_validate(dict(given))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, (name, *first["loc"])))
        raise ConfigError(f"`{place}`: {first['msg']}") from error


def _cell(row: Mapping[str, Any], column: str | None) -> str:
    value = row.get(column) if column else None
    return "" if value is None else str(value).strip()


def _parent(code: Code, declared: str) -> str | None:
    own = code.parent
    if declared and parse(declared, code.scheme) != own:
        raise RecordError(f"the parent of {code} is said to be {declared}, its code says {own}")
    return str(own) if own else None


def _share(row: Mapping[str, Any], column: str | None) -> float | None:
    text = _cell(row, column)
    if not text:
        return None
    try:
        share = float(text)
    except ValueError as error:
        raise RecordError(f"{column} is not a number: {text!r}") from error
    if not 0 <= share <= 1.001:  # sums of clipped areas end a little above 1
        raise RecordError(f"{column} is not a share of 0 to 1: {text}")
    return min(share, 1.0)


def _quality(text: str) -> Quality:
    for quality in QUALITIES:
        if text == quality:
            return quality
    raise RecordError(f"unknown quality {text!r}; known: {', '.join(QUALITIES)}")
