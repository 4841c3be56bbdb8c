"""OpenAIEngine against several servers, providers by their preset, and what is sent beside the prompt."""

import asyncio
import json
from typing import Any, cast

import pytest

from servers import behaviours as does
from servers.chat import Behaviour, ChatServer
from spct.engines import Engine, SampleRequest, load_engine
from spct.engines.asking import ask
from spct.engines.http.presets import PRESETS, Preset, preset_of
from spct.errors import EngineAuthError, EngineError, EngineUnreachableError, InputError, RejectedError, ReplyError
from spct.types import Message

REQUEST = SampleRequest((Message("user", "Which?"),), seed=7)
NOTHING_THERE = "http://127.0.0.1:1/v1"


def asked(number: int) -> SampleRequest:
    return SampleRequest((Message("user", f"{number} is a question of its own"),), seed=number)


def engine_at(*base_urls: str, spec: str = "openai:m", **options: object) -> Engine:
    return load_engine(spec, base_url=base_urls, **{"backoff_s": 0.001, "grammar_style": "none", **options})


async def texts_of(engine: Engine, requests: list[SampleRequest]) -> list[str]:
    batches = await asyncio.gather(*(engine.sample(request) for request in requests))
    await engine.close()
    return [batch.samples[0].text for batch in batches]


async def test_several_servers_share_the_load():
    async with ChatServer(does.late(0.01)) as one, ChatServer(does.late(0.01)) as other:
        engine = engine_at(f"{one.base_url}, {other.base_url}")
        assert await texts_of(engine, [asked(n) for n in range(40)]) == [f"sample {n}" for n in range(40)]
        assert abs(len(one.chats) - len(other.chats)) <= 4
        assert engine.configuration["server"] == f"{one.base_url},{other.base_url}"


async def test_the_samples_of_one_prompt_stay_together():
    async with ChatServer(does.honest) as one, ChatServer(does.honest) as other:
        engine = engine_at(one.base_url, other.base_url, n_per_request=1)
        await engine.sample(SampleRequest(REQUEST.messages, n=4))
        await engine.close()
        assert sorted([len(one.chats), len(other.chats)]) == [0, 4]


async def test_a_server_that_is_not_there_at_the_start_is_left_out_and_named():
    async with ChatServer(does.honest) as server:
        engine = engine_at(NOTHING_THERE, server.base_url)
        assert await texts_of(engine, [asked(n) for n in range(6)]) == [f"sample {n}" for n in range(6)]
        assert engine.notes == (
            f"{NOTHING_THERE} was not there at the start: it is tried again, and unchecked until then",
        )


async def test_a_server_that_dies_hands_its_requests_to_the_others():
    async with ChatServer(does.honest) as one, ChatServer(does.honest) as other:
        engine = engine_at(one.base_url, other.base_url, attempts=1)
        await engine.start()
        await one.stop()
        assert await texts_of(engine, [asked(n) for n in range(20)]) == [f"sample {n}" for n in range(20)]


async def test_a_server_that_only_fails_is_left_out():
    async with ChatServer(does.fails(503, "no backend")) as broken, ChatServer(does.honest) as well:
        engine = engine_at(broken.base_url, well.base_url, attempts=2)
        for n in range(20):
            await engine.sample(asked(n))
        await engine.close()
        assert (len(broken.chats), len(well.chats)) == (1, 20)


@pytest.mark.parametrize("told", [{}, {"Retry_After": "600"}, {"retry_after_ms": "50"}], ids=["", "long", "short"])
async def test_a_server_that_is_too_busy_for_everybody_is_left_out(told):
    """The others take its requests at once, and no pause that it asks for holds them up."""
    async with ChatServer(does.fails(429, "slow down", **told)) as busy, ChatServer(does.honest) as well:
        engine = engine_at(busy.base_url, well.base_url, attempts=2)
        for n in range(20):
            assert (await engine.sample(asked(n))).samples[0].text == f"sample {n}"
        await engine.close()
        assert (len(busy.chats), len(well.chats)) == (1, 20)


