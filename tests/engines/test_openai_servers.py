"""OpenAIEngine against several servers that share the load: those that fail, are busy or differ."""

import asyncio

import pytest

from engines.asking_openai import ONE_SAMPLE, asked, engine_at, models, texts_of
from servers import behaviours as does
from servers.chat import ChatServer
from spct.engines import SampleRequest
from spct.errors import EngineError, EngineUnreachableError, ReplyError

NOTHING_THERE = "http://127.0.0.1:1/v1"


async def test_several_servers_share_the_load():
    async with ChatServer(does.late(0.01)) as one, ChatServer(does.late(0.01)) as other:
        engine = engine_at(f"{one.base_url}, {other.base_url}")
        assert await texts_of(engine, [asked(n) for n in range(40)]) == [f"sample {n}" for n in range(40)]
        assert abs(len(one.chats) - len(other.chats)) <= 4
        assert engine.configuration["server"] == f"{one.base_url},{other.base_url}"


async def test_the_samples_of_one_prompt_stay_together():
    async with ChatServer(does.honest) as one, ChatServer(does.honest) as other:
        engine = engine_at(one.base_url, other.base_url, n_per_request=1)
        await engine.sample(SampleRequest(ONE_SAMPLE.messages, n=4))
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
            await engine.sample(ONE_SAMPLE)
        await engine.close()
        assert len(one.chats) + len(other.chats) == 3


async def test_a_prompt_that_kills_server_after_server_is_given_up():
    async with ChatServer(does.hangs_up) as one, ChatServer(does.hangs_up) as other:
        engine = engine_at(one.base_url, other.base_url, attempts=2)
        with pytest.raises(ReplyError, match="closed the connection without a reply"):
            await engine.sample(ONE_SAMPLE)
        await engine.close()
        assert len(one.chats) + len(other.chats) == 3


async def test_where_no_server_is_there_the_start_says_so():
    with pytest.raises(EngineUnreachableError, match="no server answers at"):
        await engine_at(NOTHING_THERE, "http://127.0.0.1:2/v1", attempts=1).start()


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
