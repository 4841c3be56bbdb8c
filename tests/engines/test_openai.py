"""OpenAIEngine against real local servers with each known habit: n, seeds, parameters, probes, limits."""

import asyncio
import json

import orjson
import pytest

from servers import behaviours as does
from servers.chat import ChatServer
from spct.engines import load_engine
from spct.engines.engine import SampleRequest
from spct.engines.http.choices import MANY_SHORT
from spct.engines.http.presets import PRESETS
from spct.engines.openai import OpenAIEngine
from spct.errors import EngineError, InputError
from spct.types import Message, TokenLogprob, Usage

REQUEST = SampleRequest((Message("system", "Judge."), Message("user", "Which?")), n=4, seed=100, max_tokens=50)
VLLM = does.replies(b'{"data": [{"id": "m", "root": "org/weights", "owned_by": "vllm", "max_model_len": 4096}]}')
LLAMACPP = does.replies(b'{"data": [{"id": "x.gguf", "owned_by": "llamacpp", "meta": {"n_ctx_train": 8192}}]}')
PROPS = does.replies(b'{"total_slots": 3, "default_generation_settings": {"n_ctx": 2048}}')


def engine_at(server: ChatServer, **options: object) -> OpenAIEngine:
    return OpenAIEngine("m", base_url=server.base_url, **{"backoff_s": 0.001, "grammar_style": "none", **options})


async def sampled(server: ChatServer, request: SampleRequest = REQUEST, **options: object) -> tuple[OpenAIEngine, list]:
    """Start, sample once, close; the texts, whose seeds must be the request's."""
    engine = engine_at(server, **options)
    await engine.start()
    batch = await engine.sample(request)
    await engine.close()
    assert [sample.seed for sample in batch.samples] == [request.seed + j for j in range(request.n)]
    return engine, [sample.text for sample in batch.samples]


SEEDED = ["sample 100", "sample 101", "sample 102", "sample 103"]
AT_LENGTH = [text + does.AT_LENGTH for text in SEEDED]


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


async def test_n_samples_come_from_one_request():
    async with ChatServer(does.honest) as server:
        engine = engine_at(server)
        batch = await engine.sample(REQUEST)
        await engine.close()
        assert [sample.text for sample in batch.samples] == SEEDED
        assert batch.usage == Usage(prompt_tokens=10, completion_tokens=12, cached_tokens=4, requests=1)
        assert {sample.completion_tokens for sample in batch.samples} == {None}
        assert engine.capabilities.max_n is None
        assert engine.capabilities.seeding == "request"
        assert engine.notes == ()


async def test_one_sample_knows_its_own_tokens():
    async with ChatServer(does.honest) as server:
        engine = engine_at(server)
        (sample,) = (await engine.sample(SampleRequest(REQUEST.messages, seed=7))).samples
        await engine.close()
        assert (sample.text, sample.seed, sample.completion_tokens, sample.finish_reason) == ("sample 7", 7, 3, "stop")
        assert "n" not in server.chats[0].body


async def test_a_server_that_ignores_n_is_asked_once_per_sample():
    async with ChatServer(does.ignores_n) as server:
        engine, texts = await sampled(server)
        assert texts == SEEDED
        assert [call.n for call in server.chats] == [4, 1, 1, 1]
        assert sorted(call.seed for call in server.chats) == [100, 101, 102, 103]
        assert engine.capabilities.max_n == 1
        assert engine.capabilities.seeding == "sample"
        assert not engine.capabilities.shares_prefill
        assert engine.notes == ("at most 1 sample a request: the server returned no more choices",)


async def test_what_was_found_out_about_n_is_remembered():
    async with ChatServer(does.ignores_n) as server:
        engine = engine_at(server)
        await engine.sample(REQUEST)
        before = len(server.chats)
        await engine.sample(REQUEST)
        await engine.close()
        assert [call.n for call in server.chats[before:]] == [1, 1, 1, 1]


async def test_fewer_choices_than_asked_for_are_completed_by_further_requests():
    async with ChatServer(does.gives_at_most(3)) as server:
        request = SampleRequest(REQUEST.messages, n=8, seed=100)
        engine, texts = await sampled(server, request)
        assert texts == [f"sample {100 + j}" for j in range(8)]
        assert sorted((call.seed, call.n) for call in server.chats) == [(100, 8), (103, 3), (106, 2)]
        assert engine.capabilities.max_n == 3


