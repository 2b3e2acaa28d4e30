"""/jobs: what waits, runs and has ended; results; dismissing."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from analysis.result import MEDIA
from catalog.errors import NotFoundError, SatuDataError
from catalog.jobs import OPEN, Job, JobQuery, JobState, new_id
from catalog.messages import text
from ogc_server.answer import NEVER, Answer, to_json
from ogc_server.ask import Ask
from ogc_server.basemap import basemap
from ogc_server.errors import ParameterError
from ogc_server.links import OGC_REL, document, link
from ogc_server.negotiation import HTML_OFFER, JSON, JSON_OFFER, Chosen
from ogc_server.parameters import COMMON, DATETIME, NUMBER, OFFSET, Param, limit, names
from ogc_server.processes.definition import FORMS, Process
from ogc_server.processes.desk import Bench
from ogc_server.processes.errors import DismissedError, JobFailedError, NoSuchJobError, ResultNotReadyError
from ogc_server.processes.execute import encoded, on_map, qualified, shaped
from ogc_server.processes.papers import Paper, Papers, opened
from ogc_server.processes.reading import Execution, is_form
from ogc_server.processes.registry import PROCESSES, find
from ogc_server.processes.shown import Shown, labels
from ogc_server.service import Service
from ogc_server.service import document as answer_document
from ogc_server.snapshot import Snapshot

OFFERS = (JSON_OFFER, HTML_OFFER)
_MOST = 1000
_LIST = {"type": "array", "items": {"type": "string"}}


def _seconds(name: str, value: str) -> float:
    if not NUMBER.fullmatch(value.strip()) or float(value) < 0:
        raise ParameterError("process.query.seconds", name, value=value[:40])
    return float(value)


def _types(name: str, value: str) -> tuple[str, ...]:
    return _known(name, value, ("process",))


def _states(name: str, value: str) -> tuple[str, ...]:
    return _known(name, value, tuple(state.value for state in JobState))


def _known(name: str, value: str, known: tuple[str, ...]) -> tuple[str, ...]:
    given = names(name, value)
    for one in given:
        if one not in known:
            raise ParameterError("query.choice", name, value=one[:40], known=", ".join(known))
    return given


def _asks(name: str, value: str) -> bool:
    if value != "1":
        raise ParameterError("query.choice", name, value=value[:40], known="1")
    return True


JOB_TABLE: tuple[Param, ...] = (*COMMON, Param("batal", _asks, {"type": "string", "enum": ["1"]}))
"""`batal=1`: the page asks whether the job is to be cancelled."""
FORM_DISMISSES = b"batal=ya"
_DURATION = {"type": "number", "minimum": 0}
TABLE: tuple[Param, ...] = (
    *COMMON,
    limit(100, _MOST),
    OFFSET,
    Param("type", _types, _LIST),
    Param("processID", names, _LIST),
    Param("status", _states, _LIST),
    DATETIME,
    Param("minDuration", _seconds, _DURATION),
    Param("maxDuration", _seconds, _DURATION),
)


def accepted(service: Service, ask: Ask, process: Process, asked: Execution) -> Answer:
    """Make a job of a request: 201 with its address."""
    job_id = new_id()
    papers = Papers(service.settings)
    form = asked.form or (ask.chosen.name if ask.chosen.name in FORMS else "")
    papers.put(job_id, Paper(asked.inputs.model_dump(mode="json", exclude_unset=True), form))
    try:
        job = service.catalog.jobs.add(process.id, raw=asked.raw, job_id=job_id)
    except BaseException:
        papers.drop(job_id)
        raise
    answer = _shown(ask, job, None)
    answer.status = 201
    answer.headers |= {"Location": ask.href(f"/jobs/{job.id}"), "Preference-Applied": "respond-async"}
    return answer


def jobs(service: Service, snapshot: Snapshot, ask: Ask) -> Answer:
    """Answer `/jobs`, newest first."""
    given = ask.values
    after, before = given.get("datetime", (None, None))
    most, offset = min(given.get("limit", 100), _MOST), given.get("offset", 0)
    query = JobQuery(
        processes=given.get("processID", ()), states=given.get("status", ()),
        after=_instant(after), before=_instant(before),
        least_seconds=given.get("minDuration"), most_seconds=given.get("maxDuration"),
        limit=most + 1, offset=min(offset, 10**9),
    )  # fmt: skip
    open_to = service.settings.processes.public_jobs or _is_operator(ask)
    found = service.catalog.jobs.list(query) if open_to else []
    links = document(ask, OFFERS)
    if len(found) > most:
        links.append(link(ask.here(offset=offset + most), "next", JSON, text("link.next", ask.lang)))
    doc = {"jobs": [status_info(ask, job) for job in found[:most]], "links": links}
    context = {
        "hidden": not open_to,
        "titles": {name: one.title(ask.lang) for name, one in PROCESSES.items()},
    }
    return answer_document(ask, doc, "jobs.html", context, cache=NEVER)


def _is_operator(ask: Ask) -> bool:
    """Tell whether the question comes from this very machine, and not through a proxy on it.

    Who knows a job's id (128 random bits) may see and dismiss it; a list would tell the ids of others.
    """
    forwarded = any(name in ask.headers for name in ("x-forwarded-for", "forwarded", "x-real-ip", "via"))
    return not forwarded and (ask.client in ("::1", "::ffff:127.0.0.1") or ask.client.startswith("127."))


def job(service: Service, snapshot: Snapshot, ask: Ask) -> Answer:
    """Answer `/jobs/{id}`; DELETE dismisses, and so does the form of its page, which can only POST."""
    found = _get(service, ask.arguments[0])
    if ask.method == "DELETE":
        found = _dismissed(service, found)
    if ask.method == "POST":
        return _from_page(service, ask, found)
    kept = service.catalog.jobs.results(found.id) if ask.chosen.name == "html" else None
    return _shown(ask, found, kept, _on_map(service, snapshot, ask, found, kept))


def _dismissed(service: Service, found: Job) -> Job:
    if found.state is JobState.DISMISSED:
        raise DismissedError
    dismissed = service.catalog.jobs.dismiss(found.id)
    Papers(service.settings).drop(found.id)
    return dismissed


def _from_page(service: Service, ask: Ask, found: Job) -> Answer:
    """Dismiss a job by the form of its page, and lead back to it."""
    if not is_form(ask) or ask.body != FORM_DISMISSES:
        raise ParameterError("process.query.dismiss", "batal")
    if found.state is not JobState.DISMISSED:  # a second click is no mistake
        _dismissed(service, found)
    place = ask.href(f"/jobs/{found.id}", {"lang": ask.lang, "f": "html"})
    return Answer(b"", "text/html; charset=utf-8", cache=NEVER, status=303, headers={"Location": place})


def _on_map(service: Service, snapshot: Snapshot, ask: Ask, found: Job, kept: bytes | None) -> dict[str, Any]:
    """Return what the page's map needs; nothing where the layers that it lies on are not there any more."""
    known = PROCESSES.get(found.process_id)
    if kept is None or known is None:
        return {}
    try:
        shown = on_map(known, Bench(service.desk(), snapshot), opened(kept)[1], None)
    except SatuDataError:
        return {}
    return {"shown": shown, "basemap": basemap(service, snapshot, ask), "labels": labels(shown, ask.lang)}


