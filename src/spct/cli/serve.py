"""``spct serve``: one judge or several as a reward service over HTTP; ``spct serve-key``: a key for it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from spct.cli.ending import STOP_WITHIN_S, STOPPED
from spct.cli.help import Command
from spct.cli.judging import judging_options, make_judge, settings_of
from spct.cli.meta import make_meta_if_named
from spct.cli.paths import PATH
from spct.cli.session import ENGINE_OPTIONS, engine_options
from spct.cli.stopping import Background, leave
from spct.errors import InputError, RunError, TemplateError
from spct.judges import Backend, Judge
from spct.judges.settings import JudgeSettings

if TYPE_CHECKING:
    from spct.cli.serve_file import ServeFile
    from spct.meta import MetaRM
    from spct.serve.auth import Keys
    from spct.serve.limits import Limits
    from spct.serve.log import JsonLog
    from spct.serve.metrics import Metrics
    from spct.serve.server import Server
    from spct.serve.state import ServerState
    from spct.service.service import RewardService


OF_A_BACKEND = (*("kind", "judge_option", "jury", "escalate", "model", "grammar", "engine_option"), *ENGINE_OPTIONS)
"""The options that say what a judge judges with."""


def _read_config(context: click.Context, option: click.Parameter, path: Path | None) -> ServeFile | None:
    """The file of several judges; what stands at its top becomes the defaults of the other options."""
    if path is None:
        return None
    _check_installed()
    from spct.cli.serve_file import read_serve_file

    file = read_serve_file(path, context)
    context.default_map = {**(context.default_map or {}), **file.top}
    return file


@click.command(cls=Command)
@engine_options
@judging_options
@click.option("--config", type=PATH, is_eager=True, callback=_read_config, metavar="FILE",
              help="Serve the judges of this file, in TOML (docs/serving.md).")  # fmt: skip
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=8000, show_default=True, help="0 takes a free one.")
@click.option("--keys", type=PATH, metavar="FILE", help="Who may ask: see spct serve-key.")
@click.option("--insecure-no-key", is_flag=True, help="Listen on any address without keys.")
@click.option(
    "--queue", type=click.IntRange(0), default=1024, show_default=True, help="Callers that may wait; then 429."
)
@click.option("--deadline", type=float, default=600.0, show_default=True, help="Seconds until 504, at most.")
@click.option("--cohort-wait", type=float, default=60.0, show_default=True,
              help="Seconds that a rollout waits for the rest of its group.")  # fmt: skip
@click.option("--keep-groups", type=PATH, metavar="DIR",
              help="Note here which rollouts were judged together, so that a server that was killed gives the others of a group "
              "the same rewards once it is started again.")  # fmt: skip
@click.option("--cache-mb", type=click.FloatRange(0), default=64, show_default=True, help="Size of the verdict cache.")
@click.option("--cache-ttl", type=click.FloatRange(0), default=3600, show_default=True, help="Seconds a verdict stays.")
@click.option("--limit", multiple=True, metavar="NAME=NUMBER",
              help="A bound on requests: head_bytes, head_s, body_bytes, body_s, answer_s, waiting_bytes, values, n, items, "
              "turns, text_chars, k, max_tokens.")  # fmt: skip
@click.option("--drain", type=float, default=60.0, show_default=True, help="Seconds to finish in after SIGTERM.")
@click.option("--out", type=PATH, metavar="DIR", help="Keep every judgment in this run directory.")
@click.option("--probe-share", type=click.FloatRange(0, 1), default=0.0, show_default=True,
              help="Judge this share of the groups again with a change that must not raise a score; the metric "
              "spct_probe_gain says what it did.")  # fmt: skip
@click.option("--quiet", is_flag=True, help="Log no line for each request.")
def serve(**options: Any) -> int:
    """Answer requests for verdicts and rewards over HTTP, until SIGTERM or Ctrl-C.

    One JSON line per event goes to stderr. See docs/serving.md for the endpoints and what keeps them safe.

    \b
    Example:
      spct serve --model openai:NAME --port 8080 --out served
    """
    _check_installed()
    from spct.serve.auth import Keys, check_address
    from spct.serve.log import JsonLog
    from spct.serve.metrics import Metrics

    keys = Keys() if options["keys"] is None else Keys.read(options["keys"])
    check_address(options["host"], keys, insecure=options["insecure_no_key"])
    limits = _limits(options["limit"])
    log, metrics = JsonLog(requests=not options["quiet"]), Metrics()
    log.take_errors_of("uvicorn", "asyncio")
    serving = _serving(options, keys, limits, metrics, log)
    servers: list[Server] = []
    background = Background(_serve(serving, options, keys, metrics, log, servers.append))

    def stop(name: str, count: int) -> float:
        if not servers:  # the engine is still starting
            background.cancel()
            return STOP_WITHIN_S
        servers[0].stop(name)
        return servers[0].longest_stop_s if count == 1 else STOP_WITHIN_S

    try:
        background.run(stop)
    except asyncio.CancelledError:
        return STOPPED
    except TimeoutError:
        leave('{"event": "stopped"}')
    return 0


@click.command("serve-key", cls=Command)
@click.argument("name")
@click.option("--keys", type=PATH, metavar="FILE", help="Add it to this file of keys.")
def serve_key(name: str, keys: Path | None) -> None:
    """Make a key called NAME for spct serve: the key itself on stdout, once, and only its digest in the file.

    \b
    Example:
      spct serve-key anna --keys keys.txt
    """
    from spct.serve.auth import Keys, new_key

    key, line = new_key(name)
    if keys is None:
        click.echo(f"for the file of keys: {line}", err=True)
    else:
        if keys.exists() and name in dict(Keys.read(keys).digests):
            raise InputError(f"keys: {keys} has a key named {name!r} already; take another name")
        keys.touch(0o600)
        with keys.open("a") as file:
            file.write(f"{line}\n")
    click.echo(key)


def _serving(options: Mapping[str, Any], keys: Keys, limits: Limits, metrics: Metrics, log: JsonLog) -> ServerState:
    """What is served: the judges of the file, or that of the command's own options. Raises InputError."""
    from spct.serve.state import ServerState
    from spct.service.closed_groups import ClosedGroups

    keep: Path | None = options["keep_groups"]
    file: ServeFile | None = options["config"]
    shares = {} if file is None else file.shares
    if file is not None and (strangers := sorted(file.keys_named - dict(keys.digests).keys())):
        known = ", ".join(name for name, _ in keys.digests) or "none"
        raise InputError(
            f"{file.path}: shares and callers: got {', '.join(strangers)}; expected names of keys ({known})"
        )
    callers = max(1, len(keys.digests))
    shared = _Shared()
    judges: dict[str, RewardService] = {}
    for name, own in {"default": options}.items() if file is None else file.judges.items():
        out = options["out"] if file is None or options["out"] is None else options["out"] / name
        try:
            judges[name] = _service({**options, "out": out, **own}, metrics, log, callers, shares, shared)
        except (InputError, TemplateError) as error:
            raise error if file is None else type(error)(f"{file.path}: judges.{name}: {error}") from error
    return ServerState(
        judges,
        limits,
        cohort_wait_s=options["cohort_wait"],
        keys=callers,
        weights=shares,
        may_ask={} if file is None else file.callers,
        default="" if file is None else file.default,
        closed_groups=None if keep is None else ClosedGroups(keep, _on_fault(log, "groups_not_kept")),
    )


