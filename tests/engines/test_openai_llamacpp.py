"""OpenAIEngine against a real server: the one inside xllamacpp, with the 135M model."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import aiohttp
import orjson
import pytest

from spct.engines.engine import SampleRequest
from spct.engines.http.errors import Endpoint, Refusal, of_status
from spct.engines.openai import OpenAIEngine
from spct.errors import ContextLengthError, RejectedError
from spct.types import Message
from spct.weights import ModelFile

SLOTS = 3
REQUEST = SampleRequest((Message("user", "Tell a story of a cat."),), n=SLOTS, seed=5, temperature=0.8, max_tokens=6)


@pytest.fixture(scope="module")
def base_url(smollm2: ModelFile) -> Iterator[str]:
    xllamacpp = pytest.importorskip("xllamacpp")
    params = xllamacpp.CommonParams()
    params.model.path = str(smollm2.path)
    params.n_parallel = SLOTS
    params.n_ctx = 512
    params.kv_unified = True
    params.cpuparams.n_threads = 2
    with socket.create_server(("127.0.0.1", 0)) as free:
        params.port = free.getsockname()[1]
    server = xllamacpp.Server(params)
    yield f"{server.listening_address}/v1"
    del server


async def test_what_the_server_tells_of_itself(base_url):
    engine = OpenAIEngine("smollm2", base_url=base_url, grammar_style="none")
    await engine.start()
    await engine.close()
    capabilities = engine.capabilities
    assert (capabilities.max_n, capabilities.seeding, capabilities.context_tokens) == (SLOTS, "sample", 512)


async def test_choice_j_is_what_seed_plus_j_gives(base_url):
    # What the server has in its cache changes the rounding of a sample, so nothing is asked beforehand.
    together = OpenAIEngine("smollm2", base_url=base_url, grammar_style="none")
    one_by_one = OpenAIEngine("smollm2", base_url=base_url, grammar_style="none", n_per_request=1, concurrency=1)
    batch, lone = await together.sample(REQUEST), await one_by_one.sample(REQUEST)
    await together.close()
    await one_by_one.close()
    texts = [sample.text for sample in batch.samples]
    assert len(set(texts)) == SLOTS
    assert texts == [sample.text for sample in lone.samples]
    assert (batch.usage.requests, lone.usage.requests) == (1, SLOTS)
    assert lone.usage.completion_tokens == SLOTS * REQUEST.max_tokens
    assert together.notes[-1] == "completion tokens are partly estimated: the server counts one choice of several"


async def test_a_larger_n_is_split_by_slots(base_url):
    engine = OpenAIEngine("smollm2", base_url=base_url, grammar_style="none")
    request = SampleRequest(REQUEST.messages, n=SLOTS + 1, seed=5, temperature=0.8, max_tokens=3)
    batch = await engine.sample(request)
    await engine.close()
    assert [sample.seed for sample in batch.samples] == [5, 6, 7, 8]
    assert {sample.finish_reason for sample in batch.samples} == {"length"}


async def test_its_refusal_of_a_larger_n_is_understood(base_url):
    endpoint = Endpoint(base_url, "smollm2")
    body = {"messages": [{"role": "user", "content": "Hi"}], "n": SLOTS + 1}
    async with aiohttp.ClientSession() as session, session.post(f"{base_url}/chat/completions", json=body) as response:
        refusal = of_status(endpoint, response.status, response.headers, await response.read(), 0.0)
    assert isinstance(refusal, Refusal)
    assert (refusal.status, refusal.parameters, refusal.largest) == (400, ("n",), SLOTS)


async def test_log_probabilities_grammar_and_schema(base_url):
    engine = OpenAIEngine("smollm2", base_url=base_url)
    grammar = 'root ::= "score " [1-9]'
    request = SampleRequest(REQUEST.messages, n=2, seed=5, temperature=0.8, grammar=grammar, top_logprobs=4)
    samples = (await engine.sample(request)).samples
    schema = '{"type": "object", "properties": {"winner": {"enum": ["A"]}}, "required": ["winner"]}'
    (shaped,) = (await engine.sample(SampleRequest(REQUEST.messages, max_tokens=20, json_schema=schema))).samples
    await engine.close()
    assert orjson.loads(shaped.text) == {"winner": "A"}
    said = "grammar in the field 'grammar': tried, and followed; JSON schema in the field 'json_schema': tried, and followed"
    assert said in engine.notes
    for sample in samples:
        assert sample.text[:-1] == "score " and sample.text[-1] in "123456789"
        assert "".join(token.token for token in sample.logprobs) == sample.text
        assert sample.completion_tokens >= len(sample.logprobs)


async def test_errors_of_the_server(base_url):
    engine = OpenAIEngine("smollm2", base_url=base_url, grammar_style="llamacpp")
    with pytest.raises(ContextLengthError) as caught:
        await engine.sample(SampleRequest((Message("user", "cat " * 600),)))
    assert caught.value.context_tokens == 512
    assert caught.value.prompt_tokens > 600
    with pytest.raises(RejectedError, match="failed to parse grammar"):
        await engine.sample(SampleRequest(REQUEST.messages, grammar="root ::= missing"))
    await engine.close()
