import asyncio
import sys
from types import SimpleNamespace

import pytest

from adapters.letters import letters, requests_of, shown_in
from servers.rewards import RewardServer, answering, rollout_answer
from spct.adapters.nemo import GymReward, RLReward, output_of, query_in
from spct.errors import InputError, MemberConflictError, NoVerdictError
from spct.turns import turns_of
from spct.types import Message, Tool


def response(text):
    """A Responses API object with reasoning beside its answer."""
    return {
        "id": "r",
        "output": [
            {"type": "reasoning", "summary": [{"type": "summary_text", "text": "eeeeeeee"}]},
            {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": text}]},
        ],
    }


def body(text, prompt="p", **given):
    """The body of a /verify request."""
    return {
        "responses_create_params": {"input": [{"role": "user", "content": prompt}]},
        "response": response(text),
        **given,
    }


async def test_verify_gives_each_rollout_its_reward_among_its_group():
    grm = letters()
    reward = GymReward(grm, group_size=3)
    bodies = [body(text, _ng_group_id="g", _ng_rollout_index=i) for i, text in enumerate(["e", "eee", "ee"])]
    answers = await asyncio.gather(*[reward.verify(one) for one in bodies])
    assert [answer["reward"] for answer in answers] == [1, 3, 2]
    assert answers[1] == {**bodies[1], "reward": 3}
    assert sorted(shown_in(requests_of(grm)[0])) == ["e", "ee", "eee"]
    assert await reward.verify(bodies[1]) == answers[1]
    with pytest.raises(MemberConflictError):
        await reward.verify(body("eeee", _ng_group_id="g", _ng_rollout_index=1))


async def test_verify_without_group_ids_goes_by_task_prompt_and_principle():
    reward = GymReward(letters(k=1, principles="given"), group_size=2)
    mixed = [
        body("e", _ng_task_index=1, principle="Count e."),
        body("ee", _ng_task_index=2, principle="Count e."),
        body("eee", _ng_task_index=1, principle="Count e."),
        body("eeee", _ng_task_index=2, principle="Count e."),
    ]
    answers = await asyncio.gather(*[reward.verify(one) for one in mixed])
    assert [answer["reward"] for answer in answers] == [1, 2, 3, 4]


async def test_a_replacement_attempt_is_another_group():
    async with RewardServer(answering(lambda body: rollout_answer(1.0))) as server:
        reward = GymReward(server.url, group_size=2, run="r")
        await reward.verify(body("e", _ng_group_id="g", _ng_group_attempt=1, _ng_rollout_index=0))
        await reward.verify(body("e", _ng_task_index=7))
        await reward.source.aclose()
    first, second = [sent["group"] for sent in server.bodies]
    assert first == {"run": "r", "id": "g/1", "size": 2, "member": "0"}
    assert second["run"] == "r/7" and "id" not in second


async def test_compare_judges_a_whole_group():
    answer = await GymReward(letters(), group_size=2).compare(
        {
            "conversation_history": [{"role": "user", "content": "p"}],
            "response_objs": [response("ee"), response("e")],
            "principle": None,
        }
    )
    assert answer == {"rewards": [2, 1], "comparison_results": None, "metrics": {"valid": 2.0, "invalid": 0.0}}


async def test_no_verdict_is_raised():
    with pytest.raises(NoVerdictError):
        await GymReward(letters(), group_size=1).verify(body("?"))


async def test_message_logs_of_a_batch():
    def log(prompt, text):
        return [{"role": "user", "content": prompt, "token_ids": object()}, {"role": "assistant", "content": text}]

    grm = letters(k=1)
    logs = [log("p", "e"), log("q", "ee"), log("p", "eee"), log("q", "ee")]
    assert await RLReward(grm).rewards(logs) == [1, 2, 3, 2]
    assert sorted(len(shown_in(request)) for request in requests_of(grm)) == [1, 2]
    with pytest.raises(InputError, match="an assistant's turn at its end"):
        await RLReward(grm).rewards([[{"role": "user", "content": "p"}]])


def test_texts_of_the_responses_api():
    assert output_of(response("e e")) == "e e"
    assert output_of({"output": []}) == ""
    assert query_in({"responses_create_params": {"input": "p", "tools": []}}) == "p"
    tool = {"type": "function", "name": "look", "description": None, "parameters": {"type": "object"}, "strict": True}
    given = {"responses_create_params": {"input": "p", "tools": [tool]}}
    assert query_in(given) == (Message("user", "p", tools=(Tool("look", "", '{"type": "object"}'),)),)
    turns = [{"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "Be brief."}]}]
    assert query_in({"responses_create_params": {"input": turns}}) == (Message("developer", "Be brief."),)
    with pytest.raises(InputError, match="a last message of the assistant"):
        query_in({"responses_create_params": {"input": [{"type": "function_call", "name": "f"}]}})
    with pytest.raises(InputError, match="expected images as image_url"):
        query_in({"responses_create_params": {"input": [{"role": "user", "content": [{"type": "input_image"}]}]}})


def calling(text):
    """A rollout that called a tool before it answered."""
    call = {"type": "function_call", "call_id": "c", "name": "look", "arguments": '{"at":"tree"}'}
    output = {"type": "function_call_output", "call_id": "c", "output": "bark"}
    return {"output": [call, output, *response(text)["output"]]}


async def test_the_tools_of_a_rollout_are_judged_with_it():
    grm = letters(k=1)
    reward = GymReward(grm, group_size=2)
    bodies = [{**body("e"), "response": calling("a")}, body("ee")]
    assert [answer["reward"] for answer in await asyncio.gather(*map(reward.verify, bodies))] == [3, 2]
    assert any('[Call 1: "look" k7n9]\n{"at": "tree"}' in text for text in shown_in(requests_of(grm)[0]))
    assert turns_of(output_of(calling("a")))[-1] == Message("assistant", "a")


async def test_a_message_log_may_be_judged_from_its_first_turn():
    grm = letters(k=1)
    log = [
        {"role": "user", "content": "p", "token_ids": object()},
        {"role": "assistant", "content": "e"},
        {"role": "environment", "content": "go on"},
    ]
    turns = [*log, {"role": "assistant", "content": "ee"}]
    assert await RLReward(grm).rewards([turns]) == [2]
    assert await RLReward(grm, earlier_turns=0).rewards([turns, log[:2], log]) == [4, 1, 2]
    assert [len(shown_in(request)) for request in requests_of(grm)] == [1, 3]
    with pytest.raises(InputError, match="an assistant's turn at its end"):
        await RLReward(grm).rewards([log])


class JudgeError(Exception):
    """As nemo_gym.judge has it: its failsafe masks what raises it, and everything else is an error 500."""


async def test_in_a_server_of_gym_failures_are_what_its_failsafe_looks_for(monkeypatch):
    monkeypatch.setitem(sys.modules, "nemo_gym.judge", SimpleNamespace(JudgeError=JudgeError))
    reward = GymReward(letters(), group_size=1)
    with pytest.raises(JudgeError, match="no valid judgment|NoValid|verdict") as caught:
        await reward.verify(body("?"))
    assert isinstance(caught.value, NoVerdictError) and isinstance(caught.value.__cause__, NoVerdictError)
    with pytest.raises(JudgeError):
        await reward.compare({"conversation_history": [], "response_objs": [response("e")]})
    with pytest.raises(KeyError):
        await reward.verify({})