@pytest.mark.parametrize(
    ("most", "message", "fields", "asked"),
    [
        (4, "Field 'n': Value must be between 1 <= value <= 4, but got {n}", {}, [8, 4, 4]),
        (5, "Invalid 'n': integer above maximum value. Expected a value <= 5, but got {n} instead.", {}, [8, 3, 5]),
        (1, "'n' : number must be at most 1 but was {n}", {}, [8] + [1] * 8),
        (1, "this server takes no such thing", {"param": "n"}, [8, 4, 4, 2, 2, 2, 2] + [1] * 8),
        (2, "n_cmpl is larger than the number of slots", {}, [8, 4, 4, 2, 2, 2, 2]),
        (1, "multiple choices are not supported", {}, [8] + [1] * 8),
        (1, "Only one completion choice is allowed", {}, [8] + [1] * 8),
    ],
)
async def test_a_cap_on_n_is_learned_from_the_refusal(most, message, fields, asked):
    async with ChatServer(does.refuses_n_above(most, message, **fields)) as server:
        engine = engine_at(server)
        batch = await engine.sample(SampleRequest(REQUEST.messages, n=8, seed=0))
        await engine.close()
        assert [sample.text for sample in batch.samples] == [f"sample {j}" for j in range(8)]
        sizes = [call.n for call in server.chats]
        assert set(sizes) == set(asked)
        assert sum(n for n in sizes if n <= most) == 8
        # Of requests side by side, those not sent yet profit from what the first of them learned.
        assert all(sizes.count(n) <= asked.count(n) for n in asked if n > most)
        assert engine.capabilities.max_n == most
        assert message.replace("{n}", "8")[:20] in " ".join(engine.notes) or len(engine.notes) > 1


async def test_copies_of_one_sample_are_replaced_and_never_asked_for_again():
    async with ChatServer(does.copies_seed) as server:
        engine = engine_at(server)
        first = await engine.sample(REQUEST)
        assert [sample.text for sample in first.samples] == AT_LENGTH
        assert [call.n for call in server.chats] == [4, 1, 1, 1]
        assert first.usage.requests == 4
        second = await engine.sample(REQUEST)
        assert [sample.text for sample in second.samples] == AT_LENGTH
        assert [call.n for call in server.chats[4:]] == [1, 1, 1, 1]
        assert engine.capabilities.max_n == 1
        assert engine.notes == (
            "at most 1 sample a request: the samples of one request were copies, those of separate requests differ",
        )
        await engine.close()


async def test_copies_are_replaced_in_every_request_that_was_under_way():
    async with ChatServer(does.copies_seed) as server:
        engine = engine_at(server)
        requests = [SampleRequest(REQUEST.messages, n=4, seed=10 * i) for i in range(6)]
        batches = await asyncio.gather(*(engine.sample(request) for request in requests))
        await engine.close()
        texts = [[sample.text for sample in batch.samples] for batch in batches]
        assert texts == [[f"sample {10 * i + j}{does.AT_LENGTH}" for j in range(4)] for i in range(6)]


async def test_a_sure_model_keeps_its_equal_samples_and_is_checked_three_times_only():
    async with ChatServer(does.always_same) as server:
        engine = engine_at(server)
        for _ in range(5):
            batch = await engine.sample(REQUEST)
            assert [sample.text for sample in batch.samples] == ["the same" + does.AT_LENGTH] * 4
        await engine.close()
        assert [call.n for call in server.chats] == [4, 1, 1, 1] * 3 + [4, 4]
        assert engine.capabilities.max_n is None


async def test_short_answers_are_equal_by_nature():
    async with ChatServer(does.always("[[A]]")) as server:
        engine = engine_at(server)
        for _ in range(MANY_SHORT - 1):
            await engine.sample(REQUEST)
        assert {call.n for call in server.chats} == {4}
        await engine.sample(REQUEST)  # never one that differs, in so many: worth a check
        await engine.close()
        assert [call.n for call in server.chats[MANY_SHORT - 1 :]] == [4, 1, 1, 1]


async def test_one_short_answer_that_differs_settles_it():
    body = does.completion([does.choice(text, j) for j, text in enumerate("ABAA")])
    async with ChatServer(does.always("A"), [does.replies(body)]) as server:
        engine = engine_at(server)
        for _ in range(MANY_SHORT + 2):
            await engine.sample(REQUEST)
        await engine.close()
        assert {call.n for call in server.chats} == {4}


