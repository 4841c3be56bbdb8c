"""Providers and kinds of servers by their preset: what OpenAIEngine sends each of them, and where it takes its key from."""

import json
from typing import Any, cast

import pytest

from engines.asking_openai import ONE_SAMPLE, engine_at, models, texts_of
from servers import behaviours as does
from servers.chat import ChatServer
from spct.engines import Engine, SampleRequest, load_engine
from spct.engines.asking import ask
from spct.engines.http.presets import PRESETS, Preset, preset_of
from spct.errors import EngineError, InputError
from spct.types import Message


@pytest.mark.parametrize(
    ("software", "sent"), [("vllm", True), ("llamacpp", True), ("sglang", True), ("somebody", False)]
)
async def test_a_top_p_of_one_is_sent_only_where_the_server_would_put_another_in_its_place(software, sent):
    async with ChatServer(does.honest, models=models(owned_by=software)) as server:
        engine = engine_at(server.base_url)
        await texts_of(engine, [ONE_SAMPLE, SampleRequest(ONE_SAMPLE.messages, top_p=0.9)])
        assert ["top_p" in call.body for call in server.chats] == [sent, True]


@pytest.mark.parametrize("software", ["vllm", "llamacpp", "sglang"])
async def test_samples_are_of_the_models_own_distribution_unless_the_user_cuts_it(software):
    """What these servers would do unasked: cut by top_k and min_p, or by what the model's folder recommends."""
    preset = preset_of(software)
    assert {"top_k", "min_p"} <= preset.sampling.keys()
    async with ChatServer(does.honest, models=models(owned_by=software)) as server:
        plain, cut = engine_at(server.base_url), engine_at(server.base_url, params={"top_k": 20, "min_p": None})
        await texts_of(plain, [ONE_SAMPLE])
        await texts_of(cut, [ONE_SAMPLE])
        first, second = (call.body for call in server.chats[-2:])
    assert preset.sampling.items() <= first.items()
    assert (second["top_k"], "min_p" in second) == (20, False)
    rest = {name: value for name, value in preset.sampling.items() if name not in ("top_k", "min_p")}
    assert rest.items() <= second.items()
    assert [engine.configuration["sampling"] for engine in (plain, cut)] == [
        json.dumps(dict(preset.sampling)),
        json.dumps(rest) if rest else None,
    ]


async def test_a_server_that_refuses_such_a_field_is_not_sent_it_again_and_the_run_says_so():
    async with ChatServer(
        does.refuses_parameter("min_p", "unknown field: min_p", param="min_p"), models=models(owned_by="llamacpp")
    ) as server:
        engine = engine_at(server.base_url)
        await texts_of(engine, [ONE_SAMPLE] * 5)
        bodies = [call.body for call in server.chats]
    assert "min_p" in bodies[0] and "min_p" not in bodies[-1] and bodies[-1]["top_k"] == 0
    assert "min_p was not applied, so the server's own stands: unknown field: min_p" in engine.notes
    assert json.loads(engine.configuration["sampling"]) == {"top_k": 0}


@pytest.mark.parametrize(("software", "said"), [("llamacpp", "It is five"), ("vllm", "It isIt is five")])
async def test_what_llamacpp_repeats_of_a_begun_turn_is_taken_off(software, said):
    """With the tokens' log-probabilities, which are those of what was sampled; other servers give that alone."""
    tokens = [{"token": " five", "logprob": -0.5, "top_logprobs": []}]
    reply = does.completion([does.choice("It is five", logprobs={"content": tokens})])
    begun = SampleRequest((*ONE_SAMPLE.messages, Message("assistant", "It is")), seed=7, top_logprobs=1)
    async with ChatServer(does.replies(reply), models=models(owned_by=software)) as server:
        engine = engine_at(server.base_url)
        await engine.start()
        (sample,) = (await ask(engine, begun)).samples
        (plain,) = (await engine.sample(ONE_SAMPLE)).samples
        await engine.close()
    assert (sample.text, plain.text) == (said, "It is five")
    assert (sample.logprobs is not None) == (software == "llamacpp")


