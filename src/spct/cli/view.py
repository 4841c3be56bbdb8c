"""``spct view``: runs as web pages in the browser, and labels from people."""

from __future__ import annotations

import contextlib
import importlib.util
import socket
import sys
import threading
import webbrowser
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from spct.cli.help import Command
from spct.cli.paths import PATH
from spct.cli.serve import listening_on
from spct.cli.stopping import Background
from spct.errors import InputError
from spct.weights.cache import cache_dir
from spct.wording import count

if TYPE_CHECKING:
    import uvicorn
    from starlette.applications import Starlette

    from spct.view.library import Library

USUAL_PORT = 8765
STOP_S = 2.0
PACKAGES = ("starlette", "uvicorn", "nh3", "markdown_it", "mdit_py_plugins", "latex2mathml")


@click.command(cls=Command)
@click.argument("paths", nargs=-1, type=PATH, metavar="[RUN_OR_FOLDER]...")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535),
              help=f"0 takes a free one  [default: {USUAL_PORT}, or a free one if that is taken].")  # fmt: skip
@click.option("--keys", type=PATH, metavar="FILE", help="Who may look: see spct serve-key.")
@click.option("--insecure-no-key", is_flag=True, help="Listen on any address without keys.")
@click.option("--browser/--no-browser", default=True, show_default=True, help="Open the page in the browser.")
@click.option("--label", metavar="NAME", help="Let NAME label items, blind; the labels are kept beside the run.")
@click.option("--task", type=click.Choice(["best", "rank", "score", "criteria"]), default="best", show_default=True,
              help="What is asked of NAME: pick the best response, rank all of them, score each from 1 to 10, or pass or "
              "fail each by every criterion of the run's rubric.")  # fmt: skip
@click.option("--criterion", "questions", multiple=True, metavar="NAME:QUESTION",
              help="Ask to pass or fail each response by this criterion instead of the rubric's. May be repeated.")  # fmt: skip
@click.option("--prices", metavar="FILE",
              help="Show what runs and items cost, by the prices in FILE, or by a table with --prices known.")  # fmt: skip
@click.option("--export", type=PATH, metavar="FILE", help="Write the one RUN into a single HTML file instead, and end.")
@click.option(
    "--items", "which", metavar="FILTERS", default="", help="The items to export, such as wrong or wrong,tied."
)
def view(
    paths: tuple[Path, ...],
    host: str,
    port: int | None,
    keys: Path | None,
    insecure_no_key: bool,
    browser: bool,
    label: str | None,
    task: str,
    questions: tuple[str, ...],
    prices: str | None,
    export: Path | None,
    which: str,
) -> int:
    """Look at the runs in RUN_OR_FOLDER (default: here) and below, as web pages that this command serves until Ctrl-C.

    Nothing of a run is changed. See docs/viewer.md.

    \b
    Examples:
      spct view results
      spct view run --label anna
    """
    _check_installed()
    from spct.run.criteria_labels import rubric_of_questions
    from spct.serve.auth import Keys, check_address, is_loopback
    from spct.view.app import create_app
    from spct.view.library import Library, check_roots
    from spct.view.pages.page import Viewer

    roots = paths or (Path(),)
    check_roots(roots)
    library = Library(roots, cache_dir() / "view")
    if export is not None:
        return _export(library, export, which, prices)
    known = Keys() if keys is None else Keys.read(keys)
    check_address(host, known, insecure=insecure_no_key, risk="anyone could read these runs")
    if label is not None and not label.strip():
        raise InputError("--label: got a blank name; name whoever labels")
    if questions and (label is None or task not in ("best", "criteria")):
        raise InputError("--criterion asks a labeller for pass or fail: give --label NAME, and no other --task")
    asked = rubric_of_questions(questions) if questions else None
    servers: list[uvicorn.Server] = []

    def stop(name: str, times: int) -> float:
        for server in servers:
            server.should_exit = True
        return STOP_S

    with _socket(host, port) as listening, contextlib.closing(library):
        address = _address(listening, host)
        viewer = Viewer(library, label, "criteria" if asked else task, asked, prices)
        app = create_app(viewer, keys=known, hosts=() if is_loopback(host) else None)
        click.echo(f"{count(len(library.runs()), 'run')} at {address} (Ctrl-C ends it)", err=True)
        if browser and sys.stderr.isatty():
            threading.Thread(target=webbrowser.open, args=[address], daemon=True).start()
        background = Background(_serve(app, listening, servers.append))
        with contextlib.suppress(TimeoutError):  # a connection that does not end is left
            background.run(stop)
    return 0


async def _serve(app: Starlette, listening: socket.socket, began: Callable[[uvicorn.Server], None]) -> None:
    import uvicorn

    config = uvicorn.Config(
        app, log_config=None, access_log=False, server_header=False, lifespan="off", timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    began(server)
    await server.serve(sockets=[listening])


def _socket(host: str, port: int | None) -> contextlib.AbstractContextManager[socket.socket]:
    """A socket at the port asked for; without one at the usual port, so that an address that was kept leads here again."""
    if port is not None:
        return listening_on(host, port)
    try:
        return listening_on(host, USUAL_PORT)
    except InputError:
        return listening_on(host, 0)


def _address(listening: socket.socket, host: str) -> str:
    port = listening.getsockname()[1]
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


def _export(library: Library, file: Path, which: str, prices: str | None) -> int:
    from spct.view.export import export_run

    said = export_run(library, file, tuple(filter(None, which.split(","))), prices=prices)
    click.echo(said)
    return 0


def _check_installed() -> None:
    for name in PACKAGES:
        if importlib.util.find_spec(name) is None:
            raise InputError(f"spct view needs the package {name}: pip install 'spct[view]'")
