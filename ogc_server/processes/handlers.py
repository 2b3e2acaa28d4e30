"""/processes: the list, each description with its form, and execution at once or as a job."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from markdown_it import MarkdownIt
from markupsafe import Markup

from analysis.result import MEDIA
from catalog.errors import SatuDataError
from catalog.messages import text
from catalog.settings import ProcessSettings
from ogc_server.answer import NEVER, Answer, link_header, to_json
from ogc_server.ask import Ask
from ogc_server.basemap import basemap
from ogc_server.errors import ParameterError, SpokenError
from ogc_server.links import OGC_REL, document, link
from ogc_server.negotiation import HTML, HTML_OFFER, JSON, JSON_OFFER, Offer
from ogc_server.parameters import COMMON, Param
from ogc_server.processes.definition import FORMS, Process
from ogc_server.processes.desk import Bench
from ogc_server.processes.errors import NoPageError
from ogc_server.processes.execute import encoded, on_map, shaped, work_on
from ogc_server.processes.form import fill, groups, harmless
from ogc_server.processes.job_handlers import accepted, taken
from ogc_server.processes.reading import Execution, is_form, read_execution
from ogc_server.processes.registry import PROCESSES, find
from ogc_server.processes.shown import Shown, labels
from ogc_server.service import Service
from ogc_server.service import document as answer_document
from ogc_server.snapshot import Snapshot

OFFERS = (JSON_OFFER, HTML_OFFER)
RESULT_OFFERS = (*OFFERS, *(Offer(form, MEDIA[form]) for form in FORMS))
MAX_BODY = 32 << 20
TABLE: tuple[Param, ...] = COMMON


def _example(name: str, value: str) -> bool:
    if value != "1":
        raise ParameterError("query.choice", name, value=value[:40], known="1")
    return True


FORM_TABLE: tuple[Param, ...] = (*COMMON, Param("contoh", _example, {"type": "string", "enum": ["1"]}))
"""`contoh=1` fills the form with an example."""


def processes(service: Service, snapshot: Snapshot, ask: Ask) -> Answer:
    """Answer `/processes`."""
    listed = [
        one.summary(ask.base, ask.lang)
        | {"links": [link(ask.href(f"/processes/{one.id}"), "self", JSON, one.title(ask.lang))]}
        for one in PROCESSES.values()
    ]
    links = [*document(ask, OFFERS), _jobs_link(ask)]
    doc = {"processes": listed, "links": links}
    return answer_document(ask, doc, "processes.html", headers={"Link": link_header(links)})


def process(service: Service, snapshot: Snapshot, ask: Ask) -> Answer:
    """Answer `/processes/{id}`; the page of it has a form."""
    doc = described(find(ask.arguments[0]), ask)
    context = _page(service, snapshot, ask) if ask.chosen.name == "html" else None
    return answer_document(ask, doc, "process.html", context)


def described(one: Process, ask: Ask) -> dict[str, Any]:
    """Return the process description."""
    execute = ask.href(f"/processes/{one.id}/execution")
    links = [
        *document(ask, OFFERS),
        link(execute, f"{OGC_REL}execute", JSON, text("process.execute", ask.lang)),
        _jobs_link(ask),
        link(
            ask.href(f"/processes/{one.id}/about"), "describedby", HTML, text("page.process.about", ask.lang)
        ),
    ]
    return one.summary(ask.base, ask.lang) | {
        "inputs": one.inputs(ask.lang), "outputs": one.outputs(ask.lang), "links": links,
    }  # fmt: skip


def _about(ask: Ask) -> str:
    return text("page.process.about", ask.lang)


def _jobs_link(ask: Ask) -> dict[str, Any]:
    return link(ask.href("/jobs"), f"{OGC_REL}job-list", JSON, text("process.jobs", ask.lang))


def _page(
    service: Service, snapshot: Snapshot, ask: Ask, kept: Mapping[str, str] | None = None, **more: Any
) -> dict[str, Any]:
    """Return what the page of a process shows beside its description; `kept` are values to show again."""
    one, lang = find(ask.arguments[0]), ask.lang
    samples = service.settings.processes.boundaries == ProcessSettings().boundaries
    refused = more.get("refused")
    wrong = refused["where"] if refused else ""
    said: dict[str, Any] = {
        "groups": groups(one, lang, samples=samples, kept=kept, wrong=wrong),
        "kept": kept or {}, "forms": list(MEDIA), "base": ask.base, "known": _known(snapshot),
        "show": Shown(lang),
    }  # fmt: skip
    if ask.values.get("contoh"):
        fill(said["groups"])
    return {**said, "answered": False, "result": None, "shown": None, "refused": None, **more}


def _known(snapshot: Snapshot) -> dict[str, list[str]]:
    """Return the public collections that fields may name."""
    ids = [name for name in snapshot.visible() if name in snapshot.listed]
    return {
        kind: [name for name in ids if snapshot.listed[name].kind == kind] for kind in ("feature", "raster")
    }


def about(service: Service, snapshot: Snapshot, ask: Ask) -> Answer:
    """Answer `/processes/{id}/about`: what it takes and gives, its method, sources, limits, examples."""
    one = find(ask.arguments[0])
    page = _pages() / ask.lang / f"{one.id}.md"
    if not page.is_file():
        raise NoPageError
    written = page.read_text("utf-8")
    doc = {"id": one.id, "title": one.title(ask.lang), "text": written}
    return answer_document(ask, doc, "process_about.html", {"page": _html(written, ask.base)})


def _pages() -> Path:
    return Path(__file__).parent / "about"


def _html(markdown: str, base: str) -> Markup:
    """Return our own page as HTML; examples name the address that this server was asked at."""
    here = markdown.replace("http://127.0.0.1:8000", base)
    made = MarkdownIt("commonmark", {"html": False}).enable("table").render(here)
    made = made.replace("<table>", '<div class="scroll" tabindex="0"><table>').replace(
        "</table>", "</table></div>"
    )
    return Markup(made)  # noqa: S704 - our own text, and HTML in it is escaped


def execution(service: Service, snapshot: Snapshot, ask: Ask) -> Answer:
    """Answer `/processes/{id}/execution`."""
    one = find(ask.arguments[0])
    try:
        asked = read_execution(ask, one)
        asked.inputs.check_here(service.settings, later=asked.later)
        if asked.later:
            return accepted(service, ask, one, asked)
        return _answered(service, snapshot, ask, one, asked)
    except SatuDataError as error:
        if error.http_status != 400 or ask.chosen.name != "html" or not is_form(ask):
            raise
        return _again(service, snapshot, ask, one, error)


def _again(service: Service, snapshot: Snapshot, ask: Ask, one: Process, error: SatuDataError) -> Answer:
    """Show the form once more, with what is wrong in it; of what was typed only what is harmless."""
    said = error.detail_in(ask.lang) if isinstance(error, SpokenError) else error.detail
    said = said or text(f"error.{error.code}", ask.lang)
    name = error.where.removeprefix("inputs.").split(".")[0]
    title = one.inputs(ask.lang)[name]["title"] if name in one.model.model_fields else ""
    refused = {"detail": said[:1].upper() + said[1:], "where": error.where, "title": title}
    page = _page(service, snapshot, ask, harmless(one, ask.lang, ask.body), refused=refused)
    answer = answer_document(ask, described(one, ask), "process.html", page, cache=NEVER)
    answer.status = 400
    return answer


def _answered(service: Service, snapshot: Snapshot, ask: Ask, one: Process, asked: Execution) -> Answer:
    bench = Bench(service.desk(), snapshot)
    value = work_on(one, bench, asked.inputs)
    form = asked.form or ask.chosen.name
    if form in FORMS:
        return taken(one, encoded(one, bench, value, form, asked.inputs), form, raw=asked.raw)
    if form == "html":
        shown = on_map(one, bench, value, asked.inputs)
        kept = harmless(one, ask.lang, ask.body) if is_form(ask) else {}
        more = {"shown": shown, "basemap": basemap(service, snapshot, ask), "labels": labels(shown, ask.lang)}
        page = _page(service, snapshot, ask, kept, answered=True, result=value, **more)
        return answer_document(ask, described(one, ask), "process.html", page, cache=NEVER)
    return Answer(to_json(shaped(value, raw=asked.raw)), JSON, cache=NEVER)