def results(service: Service, snapshot: Snapshot, ask: Ask) -> Answer:
    """Answer `/jobs/{id}/results`."""
    found = _get(service, ask.arguments[0])
    if found.state in OPEN:
        raise ResultNotReadyError
    if found.state is JobState.DISMISSED:
        raise DismissedError
    kept = service.catalog.jobs.results(found.id)
    if found.state is JobState.FAILED or kept is None:
        raise JobFailedError(found.reason, where=found.process_id)
    if ask.chosen.name == "html":
        return _shown(ask, found, kept, _on_map(service, snapshot, ask, found, kept))
    asked, value = opened(kept)
    form = (asked or "json") if _undecided(ask) else ask.chosen.name
    if form in FORMS:
        process = find(found.process_id)
        body = encoded(process, Bench(service.desk(), snapshot), value, form, None)
        return taken(process, body, form, raw=found.raw)
    return Answer(to_json(shaped(value, raw=found.raw)), JSON, cache=NEVER)


def _undecided(ask: Ask) -> bool:
    """Tell whether the client takes anything; then it gets what the job was asked for."""
    return "f" not in dict(ask.pairs) and ask.headers.get("accept", "*/*").strip() in ("*/*", "")


def taken(process: Process, body: bytes, form: str, *, raw: bool) -> Answer:
    """Answer with a file to take away, or with a document that holds it."""
    if not raw:
        return Answer(to_json(qualified(body, form)), JSON, cache=NEVER)
    name = f'attachment; filename="{process.id}.{form}"'
    return Answer(body, MEDIA[form], cache=NEVER, headers={"Content-Disposition": name})


def _get(service: Service, job_id: str) -> Job:
    try:
        return service.catalog.jobs.get(job_id)
    except NotFoundError:
        raise NoSuchJobError from None


def _shown(ask: Ask, job: Job, kept: bytes | None, more: Mapping[str, Any] | None = None) -> Answer:
    result = None if kept is None else opened(kept)[1]
    if ask.chosen.name != "html":
        ask.chosen = Chosen("json", JSON)
    known = PROCESSES.get(job.process_id)
    context = {
        "answered": kept is not None, "result": result,
        "title": known.title(ask.lang) if known else job.process_id,
        "show": Shown(ask.lang), "asks": bool(ask.values.get("batal")), "shown": None, **(more or {}),
    }  # fmt: skip
    return answer_document(ask, status_info(ask, job), "job.html", context, cache=NEVER)


def status_info(ask: Ask, job: Job) -> dict[str, Any]:
    """Return the status document of a job."""
    here = f"/jobs/{job.id}"
    links = [link(ask.href(here), "self", JSON, text("process.job", ask.lang))]
    if job.state is JobState.SUCCESSFUL:
        title = text("process.results", ask.lang)
        links.append(link(ask.href(f"{here}/results"), f"{OGC_REL}results", JSON, title))
    if job.state in OPEN:
        links.append(link(ask.href(here), f"{OGC_REL}dismiss", JSON, text("process.dismiss", ask.lang)))
    said = {
        "jobID": job.id, "processID": job.process_id, "type": "process", "status": job.state.value,
        "message": job.reason or text(f"process.state.{job.state.value}", ask.lang),
        "progress": job.progress, "created": _said(job.created), "started": _said(job.started),
        "finished": _said(job.finished), "updated": _said(job.updated), "links": links,
    }  # fmt: skip
    return {name: value for name, value in said.items() if value is not None}


def _said(at: datetime | None) -> str | None:
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z") if at else None


def _instant(value: str | None) -> datetime | None:
    return datetime.fromisoformat(value) if value else None