@pytest.mark.parametrize(
    ("software", "fields"),
    [
        ("vllm", {"continue_final_message": True, "add_generation_prompt": False}),
        ("sglang", {"continue_final_message": True}),
        ("llamacpp", {}),
        ("somebody", None),
    ],
)
async def test_a_begun_turn_is_gone_on_with_where_the_server_is_known_to(software, fields):
    begun = SampleRequest((*ONE_SAMPLE.messages, Message("assistant", "It is")), seed=7)
    async with ChatServer(does.honest, models=models(owned_by=software)) as server:
        engine = engine_at(server.base_url)
        await engine.start()
        assert engine.capabilities.continues == (fields is not None)
        if fields is None:
            with pytest.raises(EngineError, match="openai:m is not known to go on from a begun turn"):
                await ask(engine, begun)
        else:
            (sample,) = (await ask(engine, begun)).samples
            assert sample.text == "It issample 7"
            await engine.sample(ONE_SAMPLE)
            names = ("continue_final_message", "add_generation_prompt")
            assert [{n: call.body[n] for n in names if n in call.body} for call in server.chats] == [fields, {}]
        await engine.close()


@pytest.mark.parametrize("kind", PRESETS)
def test_a_preset_knows_where_its_key_comes_from_and_goes(kind, monkeypatch):
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    preset = PRESETS[kind]
    monkeypatch.setenv(preset.key_variable, "k-4711")
    engine: Any = load_engine(
        f"{kind}:m", **({} if preset.base_url else {"base_url": "https://r.openai.azure.com/openai/v1"})
    )
    assert engine.model_id == f"{kind}:m"
    assert engine.base_url.startswith("http")
    assert engine._address.headers[preset.key_header].endswith("k-4711")


def test_the_address_of_openai_is_not_taken_for_that_of_others(monkeypatch):
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    groq, openai = map(cast(Any, load_engine), ("groq:m", "openai:m"))
    assert groq.base_url == "https://api.groq.com/openai/v1"
    assert openai.base_url == "http://127.0.0.1:9/v1"


async def body_under(kind: str, request: SampleRequest) -> tuple[Engine, dict]:
    async with ChatServer(does.honest) as server:
        engine = engine_at(server.base_url, spec=f"{kind}:m")
        await engine.sample(request)
        await engine.close()
        return engine, server.chats[0].body


async def test_anthropic_is_sent_what_it_heeds_and_the_rest_is_noted():
    request = SampleRequest(ONE_SAMPLE.messages, n=2, temperature=1.5, top_logprobs=5)
    engine, body = await body_under("anthropic", request)
    assert body.keys() == {"model", "messages", "temperature", "max_tokens"}
    assert body["temperature"] == 1.0
    assert (engine.capabilities.max_n, engine.capabilities.seeding, engine.capabilities.logprobs) == (1, "none", False)
    assert "seed left out: the server does not heed it" in engine.notes
    assert "temperature 1.5 was sent as 1, the highest that the server takes" in engine.notes


async def test_mistral_calls_the_seed_otherwise():
    _, body = await body_under("mistral", ONE_SAMPLE)
    assert (body["random_seed"], "seed" in body) == (7, False)


async def test_a_known_kind_of_server_is_recognised_behind_openai():
    async with ChatServer(does.honest, models=models(owned_by="library")) as server:
        engine = engine_at(server.base_url)
        await engine.sample(SampleRequest(ONE_SAMPLE.messages, n=3))
        await engine.close()
        assert [call.n for call in server.chats] == [1, 1, 1]


def test_what_a_server_says_of_itself_finds_its_preset():
    assert preset_of("vllm") is PRESETS["vllm-server"]
    assert preset_of("me") == preset_of(None) == Preset()


def test_a_kind_that_nobody_knows_is_named():
    with pytest.raises(InputError, match="KIND one of openai, azure, anthropic, gemini"):
        load_engine("gemni:m")
