import asyncio
import contextlib
import inspect

import numpy as np
import pytest

from adapters.letters import letters, requests_of, shown_in
from servers.behaviours import choice, completion, replies
from servers.chat import ChatServer
from servers.rewards import RewardServer, answering, refusal, rollout_answer
from spct.adapters import verl
from spct.adapters.verl import compute_score, compute_score_by
from spct.engines.scripted import judgment_text
from spct.errors import InputError, LateMemberError, NoVerdictError
from spct.items.values import as_reference
from spct.types import Message


def calls(score, texts, **extra_info):
    """One call a text, as verl makes them."""
    return [
        score(data_source="d", solution_str=text, ground_truth="eel", extra_info={"split": "train", **extra_info})
        for text in texts
    ]


async def test_rollouts_of_a_prompt_are_judged_together():
    grm = letters(k=2)
    score = compute_score_by(grm, group_size=3)
    both = calls(score, ["e", "eee", "ee"], question="p") + calls(score, ["eeee", "e", "e"], question="q")
    assert [result["score"] for result in await asyncio.gather(*both)] == [1, 3, 2, 4, 1, 1]
    assert {frozenset(shown_in(request)) for request in requests_of(grm)} == {
        frozenset({"e", "eee", "ee"}),
        frozenset({"eeee", "e"}),
    }
    assert await asyncio.gather(*calls(score, ["e", "ee", "eeeee"], question="p")) == [
        {"score": reward, "members": 3, "valid": 2, "invalid": 0} for reward in (1, 2, 5)
    ]


async def test_groups_of_one_prompt_are_told_apart_by_uid():
    score = compute_score_by(letters(), group_size=2)
    mixed = calls(score, ["e", "ee"], question="p", uid="1") + calls(score, ["eee", "eeee"], question="p", uid="2")
    mixed[1], mixed[2] = mixed[2], mixed[1]
    assert [result["score"] for result in await asyncio.gather(*mixed)] == [1, 3, 2, 4]
    with pytest.raises(LateMemberError):
        await calls(score, ["eeeee"], question="p", uid="1")[0]


async def test_validation_has_groups_of_its_own_size():
    score = compute_score_by(letters(), group_size=8)
    assert [r["score"] for r in await asyncio.gather(*calls(score, ["eee"], question="p", split="test"))] == [3]


async def test_the_rows_that_verl_fills_a_validation_batch_up_with_are_judged_too():
    score = compute_score_by(letters(), group_size=8)
    repeated = calls(score, ["eee", "e"], question="p", split="test", uid="1")  # one row, sampled twice
    assert [r["score"] for r in await asyncio.gather(*repeated)] == [3, 1]
    four = compute_score_by(letters(), group_size=8, validation_size=2)
    repeated = calls(four, ["eee", "e", "ee", "eeee"], question="p", split="test", uid="1")
    assert [r["score"] for r in await asyncio.gather(*repeated)] == [3, 1, 2, 4]


async def test_the_ground_truth_is_shown_only_where_asked_for():
    hidden, shown = letters(k=1), letters(k=1)
    await calls(compute_score_by(hidden, group_size=1), ["e"], question="p")[0]
    await calls(compute_score_by(shown, group_size=1, use_ground_truth=True), ["e"], question="p")[0]
    assert "eel" not in requests_of(hidden)[0].messages[-1].content
    assert "eel" in requests_of(shown)[0].messages[-1].content


def test_the_query_is_found_or_asked_for():
    turns = [{"role": "user", "content": "p"}]
    assert verl.query_in({"raw_prompt": turns, "question": "q"}, None) == (Message("user", "p"),)
    assert verl.query_in({"question": "q"}, None) == "q"
    assert verl.query_in({"question": "q", "text": "t"}, "text") == "t"
    with pytest.raises(InputError, match="verl does not pass the prompt"):
        verl.query_in({"index": 3}, None)


async def test_the_function_of_the_configuration_asks_the_service():
    assert inspect.iscoroutinefunction(compute_score)  # verl looks, and would not await a callable object
    script = [refusal(425, "PendingError", Retry_After="0")]
    async with RewardServer(answering(lambda body: rollout_answer(4.0)), script) as server:
        result = await compute_score(
            "d", "e", "", {"question": "p", "uid": "u1"}, url=server.url, group_size=4, run="r", normalisation="unit"
        )
        await verl._sources.pop((server.url, None, "")).aclose()
    assert result == {"score": 4.0, "members": 4.0, "valid": 8.0, "invalid": 0.0}
    group = server.bodies[1]["group"]
    assert (group["run"], group["id"], group["size"]) == ("r", "u1", 4)
    assert (server.bodies[1]["query"], server.bodies[1]["response"], server.bodies[1]["normalisation"]) == (
        "p",
        "e",
        "unit",
    )
    with pytest.raises(InputError, match=r"reward_kwargs\.url"):
        await compute_score("d", "e", "", {"question": "p"}, group_size=4)


@pytest.mark.parametrize("truth", [0, 0.0, False, "0", np.int64(0), np.array(["0"], dtype=object), b"0", ["0"]])
async def test_a_ground_truth_of_nought_is_shown(truth):
    grm = letters(k=1)
    score = compute_score_by(grm, group_size=1, use_ground_truth=True)
    await score("d", "e", truth, {"question": "What is 1 - 1?"})
    assert f"[Begin reference answer k7n9]\n{as_reference(truth)}\n" in requests_of(grm)[0].messages[-1].content


@pytest.mark.parametrize("truth", [None, float("nan"), np.float64("nan"), "", " ", [], np.array([]), {}])
async def test_a_ground_truth_that_says_nothing_is_no_reference(truth):
    grm = letters(k=1)
    score = compute_score_by(grm, group_size=1, use_ground_truth=True)
    assert (await score("d", "e", truth, {"question": float("nan"), "problem": b"p"}))["score"] == 1
    assert "reference answer" not in requests_of(grm)[0].messages[-1].content


class Tokenizer:
    name_or_path = "org/judge"


async def test_without_a_service_the_reward_model_that_verl_serves_is_the_judge(monkeypatch):
    monkeypatch.delenv("SPCT_URL", raising=False)
    answer = completion([choice(judgment_text([4, 9])), choice(judgment_text([5, 8]))])
    async with ChatServer(replies(answer)) as server:
        router = server.base_url.removeprefix("http://").removesuffix("/v1")
        given = {"group_size": 2, "judge": {"k": 2, "ordering": "fixed"}, "use_ground_truth": True}
        asked = [
            compute_score("d", text, 0, {"question": "p"}, router, Tokenizer(), **given) for text in ("eel", "bee")
        ]
        scores = [result["score"] for result in await asyncio.gather(*asked)]
        (body,) = [call.body for call in server.chats]
        assert sorted(scores) == [4.5, 8.5] and (body["model"], body["n"]) == ("org/judge", 2)
        assert "[Begin reference answer" in body["messages"][-1]["content"]
        named = compute_score("d", "a", 0, {"question": "q"}, router, judge_model="mine", group_size=1)
        with contextlib.suppress(NoVerdictError):
            await named
        assert server.chats[-1].body["model"] == "mine"
        for source in [verl._sources.pop(key) for key in list(verl._sources)]:
            await source.aclose()
    with pytest.raises(InputError, match="verl names no reward model: set reward_kwargs.judge_model"):
        await compute_score("d", "a", 0, {"question": "q"}, "127.0.0.1:1", None, group_size=1)
    with pytest.raises(InputError, match="no judge: set reward_kwargs.url"):
        await compute_score("d", "a", 0, {"question": "q"}, group_size=1)
