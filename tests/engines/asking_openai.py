"""How the tests of OpenAIEngine ask: engines at local servers, requests, and the texts that come back."""

import asyncio
import json

from servers import behaviours as does
from servers.chat import Behaviour, ChatServer
from spct.engines import Engine, SampleRequest, load_engine
from spct.types import Message

REQUEST = SampleRequest((Message("system", "Judge."), Message("user", "Which?")), n=4, seed=100, max_tokens=50)
ONE_SAMPLE = SampleRequest((Message("user", "Which?"),), seed=7)
SEEDED = ["sample 100", "sample 101", "sample 102", "sample 103"]


def engine_at(*base_urls: str, spec: str = "openai:m", **options: object) -> Engine:
    return load_engine(spec, base_url=base_urls, **{"backoff_s": 0.001, "grammar_style": "none", **options})


async def sampled(server: ChatServer, request: SampleRequest = REQUEST, **options: object) -> tuple[Engine, list[str]]:
    """Start, sample once, close; the texts, whose seeds must be the request's."""
    engine = engine_at(server.base_url, **options)
    await engine.start()
    batch = await engine.sample(request)
    await engine.close()
    assert [sample.seed for sample in batch.samples] == [request.seed + j for j in range(request.n)]
    return engine, [sample.text for sample in batch.samples]


def models(**fields: object) -> Behaviour:
    return does.replies(json.dumps({"data": [{"id": "m", **fields}]}).encode())


def asked(number: int) -> SampleRequest:
    return SampleRequest((Message("user", f"{number} is a question of its own"),), seed=number)


async def texts_of(engine: Engine, requests: list[SampleRequest]) -> list[str]:
    batches = await asyncio.gather(*(engine.sample(request) for request in requests))
    await engine.close()
    return [batch.samples[0].text for batch in batches]