@pytest.mark.parametrize("behaviour", [does.always_same, does.copies_seed])
async def test_checks_for_copies_cost_one_round_trip_however_many_there_are(behaviour):
    together = asyncio.Barrier(16)

    async def in_waves(call: does.Call, writer: asyncio.StreamWriter) -> None:
        """Answers once sixteen wait, so that checks one after another would wait for ever."""
        await together.wait()
        await behaviour(call, writer)

    async with ChatServer(in_waves) as server, asyncio.timeout(20):
        engine = engine_at(server)
        await engine.start()
        await asyncio.gather(*(engine.sample(SampleRequest(REQUEST.messages, n=2, seed=10 * i)) for i in range(16)))
        await engine.close()
        assert [call.n for call in server.chats] == [2] * 16 + [1] * 16


async def test_greedy_samples_may_be_equal():
    async with ChatServer(does.copies_seed) as server:
        await sampled(server, SampleRequest(REQUEST.messages, n=4, seed=100, temperature=0.0))
        assert len(server.chats) == 1


async def test_n_per_request_forces_fan_out():
    async with ChatServer(does.honest) as server:
        engine, texts = await sampled(server, n_per_request=1)
        assert texts == SEEDED
        assert ["n" in call.body for call in server.chats] == [False] * 4
        assert engine.capabilities.max_n == 1


async def test_more_choices_than_asked_for_are_dropped():
    body = does.completion([does.choice(f"choice {j}", j) for j in (2, 0, 1, 5, 4, 3)])
    async with ChatServer(does.replies(body)) as server:
        _, texts = await sampled(server)
        assert texts == ["choice 0", "choice 1", "choice 2", "choice 3"]


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
        engine = engine_at(server, n_per_request=None)
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


SCHEMA = '{"type": "object", "properties": {"winner": {"enum": ["A"]}}}'
GRAMMARS = {
    "vllm": ("structured_outputs", {"grammar": 'root ::= "x"'}, "structured_outputs", {"json": orjson.loads(SCHEMA)}),
    "llamacpp": ("grammar", 'root ::= "x"', "json_schema", orjson.loads(SCHEMA)),
    "sglang": (
        "ebnf",
        'root ::= "x"',
        "response_format",
        {"type": "json_schema", "json_schema": {"name": "answer", "schema": orjson.loads(SCHEMA), "strict": True}},
    ),
}


@pytest.mark.parametrize("style", GRAMMARS)
async def test_a_grammar_and_a_schema_go_into_the_fields_of_the_server(style):
    field, grammar, schema_field, schema = GRAMMARS[style]
    async with ChatServer(does.follows_grammar(field, schema_field)) as server:
        engine = engine_at(server, grammar_style=style)
        held = await engine.sample(SampleRequest(REQUEST.messages, n=2, grammar='root ::= "x"'))
        shaped = await engine.sample(SampleRequest(REQUEST.messages, n=2, json_schema=SCHEMA))
        await engine.close()
        assert [sample.text for sample in (*held.samples, *shaped.samples)] == ["x", "x", *['{"winner":"A"}'] * 2]
        assert server.chats[2].body[field] == grammar
        assert server.chats[3].body[schema_field] == schema
        assert engine.capabilities.grammar == engine.configuration["grammar"] == field
        assert engine.capabilities.json_schema == engine.configuration["json_schema"] == schema_field
        (note,) = engine.notes
        assert note == (
            f"grammar in the field {field!r}: tried, and followed; "
            f"JSON schema in the field {schema_field!r}: tried, and followed"
        )


@pytest.mark.parametrize("software", ["vllm", "llamacpp", "sglang"])
async def test_a_server_that_is_known_to_take_a_grammar_gets_it_by_itself(software):
    field, _, schema_field, _ = GRAMMARS[software]
    models = does.replies(orjson.dumps({"data": [{"id": "m", "owned_by": software}]}))
    async with ChatServer(does.follows_grammar(field, schema_field), models=models) as server:
        request = SampleRequest(REQUEST.messages, n=2, grammar='root ::= "x"')
        engine, texts = await sampled(server, request, grammar_style="auto")
        assert texts == ["x", "x"]
        assert (engine.capabilities.grammar, engine.capabilities.json_schema) == (field, schema_field)
        assert len(server.chats) == (4 if software == "sglang" else 3)  # SGLang gives all choices of a request one seed


