"""Grammars and schemas that OpenAIEngine sends: the field of each kind of server, and whether it is followed."""

import asyncio

import orjson
import pytest

from engines.asking_openai import REQUEST, SEEDED, engine_at, models, sampled
from servers import behaviours as does
from servers.chat import ChatServer
from spct.engines import SampleRequest
from spct.errors import EngineError

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
        engine = engine_at(server.base_url, grammar_style=style)
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
    async with ChatServer(does.follows_grammar(field, schema_field), models=models(owned_by=software)) as server:
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
    async with ChatServer(behaviour, models=models(owned_by="llamacpp")) as server:
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
        engine = engine_at(server.base_url, grammar_style="sglang")
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
        engine = engine_at(server.base_url, grammar_style="vllm")
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
            await engine_at(server.base_url, grammar_style="sglang").start()


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
