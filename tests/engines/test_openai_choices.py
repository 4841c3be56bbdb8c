"""Several samples of one prompt from OpenAIEngine: n in one request or in many, caps on n, servers that give copies."""

import asyncio

import pytest

from engines.asking_openai import ONE_SAMPLE, REQUEST, SEEDED, engine_at, sampled
from servers import behaviours as does
from servers.chat import ChatServer
from spct.engines import SampleRequest
from spct.engines.http.choices import MANY_SHORT
from spct.types import Usage

AT_LENGTH = [text + does.AT_LENGTH for text in SEEDED]


async def test_n_samples_come_from_one_request():
    async with ChatServer(does.honest) as server:
        engine = engine_at(server.base_url)
        batch = await engine.sample(REQUEST)
        await engine.close()
        assert [sample.text for sample in batch.samples] == SEEDED
        assert batch.usage == Usage(prompt_tokens=10, completion_tokens=12, cached_tokens=4, requests=1)
        assert {sample.completion_tokens for sample in batch.samples} == {None}
        assert engine.capabilities.max_n is None
        assert engine.capabilities.seeding == "request"
        assert engine.notes == ()


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
        engine = engine_at(server.base_url)
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
        engine = engine_at(server.base_url)
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
        engine = engine_at(server.base_url)
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
        engine = engine_at(server.base_url)
        requests = [SampleRequest(REQUEST.messages, n=4, seed=10 * i) for i in range(6)]
        batches = await asyncio.gather(*(engine.sample(request) for request in requests))
        await engine.close()
        texts = [[sample.text for sample in batch.samples] for batch in batches]
        assert texts == [[f"sample {10 * i + j}{does.AT_LENGTH}" for j in range(4)] for i in range(6)]


async def test_a_sure_model_keeps_its_equal_samples_and_is_checked_three_times_only():
    async with ChatServer(does.always_same) as server:
        engine = engine_at(server.base_url)
        for _ in range(5):
            batch = await engine.sample(REQUEST)
            assert [sample.text for sample in batch.samples] == ["the same" + does.AT_LENGTH] * 4
        await engine.close()
        assert [call.n for call in server.chats] == [4, 1, 1, 1] * 3 + [4, 4]
        assert engine.capabilities.max_n is None


async def test_short_answers_are_equal_by_nature():
    async with ChatServer(does.always("[[A]]")) as server:
        engine = engine_at(server.base_url)
        for _ in range(MANY_SHORT - 1):
            await engine.sample(REQUEST)
        assert {call.n for call in server.chats} == {4}
        await engine.sample(REQUEST)  # never one that differs, in so many: worth a check
        await engine.close()
        assert [call.n for call in server.chats[MANY_SHORT - 1 :]] == [4, 1, 1, 1]


async def test_one_short_answer_that_differs_settles_it():
    body = does.completion([does.choice(text, j) for j, text in enumerate("ABAA")])
    async with ChatServer(does.always("A"), [does.replies(body)]) as server:
        engine = engine_at(server.base_url)
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
        engine = engine_at(server.base_url)
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


async def test_without_n_a_request_asks_for_one_sample():
    async with ChatServer(does.honest) as server:
        engine = engine_at(server.base_url, params={"n": None})
        await engine.sample(SampleRequest(ONE_SAMPLE.messages, n=3))
        await engine.close()
        assert ["n" in call.body for call in server.chats] == [False] * 3


async def test_more_choices_than_asked_for_are_dropped():
    body = does.completion([does.choice(f"choice {j}", j) for j in (2, 0, 1, 5, 4, 3)])
    async with ChatServer(does.replies(body)) as server:
        _, texts = await sampled(server)
        assert texts == ["choice 0", "choice 1", "choice 2", "choice 3"]


@pytest.mark.parametrize("kind", ["greedy", "logprobs", "grammar"])
async def test_what_one_kind_of_request_is_refused_does_not_bind_the_others(kind):
    changed = {"greedy": {"temperature": 0.0}, "logprobs": {"top_logprobs": 5}, "grammar": {"grammar": 'root ::= "x"'}}
    special = SampleRequest(ONE_SAMPLE.messages, n=4, **changed[kind])

    async def strict(call: does.Call, writer: asyncio.StreamWriter) -> None:
        if call.n > 1 and (call.body["temperature"] == 0 or {"logprobs", "grammar"} & call.body.keys()):
            await does.fails(400, "n must be 1 when using this")(call, writer)
        else:
            await does.follows_grammar("grammar", "json_schema")(call, writer)

    async with ChatServer(strict) as server:
        engine = engine_at(server.base_url, grammar_style="llamacpp")
        for request in (special, special, SampleRequest(ONE_SAMPLE.messages, n=4)):
            assert len((await engine.sample(request)).samples) == 4
        await engine.close()
        assert [call.n for call in server.chats[2:]] == [4, 1, 1, 1, 1, 1, 1, 1, 1, 4]
        assert engine.capabilities.max_n is None
