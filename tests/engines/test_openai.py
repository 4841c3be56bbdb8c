"""OpenAIEngine and one server: what is sent and read, what the server tells of itself, requests side by side."""

import asyncio
import json

import orjson
import pytest

from engines.asking_openai import REQUEST, SEEDED, engine_at, sampled
from servers import behaviours as does
from servers.chat import ChatServer
from spct.engines import SampleRequest
from spct.engines.http.presets import PRESETS
from spct.types import Message, TokenLogprob

VLLM = does.replies(b'{"data": [{"id": "m", "root": "org/weights", "owned_by": "vllm", "max_model_len": 4096}]}')
LLAMACPP = does.replies(b'{"data": [{"id": "x.gguf", "owned_by": "llamacpp", "meta": {"n_ctx_train": 8192}}]}')
PROPS = does.replies(b'{"total_slots": 3, "default_generation_settings": {"n_ctx": 2048}}')


async def test_a_request_is_sent_as_the_format_says():
    async with ChatServer(does.honest) as server:
        await sampled(server, api_key="sk-secret", params={"top_k": 20})
        (call,) = server.chats
        assert (call.method, call.path) == ("POST", "/v1/chat/completions")
        assert call.headers["authorization"] == "Bearer sk-secret"
        assert call.headers["content-type"] == "application/json"
        assert call.body == {
            "model": "m",
            "messages": [{"role": "system", "content": "Judge."}, {"role": "user", "content": "Which?"}],
            "temperature": 0.5,
            "max_tokens": 50,
            "seed": 100,
            "n": 4,
            "top_k": 20,
        }


async def test_one_sample_knows_its_own_tokens():
    async with ChatServer(does.honest) as server:
        engine = engine_at(server.base_url)
        (sample,) = (await engine.sample(SampleRequest(REQUEST.messages, seed=7))).samples
        await engine.close()
        assert (sample.text, sample.seed, sample.completion_tokens, sample.finish_reason) == ("sample 7", 7, 3, "stop")
        assert "n" not in server.chats[0].body


async def test_seeds_are_sent_in_31_bits():
    async with ChatServer(does.honest) as server:
        await sampled(server, SampleRequest(REQUEST.messages, n=2, seed=2**31 + 5))
        assert server.chats[0].seed == 5


async def test_log_probabilities_are_asked_for_and_mapped():
    tokens = [
        {"token": "sco", "logprob": -0.5, "top_logprobs": [{"token": "sco", "logprob": -0.5}]},
        {"token": "re", "logprob": 0.0, "top_logprobs": []},
        {"token": "<|im_end|>", "logprob": -1.0},
    ]
    body = does.completion([does.choice("score", j, logprobs={"content": tokens}) for j in range(4)])
    async with ChatServer(does.replies(body)) as server:
        engine = engine_at(server.base_url, n_per_request=None)
        batch = await engine.sample(SampleRequest(REQUEST.messages, n=4, temperature=0.0, top_logprobs=25))
        await engine.close()
        assert server.chats[0].body["logprobs"] is True
        assert server.chats[0].body["top_logprobs"] == 20
        assert batch.samples[0].logprobs == (TokenLogprob("sco", -0.5, (("sco", -0.5),)), TokenLogprob("re", 0.0, ()))
        assert [sample.completion_tokens for sample in batch.samples] == [3, 3, 3, 3]
        assert engine.capabilities.logprobs


async def test_a_server_that_ignores_log_probabilities_is_found_out():
    async with ChatServer(does.honest) as server:
        engine, _ = await sampled(server, SampleRequest(REQUEST.messages, n=2, top_logprobs=5))
        assert not engine.capabilities.logprobs
        assert engine.notes == ("log-probabilities were asked for, and the server gives none that fit the text",)


def counts(prompt_tokens: int) -> does.Behaviour:
    return does.replies(
        does.completion([does.choice("x")], usage={"prompt_tokens": prompt_tokens, "completion_tokens": 1})
    )


WORDS = "some words of a response that is judged, and more of them, none twice the same: "


