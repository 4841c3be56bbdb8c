"""What a user sets of OpenAIEngine: address, key, headers, fields of the request; and what cannot be set."""

import json

import pytest

from engines.asking_openai import ONE_SAMPLE, REQUEST, engine_at, sampled, texts_of
from servers import behaviours as does
from servers.chat import ChatServer
from spct.engines import load_engine
from spct.engines.openai import OpenAIEngine
from spct.errors import InputError, RejectedError


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
    "headers", [{"api-key": "k-verysecret", "X-Team": "red"}, ["api-key=k-verysecret", "X-Team=red"]]
)
async def test_headers_are_sent_and_kept_nowhere(headers):
    async with ChatServer(does.fails(400, "your api-key is k-verysecret, team red")) as server:
        engine = engine_at(server.base_url, headers=headers)
        with pytest.raises(RejectedError) as caught:
            await engine.sample(ONE_SAMPLE)
        await engine.close()
        assert (server.chats[0].headers["api-key"], server.chats[0].headers["x-team"]) == ("k-verysecret", "red")
        assert server.calls[0].headers["api-key"] == "k-verysecret"  # the list of models, too
        assert "verysecret" not in str(caught.value) + json.dumps(engine.configuration) + repr(engine)


async def test_a_header_takes_the_place_of_ours():
    async with ChatServer(does.honest) as server:
        await texts_of(
            engine_at(server.base_url, api_key="sk-ours", headers={"authorization": "Token t-4711"}), [ONE_SAMPLE]
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
        await texts_of(engine, [ONE_SAMPLE])
        body = server.chats[0].body
        assert sent.items() <= body.items()
        assert not set(left_out) & body.keys()
        assert json.loads(engine.configuration["params"]) == params
        assert engine.capabilities.seeding == ("none" if "seed" in params else "request")


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