@pytest.mark.parametrize(
    ("behaviour", "grammar", "json_schema", "words"),
    [
        (does.honest, None, None, ("no grammar: the server ignores the field", "no JSON schema: the server ignores")),
        (does.follows_grammar("grammar"), "grammar", None, ("grammar in the field 'grammar': tried, and followed",)),
        (does.follows_grammar("json_schema"), None, "json_schema", ("no grammar: ", "tried, and followed")),
        (
            does.refuses_parameter("grammar", "this build has no grammars"),
            None,
            None,
            ("no grammar: the server refuses the field 'grammar': ", "this build has no grammars"),
        ),
    ],
)
async def test_what_a_known_server_does_not_follow_is_not_used(behaviour, grammar, json_schema, words):
    async with ChatServer(behaviour, models=LLAMACPP) as server:
        engine, _ = await sampled(server, grammar_style="auto")
        assert (engine.capabilities.grammar, engine.capabilities.json_schema) == (grammar, json_schema)
        (note,) = [note for note in engine.notes if "grammar" in note]
        assert all(word in note for word in words)


async def test_without_a_grammar_style_an_unknown_server_gets_no_grammar_and_a_note_says_so():
    async with ChatServer(does.honest) as server:
        request = SampleRequest(REQUEST.messages, n=2, grammar='root ::= "x"', json_schema=SCHEMA)
        engine, _ = await sampled(server, request, grammar_style="auto")
        assert len(server.chats) == 1
        fields = {"structured_outputs", "grammar", "ebnf", "json_schema", "response_format"}
        assert not fields & server.chats[0].body.keys()
        assert engine.capabilities.grammar is None
        assert engine.configuration["grammar"] is None
        (note,) = engine.notes
        assert note.startswith("no grammar: this server is not known to take one")


async def test_a_grammar_is_tried_once_at_the_start():
    async with ChatServer(does.follows_grammar("ebnf", "response_format")) as server:
        engine = engine_at(server, grammar_style="sglang")
        await asyncio.gather(engine.start(), engine.start())
        await engine.sample(SampleRequest(REQUEST.messages, seed=3))
        await engine.close()
        *tried, asked = server.chats
        assert sorted(call.body.get("ebnf", "") for call in tried) == ["", 'root ::= "unicycle"']
        assert "ebnf" not in asked.body


IGNORES = [
    does.honest,
    does.always_same,
    *(does.replies(does.completion([does.choice(text)])) for text in ("unicycle or blue", "")),
]


@pytest.mark.parametrize("behaviour", IGNORES)
async def test_a_server_that_ignores_the_grammar_it_was_said_to_take_is_found_out(behaviour):
    async with ChatServer(behaviour) as server:
        engine = engine_at(server, grammar_style="vllm")
        with pytest.raises(EngineError) as caught:
            await engine.start()
        assert type(caught.value) is EngineError
        assert str(caught.value).startswith(
            f"grammar_style=vllm: {server.base_url} ignores the field 'structured_outputs': it allows 'unicycle' alone, and '"
        )
        assert str(caught.value).endswith(
            " came back; name the style of this server (llamacpp, sglang, response_format), or none to sample without a grammar"
        )


@pytest.mark.parametrize(
    "refusal",
    [
        does.refuses_parameter("ebnf", "Unrecognized request argument supplied: ebnf"),
        does.refuses_parameter("ebnf", "Extra inputs are not permitted", param="ebnf"),
        does.refuses_parameter("ebnf", "no grammar backend"),
    ],
)
async def test_a_server_that_refuses_the_grammar_says_so_at_the_start(refusal):
    async with ChatServer(refusal) as server:
        with pytest.raises(EngineError, match="grammar_style=sglang: .* refuses the field 'ebnf': .*vllm, llamacpp"):
            await engine_at(server, grammar_style="sglang").start()


async def test_a_model_that_reasons_first_proves_nothing_about_the_grammar():
    message = {"role": "assistant", "content": None, "reasoning_content": "a colour, hm"}
    thinking = does.replies(does.completion([does.choice(None, message=message, finish_reason="length")]))
    async with ChatServer(does.honest, [thinking, thinking]) as server:
        engine, _ = await sampled(server, grammar_style="llamacpp")
        assert engine.capabilities.grammar == "grammar"
        (note,) = engine.notes
        assert note.startswith(
            "grammar in the field 'grammar': could not be tried, since the model reasons at length first"
        )


