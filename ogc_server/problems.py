"""Errors as RFC 9457 problem details in the asked language; as a page for those who read HTML."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import Any

from catalog.errors import SatuDataError
from catalog.messages import text
from ogc_server import pages
from ogc_server.answer import NEVER, Answer, to_json
from ogc_server.ask import Ask
from ogc_server.errors import MethodError, NotAcceptableError, SpokenError
from ogc_server.negotiation import HTML_OFFER, JSON_OFFER, PROBLEM, choose

LOGGER = logging.getLogger(__name__)


def problem(error: Exception, ask: Ask) -> Answer:
    """Return the answer for any error. What is not ours is a 500 that tells nothing but its id."""
    if not isinstance(error, SatuDataError):
        LOGGER.error("request %s failed", ask.request_id, exc_info=error)
        doc = _doc(
            "internal",
            500,
            ask,
            text("error.internal", ask.lang),
            "",
            "",
            text("error.internal.hint", ask.lang),
        )
        return _answer(doc, ask)
    detail = error.detail_in(ask.lang) if isinstance(error, SpokenError) else error.detail
    status = error.http_status
    title = text(f"error.{error.code}", ask.lang)
    if status >= 500:
        LOGGER.error("request %s: %s", ask.request_id, error, exc_info=error.__cause__ or error)
        detail = ""  # may hold paths and SQL; the log has it under the request id
    doc = _doc(error.code, status, ask, title, detail, error.where, error.hint(ask.lang))
    if isinstance(error, SpokenError) and error.uri:  # OGC API - Processes names the types of some errors
        doc["type"] = error.uri
    answer = _answer(doc, ask)
    if isinstance(error, MethodError):
        answer.headers["Allow"] = error.params["allow"]
    if status == 503:
        answer.headers["Retry-After"] = "30"
    if isinstance(error, NotAcceptableError):
        answer.headers["Vary"] = "Accept"
    return answer


def _doc(code: str, status: int, ask: Ask, title: str, detail: str, where: str, hint: str) -> dict[str, Any]:
    doc = {
        "type": f"urn:satudata:problem:{code}",
        "title": title or HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "instance": ask.path,
        "code": code,
        "where": where,
        "hint": hint,
        "request_id": ask.request_id,
    }
    return {key: value for key, value in doc.items() if value != ""}


def _answer(doc: dict[str, Any], ask: Ask) -> Answer:
    if _wants_page(ask):
        page = pages.render("error.html", {"doc": doc}, ask.lang, url=ask.url, base=ask.base)
        return Answer(page.encode(), "text/html; charset=utf-8", status=doc["status"], cache=NEVER)
    return Answer(to_json(doc), PROBLEM, status=doc["status"], cache=NEVER)


def _wants_page(ask: Ask) -> bool:
    wanted = dict(ask.pairs).get("f")
    if wanted is not None:
        return wanted == "html"
    accept = ask.headers.get("accept")
    if not accept or "html" not in accept:
        return False
    try:
        return choose((JSON_OFFER, HTML_OFFER), accept, None).name == "html"
    except NotAcceptableError:
        return False