class _Shared:
    """What the judges of one service share where it is named alike: their engines and classifiers, and their meta RMs."""

    def __init__(self) -> None:
        self._backends: dict[str, Backend] = {}
        self._metas: dict[str, MetaRM | None] = {}

    def meta(self, options: Mapping[str, Any]) -> MetaRM | None:
        alike = repr((options["meta"], options["meta_option"]))
        if alike not in self._metas:
            self._metas[alike] = make_meta_if_named(options)
        return self._metas[alike]

    def backend(self, options: Mapping[str, Any], meta: MetaRM | None) -> Backend:
        alike = repr([(name, options[name]) for name in OF_A_BACKEND])
        if alike not in self._backends:
            self._backends[alike] = make_judge(options, meta).engine
        return self._backends[alike]


def _service(
    options: Mapping[str, Any],
    metrics: Metrics,
    log: JsonLog,
    callers: int,
    weights: Mapping[str, float],
    shared: _Shared,
) -> RewardService:
    """The service of one judge; what is named alike is made once."""
    from spct.service.cache import VerdictCache
    from spct.service.probing import Prober
    from spct.service.recording import Recording
    from spct.service.service import RewardService

    meta = shared.meta(options)
    backend = shared.backend(options, meta)

    def make(settings: JudgeSettings) -> Judge:
        return make_judge(options, meta, backend=backend, settings=settings)

    return RewardService(
        make,
        settings_of(options),
        concurrency=options["concurrency"],
        queue=options["queue"],
        deadline_s=options["deadline"],
        cache=VerdictCache(int(options["cache_mb"] * 2**20), options["cache_ttl"]),
        recording=None
        if options["out"] is None
        else Recording(options["out"], _on_fault(log, "recording_failed"), callers=callers),
        callers=callers,
        weights=weights,
        on_judged=metrics.judged,
        prober=Prober(options["probe_share"], metrics.probed, seed=options["seed"]) if options["probe_share"] else None,
    )


def _on_fault(log: JsonLog, event: str) -> Callable[[RunError], None]:
    return lambda error: log.write(event, message=str(error))


async def _serve(
    serving: ServerState,
    options: Mapping[str, Any],
    keys: Keys,
    metrics: Metrics,
    log: JsonLog,
    began: Callable[[Server], None],
) -> None:
    from spct.serve.app import create_app
    from spct.serve.server import Server

    with listening_on(options["host"], options["port"]) as listening:
        async with serving:  # here, so that an engine that does not start is this command's own error
            app = create_app(serving, keys=keys, metrics=metrics, log=log)
            server = Server(app, serving, log, drain_s=options["drain"])
            began(server)
            await server.serve(sockets=[listening])


def listening_on(host: str, port: int) -> contextlib.AbstractContextManager[socket.socket]:
    """A socket bound to the address. Raises InputError where that cannot be."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return contextlib.closing(socket.create_server((host, port), family=family, backlog=4096))
    except OSError as error:
        raise InputError(f"cannot listen on {host}:{port}: {error}; name another --host or --port") from error


def _limits(pairs: tuple[str, ...]) -> Limits:
    from spct.serve.limits import Limits

    given: dict[str, float] = {}
    for pair in pairs:
        name, _, value = pair.partition("=")
        name = name.replace("-", "_")
        if name not in Limits.__dataclass_fields__ or not value.replace(".", "", 1).isdigit():
            raise InputError(
                f"--limit {pair!r}: expected NAME=NUMBER with NAME one of {', '.join(Limits.__dataclass_fields__)}"
            )
        given[name] = float(value) if name.endswith("_s") else int(float(value))
    return Limits(**given)  # type: ignore[arg-type]


def _check_installed() -> None:
    try:
        import fastapi  # noqa: F401
        import prometheus_client  # noqa: F401
        import uvicorn  # noqa: F401
    except ModuleNotFoundError as error:
        raise InputError(f"spct serve needs the package {error.name}: pip install 'spct[serve]'") from error