async def test_of_requests_side_by_side_only_the_first_meet_the_busy_server():
    async with ChatServer(does.fails(429, "slow down")) as busy, ChatServer(does.honest) as well:
        engine = engine_at(busy.base_url, well.base_url, attempts=2, concurrency=4)
        assert await texts_of(engine, [asked(n) for n in range(60)]) == [f"sample {n}" for n in range(60)]
        assert len(busy.chats) <= 4


async def test_another_server_is_asked_without_a_wait():
    async with ChatServer(does.fails(429, "slow down")) as busy, ChatServer(does.honest) as well, asyncio.timeout(20):
        engine = engine_at(busy.base_url, well.base_url, attempts=2, backoff_s=10_000.0)
        assert await texts_of(engine, [asked(1)]) == ["sample 1"]
        assert (len(busy.chats), len(well.chats)) == (1, 1)


async def test_where_all_are_too_busy_a_request_is_given_up_after_its_tries():
    async with ChatServer(does.fails(429, "slow down")) as one, ChatServer(does.fails(429, "slow down")) as other:
        engine = engine_at(one.base_url, other.base_url, attempts=3)
        with pytest.raises(ReplyError, match="answers 429: slow down; no completion from .* after 3 attempts"):
            await engine.sample(REQUEST)
        await engine.close()
        assert len(one.chats) + len(other.chats) == 3


async def test_a_prompt_that_kills_server_after_server_is_given_up():
    async with ChatServer(does.hangs_up) as one, ChatServer(does.hangs_up) as other:
        engine = engine_at(one.base_url, other.base_url, attempts=2)
        with pytest.raises(ReplyError, match="closed the connection without a reply"):
            await engine.sample(REQUEST)
        await engine.close()
        assert len(one.chats) + len(other.chats) == 3


async def test_where_no_server_is_there_the_start_says_so():
    with pytest.raises(EngineUnreachableError, match="no server answers at"):
        await engine_at(NOTHING_THERE, "http://127.0.0.1:2/v1", attempts=1).start()


def models(**fields: object) -> Behaviour:
    return does.replies(json.dumps({"data": [{"id": "m", **fields}]}).encode())


async def test_servers_are_planned_for_by_the_smallest_of_them():
    small, large = models(root="org/w", max_model_len=2048), models(root="org/w", max_model_len=8192)
    async with ChatServer(does.honest, models=small) as one, ChatServer(does.honest, models=large) as other:
        engine = engine_at(one.base_url, other.base_url)
        await engine.start()
        await engine.close()
        assert engine.capabilities.context_tokens == 2048
        assert engine.configuration["served_model"] == "org/w"
        assert engine.notes == ()


async def test_servers_of_different_models_are_noted():
    async with (
        ChatServer(does.honest, models=models(root="a")) as one,
        ChatServer(does.honest, models=models(root="b")) as two,
    ):
        engine = engine_at(one.base_url, two.base_url)
        await engine.start()
        await engine.close()
        assert engine.notes == ("the servers call what they serve differently (a, b): see that it is one model",)


async def test_a_grammar_must_be_followed_by_every_server():
    async with ChatServer(does.follows_grammar("grammar")) as one, ChatServer(does.honest) as other:
        with pytest.raises(EngineError, match="grammar_style=llamacpp: .* ignores the field 'grammar'"):
            await engine_at(one.base_url, other.base_url, grammar_style="llamacpp").start()


@pytest.mark.parametrize(
    "headers", [{"api-key": "k-verysecret", "X-Team": "red"}, ["api-key=k-verysecret", "X-Team=red"]]
)
async def test_headers_are_sent_and_kept_nowhere(headers):
    async with ChatServer(does.fails(400, "your api-key is k-verysecret, team red")) as server:
        engine = engine_at(server.base_url, headers=headers)
        with pytest.raises(RejectedError) as caught:
            await engine.sample(REQUEST)
        await engine.close()
        assert (server.chats[0].headers["api-key"], server.chats[0].headers["x-team"]) == ("k-verysecret", "red")
        assert server.calls[0].headers["api-key"] == "k-verysecret"  # the list of models, too
        assert "verysecret" not in str(caught.value) + json.dumps(engine.configuration) + repr(engine)


