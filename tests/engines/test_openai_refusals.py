"""What OpenAIEngine learns from a refusal: parameters renamed, changed or left out, and whose a 403 is."""

import asyncio

import orjson
import pytest

from engines.asking_openai import ONE_SAMPLE, REQUEST, SEEDED, asked, engine_at, sampled, texts_of
from servers import behaviours as does
from servers.chat import Behaviour, ChatServer
from spct.engines import SampleRequest
from spct.errors import EngineAuthError, RejectedError
from spct.types import Message


async def test_max_tokens_is_renamed_where_the_server_wants_that():
    message = (
        "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."
    )
    refuses = does.refuses_parameter("max_tokens", message, param="max_tokens", code="unsupported_parameter")
    async with ChatServer(refuses) as server:
        engine, texts = await sampled(server)
        assert texts == SEEDED
        assert [call.body.get("max_completion_tokens") for call in server.chats] == [None, 50]
        assert engine.notes == (f"max_tokens was sent as max_completion_tokens: {message}",)


async def test_of_many_that_are_refused_at_once_each_is_sent_in_the_new_form():
    message = "Unsupported parameter: 'max_tokens' is not supported with this model."
    together = asyncio.Barrier(5)

    async def refuses(call: does.Call, writer: asyncio.StreamWriter) -> None:
        if "max_tokens" in call.body:
            await together.wait()
            await does.fails(400, message, {"param": "max_tokens"})(call, writer)
        else:
            await does.honest(call, writer)

    async with ChatServer(refuses) as server, asyncio.timeout(20):
        engine = engine_at(server.base_url)
        await engine.start()
        await asyncio.gather(*(engine.sample(REQUEST) for _ in range(5)))
        await engine.close()
        assert [call.body.get("max_completion_tokens") for call in server.chats] == [None] * 5 + [50] * 5


@pytest.mark.parametrize(
    ("name", "message", "fields"),
    [
        ("temperature", "Unsupported value: 'temperature' does not support 0.5 with this model.", {}),
        (
            "temperature",
            "Only the default (1) value is supported.",
            {"param": "temperature", "code": "unsupported_value"},
        ),
        ("top_p", "`top_p` is deprecated for this model.", {}),
        ("seed", "Extra inputs are not permitted: seed", {}),
    ],
)
async def test_a_refused_parameter_is_left_out_and_noted(name, message, fields):
    async with ChatServer(does.refuses_parameter(name, message, **fields)) as server:
        engine = engine_at(server.base_url)
        for _ in range(2):
            await engine.sample(SampleRequest(REQUEST.messages, n=1, top_p=0.9))
        await engine.close()
        assert [name in call.body for call in server.chats] == [True, False, False]
        assert engine.notes == (f"{name} was not applied: {message}",)
        assert engine.capabilities.seeding == ("none" if name == "seed" else "request")


async def test_of_two_that_cannot_be_used_together_the_temperature_stays():
    async def picky(call: does.Call, writer: asyncio.StreamWriter) -> None:
        both = {"temperature", "top_p"} <= call.body.keys()
        refusal = does.fails(400, "`temperature` and `top_p` cannot both be specified for this model.")
        await (refusal if both else does.honest)(call, writer)

    async with ChatServer(picky) as server:
        _, _ = await sampled(server, SampleRequest(REQUEST.messages, seed=3, top_p=0.9))
        assert [("temperature" in call.body, "top_p" in call.body) for call in server.chats] == [
            (True, True),
            (True, False),
        ]


async def test_a_server_without_temperature_zero_is_sent_one_just_above():
    async def strict(call: does.Call, writer: asyncio.StreamWriter) -> None:
        refusal = does.fails(422, "Input validation error: `temperature` must be strictly positive")
        await (refusal if call.body["temperature"] == 0 else does.honest)(call, writer)

    async with ChatServer(strict) as server:
        engine, _ = await sampled(server, SampleRequest(REQUEST.messages, seed=3, temperature=0.0))
        assert [call.body["temperature"] for call in server.chats] == [0.0, 0.01]
        assert engine.notes[-1].startswith("temperature 0 was sent as 0.01: ")


async def test_refused_log_probabilities_are_left_out():
    refuses = does.refuses_parameter("logprobs", "logprobs is not supported with reasoning models", param="logprobs")
    async with ChatServer(refuses) as server:
        engine, _ = await sampled(server, SampleRequest(REQUEST.messages, n=2, top_logprobs=5))
        assert not {"logprobs", "top_logprobs"} & server.chats[1].body.keys()
        assert not engine.capabilities.logprobs


async def test_validation_errors_of_fastapi_name_the_parameter():
    detail = [{"loc": ["body", "seed"], "msg": "Extra inputs are not permitted", "type": "extra_forbidden"}]
    refusal = does.replies(orjson.dumps({"detail": detail}), 422)
    async with ChatServer(does.honest, [refusal]) as server:
        engine, _ = await sampled(server)
        assert engine.notes == ("seed was not applied: seed: Extra inputs are not permitted",)


FLAGGED = SampleRequest((Message("user", "FLAGGED by a firewall"),))


def forbids(*words: str) -> Behaviour:
    """403 without a reason for a prompt that holds any of the words."""

    async def behave(call: does.Call, writer: asyncio.StreamWriter) -> None:
        if any(word in call.body["messages"][-1]["content"] for word in words):
            await does.replies(b"<html>Access denied</html>", 403)(call, writer)
        else:
            await does.honest(call, writer)

    return behave


@pytest.mark.parametrize("first", [True, False])
async def test_a_403_for_one_prompt_is_that_prompts(first):
    async with ChatServer(forbids("FLAGGED")) as server:
        engine = engine_at(server.base_url)
        if not first:
            await engine.sample(ONE_SAMPLE)
        with pytest.raises(RejectedError, match=r"refuses the request \(403\)"):
            await engine.sample(FLAGGED)
        await engine.sample(ONE_SAMPLE)
        await engine.close()


async def test_a_403_for_every_prompt_is_the_key():
    async with ChatServer(forbids("")) as server:
        engine = engine_at(server.base_url)
        outcomes = await asyncio.gather(*(engine.sample(asked(n)) for n in range(3)), return_exceptions=True)
        await engine.close()
        assert {type(outcome) for outcome in outcomes} == {EngineAuthError}


async def test_a_key_that_the_list_of_models_is_refused_to_may_be_good():
    async with ChatServer(does.honest, models=does.fails(401, "no x-api-key")) as server:
        assert await texts_of(engine_at(server.base_url), [ONE_SAMPLE]) == ["sample 7"]