async def test_what_the_check_finds_out_about_other_parameters_is_kept():
    refuses = does.refuses_parameter("temperature", "Unsupported value: 'temperature'", param="temperature")

    async def strict(call: does.Call, writer: asyncio.StreamWriter) -> None:
        await (refuses if "temperature" in call.body else does.follows_grammar("grammar", "json_schema"))(call, writer)

    async with ChatServer(strict) as server:
        _, texts = await sampled(server, grammar_style="llamacpp")
        assert texts == SEEDED
        assert "temperature" not in server.chats[-1].body
        assert len(server.chats) == 5


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
        engine = engine_at(server)
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
        engine = engine_at(server)
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
        engine = engine_at(server)
        await asyncio.gather(engine.start(), engine.start())
        await engine.start()
        assert len(server.calls) == 1
        await engine.close()
        await engine.close()


async def test_concurrency_bounds_the_requests_in_flight():
    async with ChatServer(does.late(0.01)) as server:
        engine = engine_at(server, concurrency=3, n_per_request=1)
        await engine.sample(SampleRequest(REQUEST.messages, n=20))
        await engine.close()
        assert server.most_at_once == 3


async def test_cancelling_closes_the_request():
    async with ChatServer(does.hangs) as server:
        engine = engine_at(server)
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
        engine = engine_at(server, n_per_request=1)
        with pytest.raises(Exception, match="bad prompt"):
            await engine.sample(REQUEST)
        await server.disconnected.wait()
        await engine.close()


def test_the_engine_is_found_by_its_id():
    engine = load_engine("openai:org/model:tag", base_url="http://127.0.0.1:1/v1")
    assert engine.model_id == "openai:org/model:tag"


async def test_address_and_key_come_from_the_environment(monkeypatch):
    async with ChatServer(does.honest) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.base_url + "/")
        monkeypatch.setenv("OPENAI_API_KEY", " sk-from-environment\n")
        engine = OpenAIEngine("m")
        await engine.sample(REQUEST)
        await engine.close()
        assert server.chats[0].headers["authorization"] == "Bearer sk-from-environment"


def test_the_default_address_is_openais(monkeypatch):
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    assert OpenAIEngine("m").base_url == "https://api.openai.com/v1"


async def test_no_key_is_fine(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    async with ChatServer(does.honest) as server:
        await sampled(server)
        assert "authorization" not in server.chats[0].headers


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"base_url": "localhost:8000/v1"}, "starts with http://"),
        ({"base_url": "http://u:p@h/v1", "api_key": "k"}, "one of them"),
        ({"api_key": "sk-\x07bell"}, "printable ASCII"),
        ({"concurrency": 0}, "concurrency is 0"),
        ({"timeout_s": -1.0}, "timeout_s is -1.0"),
        ({"grammar_style": "bnf"}, "expected one of auto, none, vllm, llamacpp, sglang"),
        ({"preset": "gpt"}, "preset 'gpt': expected one of openai, azure"),
        ({"params": {"n": 3, "seed": 1}}, "params sets n, seed: these have settings of their own"),
        ({"params": {"messages": None}}, "params leaves out messages"),
        ({"params": {"stop": {1, 2}}}, "cannot be written as JSON"),
        ({"params": ["top_k=3"]}, "expected values by name"),
        ({"headers": ["x-key"]}, "header 'x-key': expected NAME=VALUE"),
        ({"headers": {"a b": "c"}}, "expected a name of letters"),
        ({"headers": ["Authorization: Bearer c2VjcmV0=="]}, "header 'Authorization': expected a name"),
        ({"headers": ["x-key c2VjcmV0=="]}, "header 'x-key': expected a name"),
        ({"headers": {"x": "b\nc"}}, "header x: its value has characters"),
        ({"headers": {"Content-Length": "1"}}, "header Content-Length: it is set by what is sent"),
        ({"base_url": ["http://a/v1", "http://a/v1"]}, "names an address twice: http://a/v1"),
        ({"base_url": 3}, "expected an address"),
        ({"base_url": ""}, "base_url is empty"),
        ({"base_url": " , "}, "base_url is empty"),
        ({"base_url": []}, "base_url is empty"),
        ({"headers": ["X-Team=a", "x-team=b"]}, "header x-team is given twice"),
        ({"preset": "azure"}, "azure:m names no server"),
    ],
)
def test_options_that_cannot_be_used(options, message):
    with pytest.raises(InputError, match=message):
        OpenAIEngine("m", **options)
