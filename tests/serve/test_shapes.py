"""The shapes of others: Cohere's and Jina's rerank, vLLM's score, OpenRLHF's remote reward."""

import asyncio

import pytest

from serve.live import live
from service.serving import by_digit
from spct.engines.scripted import ScriptedEngine
from spct.judges.settings import JudgeSettings
from spct.wire.openrlhf import OpenRLHFAnswer
from spct.wire.rerank import RerankAnswer
from spct.wire.score import ScoreAnswer


@pytest.mark.parametrize("path", ["/v1/rerank", "/v2/rerank", "/rerank"])
async def test_documents_come_back_best_first(path):
    body = {"model": "rerank-v3.5", "query": "q", "documents": ["2", "9", {"text": "4"}], "max_tokens_per_doc": 512}
    async with live() as server:
        reply = await server.post(path, body)
    found = RerankAnswer.model_validate_json(reply.body)
    assert found.model == "scripted:scripted"
    assert [(result.index, result.document.text) for result in found.results] == [(1, "9"), (2, "4"), (0, "2")]
    assert [result.relevance_score for result in found.results] == [8 / 9, 3 / 9, 1 / 9]
    assert found.usage.total_tokens == found.usage.prompt_tokens + found.usage.completion_tokens > 0


async def test_a_rerank_can_be_short_and_without_its_texts():
    body = {"query": "q", "documents": ["2", "9", "4"], "return_documents": False}
    async with live() as server:
        two = await server.post("/v1/rerank", {**body, "top_n": 2})
        every = await server.post("/v1/rerank", {**body, "top_n": 0})
    assert two.json["results"] == [
        {"index": 1, "relevance_score": 8 / 9, "document": None},
        {"index": 2, "relevance_score": 3 / 9, "document": None},
    ]
    assert len(every.json["results"]) == 3


@pytest.mark.parametrize(
    ("one", "other"), [("text_1", "text_2"), ("queries", "documents"), ("queries", "items"), ("data_1", "data_2")]
)
@pytest.mark.parametrize("path", ["/score", "/v1/score"])
async def test_one_query_scores_its_responses_jointly(path, one, other):
    engine = ScriptedEngine(by_digit)
    async with live(engine) as server:
        reply = await server.post(path, {"model": "m", one: "q", other: ["1", "10", "7"], "truncate_prompt_tokens": -1})
    found = ScoreAnswer.model_validate_json(reply.body)
    assert [(score.index, score.object, score.score) for score in found.data] == [
        (0, "score", 0),
        (1, "score", 0),
        (2, "score", 6 / 9),
    ]
    assert (found.object, found.model, len(engine.requests)) == ("list", "scripted:scripted", 1)


async def test_as_many_queries_as_responses_are_scored_in_pairs():
    engine = ScriptedEngine(by_digit)
    async with live(engine) as server:
        reply = await server.post("/score", {"text_1": ["a", "b"], "text_2": ["4", "7"]})
        single = await server.post("/score", {"text_1": ["a"], "text_2": "4"})
        uneven = await server.post("/score", {"text_1": ["a", "b"], "text_2": ["4", "7", "8"]})
    assert [score["score"] for score in reply.json["data"]] == [3 / 9, 6 / 9]
    assert [score["score"] for score in single.json["data"]] == [3 / 9]
    assert (uneven.status, uneven.error) == (422, "InputError")
    assert len(engine.requests) == 2


async def test_a_score_that_was_not_given_is_an_error_and_no_number():
    async with live(ScriptedEngine(lambda request, j: "no score")) as server:
        for path, body in (
            ("/score", {"text_1": "q", "text_2": ["4", "7"]}),
            ("/rerank", {"query": "q", "documents": ["4", "7"]}),
            ("/v1/openrlhf/reward", {"query": ["q4"], "prompts": ["q"]}),
        ):
            reply = await server.post(path, body)
            assert (reply.status, reply.error) == (502, "NoVerdictError")


