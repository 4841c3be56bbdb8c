import asyncio

import orjson
import pytest

from servers.behaviours import fails, replies
from servers.chat import ChatServer, write_reply
from spct.classifiers import load_scorer
from spct.errors import (
    ContextLengthError,
    EngineAuthError,
    EngineError,
    EngineUnreachableError,
    InputError,
    RejectedError,
    ReplyError,
)
from spct.types import Message

TALKS = [(Message("user", "2+2?"), Message("assistant", text)) for text in ("4", "five")]


def classes(*numbers, tokens=7):
    return orjson.dumps({"data": [{"index": 0, "probs": numbers}], "usage": {"prompt_tokens": tokens}})


async def by_length(call, writer):
    """A logit that is the length of the last turn, minus 3."""
    await write_reply(writer, 200, classes(len(call.body["messages"][-1]["content"]) - 3.0))


async def scored(server, talks=TALKS, name="rm", **options):
    scorer = load_scorer(f"remote:{name}", base_url=server.base_url, backoff_s=0.001, **options)
    try:
        await scorer.start()
        return await scorer.score(talks)
    finally:
        await scorer.close()


async def test_raw_logits_are_asked_for_beside_v1():
    async with ChatServer(by_length) as server:
        found = await scored(server)
    assert [(score.value, score.prompt_tokens) for score in found] == [(-2.0, 7), (1.0, 7)]
    assert {call.path for call in server.chats} == {"/classify"}
    assert sorted((call.body for call in server.chats), key=str)[0] == {
        "model": "rm",
        "messages": [{"role": "user", "content": "2+2?"}, {"role": "assistant", "content": "4"}],
        "use_activation": False,
    }


async def test_a_form_is_sent_as_one_text():
    async with ChatServer(replies(classes(0.5))) as server:
        await scored(server, TALKS[:1], form="Q: {query} A: {response}")
    assert server.chats[0].body == {"model": "rm", "input": "Q: 2+2? A: 4", "use_activation": False}


async def test_several_classes_need_a_label():
    async with ChatServer(replies(classes(0.25, 0.75))) as server:
        with pytest.raises(EngineError, match="gives 2 numbers a text"):
            await scored(server)
        assert [score.value for score in await scored(server, label=1)] == [0.75, 0.75]


async def test_a_text_that_is_too_long_is_a_context_error():
    message = "This model's maximum context length is 16 tokens. However, you requested 20 tokens in the input"
    async with ChatServer(fails(400, message)) as server:
        with pytest.raises(ContextLengthError, match="maximum context length is 16"):
            await scored(server)


@pytest.mark.parametrize("body", [b"nonsense", b"{}", b'{"data": []}', b'{"data": [{"probs": ["a"]}]}'])
async def test_a_reply_without_classes_is_tried_again_and_then_an_error(body):
    async with ChatServer(replies(body)) as server:
        with pytest.raises(ReplyError, match="after 2 attempts"):
            await scored(server, TALKS[:1], attempts=2)
    assert len(server.chats) == 2


async def test_a_reply_after_a_stumble_counts():
    async with ChatServer(by_length, [fails(503, "loading")]) as server:
        assert [score.value for score in await scored(server, TALKS[:1])] == [-2.0]


async def test_errors_are_those_of_every_engine():
    async with ChatServer(fails(401, "no")) as server:
        with pytest.raises(EngineAuthError, match="OPENAI_API_KEY"):
            await scored(server, api_key="wrong-key-here")
    async with ChatServer(fails(422, "no such field")) as server:
        with pytest.raises(RejectedError, match="no such field"):
            await scored(server)
    async with ChatServer(fails(404, "gone")) as server:
        with pytest.raises(EngineError, match=r"no classifier \(/classify\) at this path"):
            await scored(server)
    with pytest.raises(EngineUnreachableError):
        await load_scorer("remote:rm", base_url="http://127.0.0.1:9/v1", attempts=1).start()


async def test_nan_is_no_score():
    async with ChatServer(replies(b'{"data": [{"probs": ["nan"]}]}')) as server:
        (score,) = await scored(server, TALKS[:1])
    assert (score.value, score.problem) == (None, "the classifier gave nan, which is no finite number")


async def test_concurrency_bounds_the_requests_in_flight():
    three = asyncio.Barrier(3)

    async def three_at_a_time(call, writer):
        await three.wait()
        await by_length(call, writer)

    async with ChatServer(three_at_a_time) as server:
        await scored(server, TALKS * 9, concurrency=3)
    assert server.most_at_once == 3


def test_a_server_must_be_named(monkeypatch):
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    with pytest.raises(InputError, match="'remote:rm' names no server"):
        load_scorer("remote:rm")