@pytest.mark.parametrize(
    ("prompt", "tokens", "warned"),
    [
        (WORDS * 1200, 2050, True),
        (WORDS * 1200, 24_000, False),
        (WORDS * 10, 20, False),
        (WORDS * 1200, 0, False),
        ("x" * 90_000 + WORDS * 20, 2050, False),
        (" \n" * 60_000 + WORDS * 20, 2050, False),
    ],
)
async def test_a_server_that_cuts_prompts_is_found_out(prompt, tokens, warned):
    async with ChatServer(counts(tokens)) as server:
        engine, _ = await sampled(server, SampleRequest((Message("user", prompt),)))
        assert any("it seems to cut prompts" in note for note in engine.notes) is warned


@pytest.mark.parametrize("end", [None, "", "content_filter", "unknown"])
async def test_an_end_that_says_nothing_is_named(end):
    body = does.completion([does.choice("x", finish_reason=end)])
    async with ChatServer(does.replies(body)) as server:
        engine, _ = await sampled(server, SampleRequest(REQUEST.messages))
        assert any(f"finish_reason {orjson.dumps(end).decode()}" in note for note in engine.notes)


async def test_the_probe_reads_vllm():
    async with ChatServer(does.honest, models=VLLM) as server:
        engine, _ = await sampled(server)
        assert engine.capabilities.context_tokens == 4096
        assert engine.capabilities.seeding == "request"
        assert engine.configuration == {
            "server": server.base_url,
            "software": "vllm",
            "served_model": "org/weights",
            "grammar": None,
            "json_schema": None,
            "params": None,
            "sampling": json.dumps(dict(PRESETS["vllm-server"].sampling)),
            "context_tokens": 4096,
        }


async def test_the_probe_reads_llamacpp():
    async with ChatServer(does.honest, models=LLAMACPP, props=PROPS) as server:
        engine, texts = await sampled(server)
        assert texts == SEEDED
        assert sorted(call.n for call in server.chats) == [1, 3]
        assert engine.capabilities.context_tokens == 2048
        assert engine.capabilities.max_n == 3
        assert (engine.configuration["software"], engine.configuration["served_model"]) == ("llamacpp", "x.gguf")


async def test_the_context_option_wins_over_the_probe():
    async with ChatServer(does.honest, models=VLLM) as server:
        engine, _ = await sampled(server, context_tokens=1000)
        assert engine.capabilities.context_tokens == 1000


@pytest.mark.parametrize(
    "models",
    [
        None,
        does.replies(b"<html>hello</html>"),
        does.replies(b'{"data": 5}'),
        does.fails(500, "no"),
        does.fails(403, "no"),
    ],
)
async def test_a_server_without_a_model_list_is_as_good_as_any(models):
    async with ChatServer(does.honest, models=models) as server:
        engine, texts = await sampled(server)
        assert texts == SEEDED
        assert engine.capabilities.context_tokens is None


async def test_start_and_close_may_be_called_twice():
    async with ChatServer(does.honest) as server:
        engine = engine_at(server.base_url)
        await asyncio.gather(engine.start(), engine.start())
        await engine.start()
        assert len(server.calls) == 1
        await engine.close()
        await engine.close()


async def test_concurrency_bounds_the_requests_in_flight():
    async with ChatServer(does.late(0.01)) as server:
        engine = engine_at(server.base_url, concurrency=3, n_per_request=1)
        await engine.sample(SampleRequest(REQUEST.messages, n=20))
        await engine.close()
        assert server.most_at_once == 3


async def test_cancelling_closes_the_request():
    async with ChatServer(does.hangs) as server:
        engine = engine_at(server.base_url)
        await engine.start()
        task = asyncio.create_task(engine.sample(REQUEST))
        await server.arrived.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await server.disconnected.wait()
        await engine.close()


async def test_one_failed_part_cancels_the_others():
    async with ChatServer(does.hangs, [does.hangs, does.fails(400, "bad prompt")]) as server:
        engine = engine_at(server.base_url, n_per_request=1)
        with pytest.raises(Exception, match="bad prompt"):
            await engine.sample(REQUEST)
        await server.disconnected.wait()
        await engine.close()
