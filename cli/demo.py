"""`satudata demo`: what `make run` runs. Sample upstream, harvest, serve; the whole road at once."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import click
import requests

from catalog.errors import TransientSourceError
from catalog.sources import SourceConfig
from cli.app import App, Command, json_option, pass_app
from cli.beside import command, end
from cli.harvest import harvest
from cli.sample import generate
from cli.serve import serve


@click.command(cls=Command)
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=8000, show_default=True, type=click.IntRange(0, 65535))
@click.option("--workers", default=2, show_default=True, type=click.IntRange(1, 64))
@json_option
@pass_app
@click.pass_context
def demo(ctx: click.Context, app: App, host: str, port: int, workers: int) -> None:
    """Generate the sample, harvest it over HTTP, serve it."""
    app.say("cli.demo.generate")
    ctx.invoke(generate, out=None, seed=2026)
    with sample_upstream(app):
        app.say("cli.demo.harvest")
        try:
            ctx.invoke(harvest, sources=tuple(_sample_ids(app)), all_=False, dry_run=False)
        except SystemExit as outcome:
            if outcome.code:
                raise
        app.say("cli.demo.open", url=f"http://{host}:{port}")
        ctx.invoke(serve, host=host, port=port, workers=workers, with_scheduler=True)


def _sample_ids(app: App) -> list[str]:
    return [source.id for source in app.sources.values() if source.synthetic and source.enabled]


@contextmanager
def sample_upstream(app: App) -> Iterator[None]:
    """Run `satudata sample serve` as a child where the sample sources expect it."""
    address = _upstream_address(list(app.sources.values()))
    if address is None:
        yield
        return
    child = subprocess.Popen(  # noqa: S603 - our own command
        command(app, "sample", "serve", "--port", str(address[1]))
    )
    try:
        _wait(f"http://{address[0]}:{address[1]}/", child)
        yield
    finally:
        end(child)


def _upstream_address(sources: list[SourceConfig]) -> tuple[str, int] | None:
    for source in sources:
        parts = urlsplit(source.url)
        if source.synthetic and parts.scheme == "http" and parts.hostname and parts.port:
            return parts.hostname, parts.port
    return None


def _wait(url: str, child: subprocess.Popen[bytes], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and child.poll() is None:
        try:
            requests.get(url, timeout=2)
        except requests.ConnectionError:
            time.sleep(0.1)
        else:
            return
    raise TransientSourceError("sample upstream did not start", where=url)