async def test_a_header_takes_the_place_of_ours():
    async with ChatServer(does.honest) as server:
        await texts_of(
            engine_at(server.base_url, api_key="sk-ours", headers={"authorization": "Token t-4711"}), [REQUEST]
        )
        assert server.chats[0].headers["authorization"] == "Token t-4711"


@pytest.mark.parametrize(
    ("params", "sent", "left_out"),
    [
        ({"top_k": 20, "reasoning_effort": "low"}, {"top_k": 20, "reasoning_effort": "low"}, ()),
        ({"seed": None}, {}, ("seed",)),
        ({"temperature": None, "max_tokens": None}, {}, ("temperature", "max_tokens")),
        ({"model": None}, {}, ("model",)),
    ],
)
async def test_any_field_can_be_set_or_left_out(params, sent, left_out):
    async with ChatServer(does.honest) as server:
        engine = engine_at(server.base_url, params=params)
        await texts_of(engine, [REQUEST])
        body = server.chats[0].body
        assert sent.items() <= body.items()
        assert not set(left_out) & body.keys()
        assert json.loads(engine.configuration["params"]) == params
        assert engine.capabilities.seeding == ("none" if "seed" in params else "request")


async def test_without_n_a_request_asks_for_one_sample():
    async with ChatServer(does.honest) as server:
        engine = engine_at(server.base_url, params={"n": None})
        await engine.sample(SampleRequest(REQUEST.messages, n=3))
        await engine.close()
        assert ["n" in call.body for call in server.chats] == [False] * 3


@pytest.mark.parametrize(
    ("software", "sent"), [("vllm", True), ("llamacpp", True), ("sglang", True), ("somebody", False)]
)
async def test_a_top_p_of_one_is_sent_only_where_the_server_would_put_another_in_its_place(software, sent):
    async with ChatServer(does.honest, models=models(owned_by=software)) as server:
        engine = engine_at(server.base_url)
        await texts_of(engine, [REQUEST, SampleRequest(REQUEST.messages, top_p=0.9)])
        assert ["top_p" in call.body for call in server.chats] == [sent, True]


@pytest.mark.parametrize("software", ["vllm", "llamacpp", "sglang"])
async def test_samples_are_of_the_models_own_distribution_unless_the_user_cuts_it(software):
    """What these servers would do unasked: cut by top_k and min_p, or by what the model's folder recommends."""
    preset = preset_of(software)
    assert {"top_k", "min_p"} <= preset.sampling.keys()
    async with ChatServer(does.honest, models=models(owned_by=software)) as server:
        plain, cut = engine_at(server.base_url), engine_at(server.base_url, params={"top_k": 20, "min_p": None})
        await texts_of(plain, [REQUEST])
        await texts_of(cut, [REQUEST])
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
        await texts_of(engine, [REQUEST] * 5)
        bodies = [call.body for call in server.chats]
    assert "min_p" in bodies[0] and "min_p" not in bodies[-1] and bodies[-1]["top_k"] == 0
    assert "min_p was not applied, so the server's own stands: unknown field: min_p" in engine.notes
    assert json.loads(engine.configuration["sampling"]) == {"top_k": 0}


