"""/processes: the list, each description with its form, and execution at once or as a job."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from markdown_it import MarkdownIt
from markupsafe import Markup

from analysis.result import MEDIA
from catalog.messages import text
from ogc_server.answer import NEVER, Answer, link_header, to_json
from ogc_server.ask import Ask
from ogc_server.links import OGC_REL, document, link
from ogc_server.negotiation import HTML, HTML_OFFER, JSON, JSON_OFFER, Offer
from ogc_server.parameters import COMMON, Param
from ogc_server.processes.definition import FORMS, Process
from ogc_server.processes.desk import Bench
from ogc_server.processes.errors import NoPageError
from ogc_server.processes.execute import encoded, on_map, shaped, work_on
from ogc_server.processes.job_handlers import accepted, taken
from ogc_server.processes.reading import Execution, read_execution
from ogc_server.processes.registry import PROCESSES, find
from ogc_server.service import Service
from ogc_server.service import document as answer_document
from ogc_server.snapshot import Snapshot

OFFERS = (JSON_OFFER, HTML_OFFER)
RESULT_OFFERS = (*OFFERS, *(Offer(form, MEDIA[form]) for form in FORMS))
MAX_BODY = 32 << 20
TABLE: tuple[Param, ...] = COMMON


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
    return answer_document(ask, described(find(ask.arguments[0]), ask), "process.html", _page(ask))


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


def _page(ask: Ask, **more: Any) -> dict[str, Any]:
    examples = PROCESSES[ask.arguments[0]].examples
    said = {"examples": examples, "forms": list(MEDIA), "base": ask.base}
    return {**said, "answered": False, "result": None, "shown": None, **more}


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
    asked = read_execution(ask, one)
    asked.inputs.check_here(service.settings, later=asked.later)
    if asked.later:
        return accepted(service, ask, one, asked)
    return _answered(service, snapshot, ask, one, asked)


def _answered(service: Service, snapshot: Snapshot, ask: Ask, one: Process, asked: Execution) -> Answer:
    bench = Bench(service.desk(), snapshot)
    value = work_on(one, bench, asked.inputs)
    form = asked.form or ask.chosen.name
    if form in FORMS:
        return taken(one, encoded(one, bench, value, form, asked.inputs), form, raw=asked.raw)
    if form == "html":
        shown = on_map(one, bench, value, asked.inputs)
        page = _page(ask, answered=True, result=value, shown=shown)
        return answer_document(ask, described(one, ask), "process.html", page, cache=NEVER)
    return Answer(to_json(shaped(value, raw=asked.raw)), JSON, cache=NEVER)
