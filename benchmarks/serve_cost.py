"""Where does a request to ``spct serve`` spend its processor time? The application driven in this process, without sockets.

    python -m benchmarks.serve_cost                # half a minute

Groups of 8 responses in 4.3 kB, all different, k = 1, an engine that answers at once, 1, 8 and 64 requests under way at a
time. Each figure is processor time of the best batch, which what else the machine does hardly moves; rates over sockets, and
with them what uvicorn takes, are ``serve_load``'s. ``floor`` is an empty endpoint of the framework that reads the body.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from itertools import count
from typing import Any

import orjson
from benchmarks.instant import InstantEngine, group
from fastapi import FastAPI, Request, Response
from pydantic import TypeAdapter

from spct.cli.stopping import new_runner
from spct.items import fingerprint
from spct.judges.grm import GRMJudge
from spct.judges.settings import JudgeSettings
from spct.serve.app import create_app
from spct.serve.metrics import Metrics
from spct.serve.state import ServerState
from spct.service.cache import VerdictCache
from spct.service.judges import grm_judges
from spct.service.service import RewardService
from spct.templates import load_template
from spct.types import Item, Message
from spct.voting.orders import row_orders
from spct.voting.vote import decide
from spct.wire.asked import item_of
from spct.wire.reward import RewardRequest

NUMBERS = count()
Ask = Callable[[Any], Awaitable[object]]


def body() -> bytes:
    """A request that was not made before."""
    return orjson.dumps(group(next(NUMBERS)))


def item() -> Item:
    made = group(next(NUMBERS))
    return Item(str(next(NUMBERS)), (Message("user", made["query"]),), tuple(made["responses"]))


def asked(app: Any) -> Ask:
    """One POST to an ASGI application; raises unless it is answered with 200."""

    async def ask(raw: bytes) -> None:
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": "POST",
            "scheme": "http",
            "path": "/v1/reward",
            "raw_path": b"/v1/reward",
            "query_string": b"",
            "root_path": "",
            "headers": [(b"content-type", b"application/json"), (b"content-length", str(len(raw)).encode())],
            "state": {},
        }
        messages = [{"type": "http.request", "body": raw, "more_body": False}]

        async def receive() -> MutableMapping[str, Any]:
            return messages.pop() if messages else await asyncio.Future()

        async def send(message: MutableMapping[str, Any]) -> None:
            if message.get("status", 200) != 200:
                raise SystemExit(f"answered {message['status']}")

        await app(scope, receive, send)

    return ask


async def best_us(ask: Ask, make: Callable[[], Any], at_once: int, requests: int) -> float:
    """Microseconds of processor time a request, in the best batch of ``at_once``."""
    best = float("inf")
    for _ in range(max(1, requests // at_once)):
        made = [make() for _ in range(at_once)]
        begun = time.process_time()
        await asyncio.gather(*map(ask, made))
        best = min(best, time.process_time() - begun)
    return 1e6 * best / at_once


def floor() -> FastAPI:
    app = FastAPI(openapi_url=None)

    @app.post("/v1/reward")
    async def empty(request: Request) -> Response:
        await request.body()
        return Response(b"{}", media_type="application/json")

    return app


async def paths(requests: int) -> None:
    """The whole path of a request and its insides."""
    metrics = Metrics()
    settings = JudgeSettings(k=1)
    service = RewardService(
        grm_judges(InstantEngine("judge")), settings, cache=VerdictCache(0), on_judged=metrics.judged
    )
    judge = GRMJudge(InstantEngine("judge"), settings)
    async with service:
        application = create_app(ServerState({"default": service}), metrics=metrics)
        ways: dict[str, tuple[Ask, Callable[[], Any]]] = {
            "floor": (asked(floor()), body),
            "the whole application": (asked(application), body),
            "of it the service": (service.ask, item),
            "of that the judge": (judge.judge, item),
        }
        print("| us a request, under way at a time: | 1 | 8 | 64 |\n| --- | ---: | ---: | ---: |")
        for name, (ask, make) in ways.items():
            found = [await best_us(ask, make, at_once, requests) for at_once in (1, 8, 64)]
            print(f"| {name} | " + " | ".join(f"{us:.0f}" for us in found) + " |")


async def steps() -> None:
    """The steps of one request, each repeated by itself."""
    template, adapter = load_template("grm"), TypeAdapter[Any](RewardRequest)
    raw, one = body(), item()
    verdict = await GRMJudge(InstantEngine("judge"), JudgeSettings(k=1)).judge(one)
    text = verdict.judgments[0].text
    fresh: Iterator[Item] = iter([item() for _ in range(2000)])
    named: dict[str, Callable[[], object]] = {
        "reading and validating the body": lambda: item_of(adapter.validate_json(raw)),
        "the key that equal requests share": lambda: fingerprint(one),
        "rendering the prompt, shielded": lambda: template.render(next(fresh), tuple(range(8))),
        "the order": lambda: row_orders(8, 1, seed=0, key=str(next(NUMBERS)), ordering="balanced"),
        "parsing the judgment": lambda: template.parse(text, 8),
        "the vote with its confidence": lambda: decide(verdict.judgments, id="x", n=8, k=1),
    }
    print("\n| step | us |\n| --- | ---: |")
    for name, step in named.items():
        best = float("inf")
        for _ in range(20):
            begun = time.process_time()
            for _ in range(100):
                step()
            best = min(best, time.process_time() - begun)
        print(f"| {name} | {1e6 * best / 100:.0f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=1000, help="of each kind")
    given = parser.parse_args()
    with new_runner() as runner:
        runner.run(paths(given.requests))
        runner.run(steps())


if __name__ == "__main__":
    main()