async def test_openrlhf_posts_one_pair_at_a_time():
    async with live(settings=JudgeSettings(k=2)) as server:
        reply = await server.post(
            "/v1/openrlhf/reward", {"query": ["Say 7: 8"], "prompts": ["Say 7: "], "labels": ["7"]}
        )
    found = OpenRLHFAnswer.model_validate_json(reply.body)
    assert (found.rewards, found.scores) == ((8,), (7 / 9,))
    assert found.extra_logs == {"spct_valid": (2,), "spct_invalid": (0,), "spct_group": (1,)}


async def test_openrlhf_pairs_of_one_prompt_in_one_request_are_judged_jointly():
    engine = ScriptedEngine(by_digit)
    body = {"query": ["p:2", "q:5", "p:8"], "prompts": ["p:", "q:", "p:"], "labels": [None, None, None]}
    async with live(engine) as server:
        reply = await server.post("/v1/openrlhf/reward", body)
        compared = await server.post("/v1/openrlhf/reward?normalisation=centred", body)
    assert (reply.json["rewards"], len(engine.requests)) == ([2, 5, 8], 2)
    assert (compared.status, compared.error) == (409, "LoneMemberError")


async def test_openrlhf_rollouts_gather_by_prompt_when_the_url_gives_a_size():
    engine = ScriptedEngine(by_digit)
    path = "/v1/openrlhf/reward?size=3&run=r1&normalisation=centred"
    async with live(engine) as server:
        asked = [{"query": [f"p:{i}"], "prompts": ["p:"], "labels": [""]} for i in (2, 4, 9)]
        replies = await asyncio.gather(*[server.post(path, body) for body in asked])
    assert [reply.json["rewards"] for reply in replies] == [[-3], [-1], [4]]
    assert len(engine.requests) == 1


async def test_openrlhf_rollouts_that_cannot_all_be_judged_leave_their_groups():
    async with live() as server:
        body = {"query": ["p:2", "q:" + "x" * 300_000], "prompts": ["p:", "q:"]}
        reply = await server.post("/v1/openrlhf/reward?size=2", body)
        assert (reply.status, reply.error) == (422, "InputError")
        assert server.serving.open_groups == 0


async def test_the_token_that_ends_a_response_is_no_part_of_it():
    engine = ScriptedEngine(by_digit)
    async with live(engine) as server:
        reply = await server.post("/v1/openrlhf/reward", {"query": ["p:2<|im_end|>", "p:2"], "prompts": ["p:", "p:"]})
    assert reply.json["rewards"] == [2, 2]
    assert "im_end" not in engine.requests[0].messages[-1].content


async def test_openrlhf_labels_can_be_reference_answers():
    engine = ScriptedEngine(by_digit)
    body = {"query": ["p:2"], "prompts": ["p:"], "labels": ["the answer is 11"]}
    async with live(engine) as server:
        await server.post("/v1/openrlhf/reward", body)
        await server.post("/v1/openrlhf/reward?labels=reference", body)
    shown = ["the answer is 11" in request.messages[-1].content for request in engine.requests]
    assert shown == [False, True]


MALFORMED = [
    ({"query": ["x4"], "prompts": ["p:"]}, "/v1/openrlhf/reward"),
    ({"query": ["p:4"], "prompts": ["p:", "p:"]}, "/v1/openrlhf/reward"),
    ({"query": ["p:4"], "prompts": ["p:"], "labels": []}, "/v1/openrlhf/reward?labels=reference"),
    ({"query": ["p:4"], "prompts": ["p:"]}, "/v1/openrlhf/reward?size=many"),
    ({"query": ["p:4"], "prompts": ["p:"]}, "/v1/openrlhf/reward?sise=8"),
    ({"query": [], "prompts": []}, "/v1/openrlhf/reward"),
    ({"query": "q", "documents": []}, "/rerank"),
    ({"query": "q", "documents": [{"image": "x"}]}, "/rerank"),
    ({"text_1": "q"}, "/score"),
    ({"text_1": [], "text_2": ["a"]}, "/score"),
    ({"text_1": " ", "text_2": ["a"]}, "/score"),
]


async def test_what_is_malformed_is_refused():
    engine = ScriptedEngine(by_digit)
    async with live(engine) as server:
        for body, path in MALFORMED:
            reply = await server.post(path, body)
            assert (reply.status, reply.error) == (422, "InputError"), body
    assert engine.requests == []
