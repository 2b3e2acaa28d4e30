"""HTML pages: the same documents that the API answers in JSON, for people.

A page is a template over the JSON document (`doc`) plus what only people need. Nothing is loaded
from another host; texts come from the message catalogue; times show in Indonesian local time (WIB).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import cache, partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit
from zoneinfo import ZoneInfo

import orjson
from babel.dates import format_date, format_datetime, format_timedelta
from babel.numbers import format_decimal
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from catalog.errors import PublishError
from catalog.messages import LANGS, text

WIB = ZoneInfo("Asia/Jakarta")
STATIC = Path(__file__).parent / "static"


def static_folders() -> tuple[Path, Path]:
    """Return our own assets and those of the `maplibre` package (maplibre-gl.js and .css)."""
    found = find_spec("maplibre")  # not imported: only its files are wanted
    if found is None or found.origin is None:
        raise PublishError("the maplibre package is not installed", hint="Run `make setup`.")
    return STATIC, Path(found.origin).parent / "srcjs"


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("ogc_server", "templates"),
        autoescape=select_autoescape(default=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["json_script"] = json_script
    environment.filters["path_segment"] = partial(quote, safe="")
    environment.filters["cell"] = cell
    environment.globals["with_query"] = with_query
    return environment


def render(name: str, context: Mapping[str, Any], lang: str, *, url: str, base: str) -> str:
    """Render template `name` (`collection.html`) in `lang`.

    `url` is the address asked for (for language and format links), `base` the API's base address
    without a slash at the end. `context["doc"]` is the JSON document of the page.
    """
    translate = partial(text, lang=lang)
    return (
        _environment()
        .get_template(name)
        .render(
            context,
            lang=lang,
            langs=[(code, with_query(url, lang=code)) for code in LANGS],
            url=url,
            base=base,
            t=lambda key, **params: translate(key, **params),
            number=partial(_number, lang=lang),
            bytes=partial(_bytes, lang=lang),
            date=partial(_date, lang=lang),
            instant=partial(_instant, lang=lang),
            ago=partial(_ago, lang=lang),
            place=partial(_place, base=base, lang=lang),
        )
    )


def with_query(url: str, **changes: str | None) -> str:
    """Return `url` with query parameters set, or taken away when None."""
    parts = urlsplit(url)
    kept = [(k, v) for k, v in parse_qsl(parts.query, keep_blank_values=True) if k not in changes]
    kept += [(k, v) for k, v in changes.items() if v is not None]
    return urlunsplit(parts._replace(query=urlencode(kept)))


def json_script(value: Any) -> Markup:
    """Return JSON that is safe inside a `<script type="application/json">`."""
    encoded = orjson.dumps(value, default=str).decode()
    return Markup(encoded.replace("<", "\\u003c").replace("&", "\\u0026"))  # noqa: S704 - escaped just here


def cell(value: Any) -> str:
    """Return an attribute value as people read it in a table."""
    if value is None:
        return "—"
    if isinstance(value, (dict, list)):
        return orjson.dumps(value).decode()
    return str(value)


def _place(path: str, *, base: str, lang: str) -> str:
    """Return the address of a page of ours that keeps the chosen language."""
    return with_query(f"{base}{path}", lang=lang)


def _number(value: float | None, *, lang: str) -> str:
    return "—" if value is None else format_decimal(value, locale=lang)


def _bytes(value: float, *, lang: str) -> str:
    """Return a size as people read it: 1.5 MB (of 1000 kB)."""
    power = 0
    while value >= 1000 and power < 3:
        value, power = value / 1000, power + 1
    return f"{format_decimal(round(value, 1 if power else 0), locale=lang)} {('B', 'kB', 'MB', 'GB')[power]}"


def _local(value: datetime | str) -> datetime:
    return (datetime.fromisoformat(value) if isinstance(value, str) else value).astimezone(WIB)


def _date(value: datetime | str | None, *, lang: str) -> str:
    return "—" if value is None else format_date(_local(value), format="long", locale=lang)


def _instant(value: datetime | str | None, *, lang: str) -> str:
    if value is None:
        return "—"
    return format_datetime(_local(value), format="d MMMM y HH.mm 'WIB'", locale=lang)


def _ago(value: datetime | str | None, now: datetime, *, lang: str) -> str:
    if value is None:
        return "—"
    return format_timedelta(_local(value) - now, add_direction=True, locale=lang)