@pytest.mark.parametrize(("software", "said"), [("llamacpp", "It is five"), ("vllm", "It isIt is five")])
async def test_what_llamacpp_repeats_of_a_begun_turn_is_taken_off(software, said):
    """With the tokens' log-probabilities, which are those of what was sampled; other servers give that alone."""
    tokens = [{"token": " five", "logprob": -0.5, "top_logprobs": []}]
    reply = does.completion([does.choice("It is five", logprobs={"content": tokens})])
    begun = SampleRequest((*REQUEST.messages, Message("assistant", "It is")), seed=7, top_logprobs=1)
    async with ChatServer(does.replies(reply), models=models(owned_by=software)) as server:
        engine = engine_at(server.base_url)
        await engine.start()
        (sample,) = (await ask(engine, begun)).samples
        (plain,) = (await engine.sample(REQUEST)).samples
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
    begun = SampleRequest((*REQUEST.messages, Message("assistant", "It is")), seed=7)
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
            await engine.sample(REQUEST)
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
    request = SampleRequest(REQUEST.messages, n=2, temperature=1.5, top_logprobs=5)
    engine, body = await body_under("anthropic", request)
    assert body.keys() == {"model", "messages", "temperature", "max_tokens"}
    assert body["temperature"] == 1.0
    assert (engine.capabilities.max_n, engine.capabilities.seeding, engine.capabilities.logprobs) == (1, "none", False)
    assert "seed left out: the server does not heed it" in engine.notes
    assert "temperature 1.5 was sent as 1, the highest that the server takes" in engine.notes


async def test_mistral_calls_the_seed_otherwise():
    _, body = await body_under("mistral", REQUEST)
    assert (body["random_seed"], "seed" in body) == (7, False)


async def test_a_known_kind_of_server_is_recognised_behind_openai():
    async with ChatServer(does.honest, models=models(owned_by="library")) as server:
        engine = engine_at(server.base_url)
        await engine.sample(SampleRequest(REQUEST.messages, n=3))
        await engine.close()
        assert [call.n for call in server.chats] == [1, 1, 1]


def test_what_a_server_says_of_itself_finds_its_preset():
    assert preset_of("vllm") is PRESETS["vllm-server"]
    assert preset_of("me") == preset_of(None) == Preset()


def test_a_kind_that_nobody_knows_is_named():
    with pytest.raises(InputError, match="KIND one of openai, azure, anthropic, gemini"):
        load_engine("gemni:m")


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
            await engine.sample(REQUEST)
        with pytest.raises(RejectedError, match=r"refuses the request \(403\)"):
            await engine.sample(FLAGGED)
        await engine.sample(REQUEST)
        await engine.close()


async def test_a_403_for_every_prompt_is_the_key():
    async with ChatServer(forbids("")) as server:
        engine = engine_at(server.base_url)
        outcomes = await asyncio.gather(*(engine.sample(asked(n)) for n in range(3)), return_exceptions=True)
        await engine.close()
        assert {type(outcome) for outcome in outcomes} == {EngineAuthError}


async def test_a_key_that_the_list_of_models_is_refused_to_may_be_good():
    async with ChatServer(does.honest, models=does.fails(401, "no x-api-key")) as server:
        assert await texts_of(engine_at(server.base_url), [REQUEST]) == ["sample 7"]


@pytest.mark.parametrize("kind", ["greedy", "logprobs", "grammar"])
async def test_what_one_kind_of_request_is_refused_does_not_bind_the_others(kind):
    changed = {"greedy": {"temperature": 0.0}, "logprobs": {"top_logprobs": 5}, "grammar": {"grammar": 'root ::= "x"'}}
    special = SampleRequest(REQUEST.messages, n=4, **changed[kind])

    async def strict(call: does.Call, writer: asyncio.StreamWriter) -> None:
        if call.n > 1 and (call.body["temperature"] == 0 or {"logprobs", "grammar"} & call.body.keys()):
            await does.fails(400, "n must be 1 when using this")(call, writer)
        else:
            await does.follows_grammar("grammar", "json_schema")(call, writer)

    async with ChatServer(strict) as server:
        engine = engine_at(server.base_url, grammar_style="llamacpp")
        for request in (special, special, SampleRequest(REQUEST.messages, n=4)):
            assert len((await engine.sample(request)).samples) == 4
        await engine.close()
        assert [call.n for call in server.chats[2:]] == [4, 1, 1, 1, 1, 1, 1, 1, 1, 4]
        assert engine.capabilities.max_n is None
