"""slime, ms-swift and prime-rl, on stand-ins with the shapes that their sources show."""

import asyncio
from types import SimpleNamespace

import pytest

from adapters.letters import letters, requests_of, shown_in
from spct.adapters import prime_rl, slime, swift
from spct.errors import InputError, NoVerdictError
from spct.types import Message, ToolCall, Trajectory

CALL = {"id": "c", "type": "function", "function": {"name": "look", "arguments": '{"at":"tree"}'}}
ARGS = SimpleNamespace(n_samples_per_prompt=3)


def sample(response, prompt="p", label=None, **of):
    """slime's ``Sample``."""
    return SimpleNamespace(
        **{"prompt": prompt, "response": response, "label": label, "index": None, "group_index": None} | of
    )


async def test_slime_hands_over_whole_groups():
    grm = letters()
    reward = slime.reward_by(grm)
    group = [sample(f"{text}<|im_end|>", group_index=0, index=i) for i, text in enumerate(["e", "eee", "ee"])]
    assert await reward(ARGS, group) == [1, 3, 2]
    assert sorted(shown_in(requests_of(grm)[0])) == ["e", "ee", "eee"]
    mixed = [sample("e", group_index=0), sample("ee", group_index=1), sample("eee", group_index=0)]
    assert await reward(ARGS, mixed) == [1, 2, 3]
    assert len({frozenset(shown_in(request)) for request in requests_of(grm)}) == 3


async def test_slime_hands_over_samples_one_by_one():
    reward = slime.reward_by(letters())
    turns = [{"role": "user", "content": "p"}]
    group = [sample(text, turns, group_index=7, index=i) for i, text in enumerate(["e", "eee", "ee"])]
    assert await asyncio.gather(*[reward(ARGS, one, evaluation=False) for one in group]) == [1, 3, 2]
    unnamed = [sample(text, "q") for text in ["e", "ee", "eeee"]]
    assert await asyncio.gather(*[reward(ARGS, one) for one in unnamed]) == [1, 2, 4]


async def test_slime_hands_over_the_tools_of_its_data():
    grm = letters(k=1)
    tools = {"tools": [{"type": "function", "function": {"name": "look", "description": "Look."}}]}
    await slime.reward_by(grm)(ARGS, [sample("e", metadata=tools), sample("ee", metadata=tools)])
    assert '[Tool 1: "look" k7n9]\nLook.\n' in requests_of(grm)[0].messages[-1].content
    assert await slime.reward_by(letters())(ARGS, [sample("e", metadata=None), sample("ee", metadata={})]) == [1, 2]


async def test_slime_shows_the_label_and_refuses_what_it_cannot_judge(monkeypatch):
    grm = letters(k=1)
    await slime.reward_by(grm, use_label=True)(ARGS, [sample("e", label=0), sample("ee", label=0)])
    assert "[Begin reference answer" in requests_of(grm)[0].messages[-1].content
    with pytest.raises(InputError, match="without a fan-out"):
        await slime.reward_by(grm)(ARGS, [[sample("e")]])
    with pytest.raises(NoVerdictError):
        await slime.reward_by(letters())(ARGS, [sample("?"), sample("e")])
    monkeypatch.delenv("SPCT_URL", raising=False)
    with pytest.raises(InputError, match="set SPCT_URL"):
        await slime.reward(ARGS, sample("e"))


def conversation(*turns, prompt="p"):
    return [{"role": "system", "content": "Be brief."}, {"role": "user", "content": prompt}, *turns]


def says(text, **more):
    return {"role": "assistant", "content": text, **more}


def test_swift_judges_what_follows_the_prompt():
    grm = letters()
    reward = swift.orm_by(grm)(args=SimpleNamespace(num_generations=2))
    logs = [
        conversation(says(text), prompt=prompt) for prompt, text in [("p", "e"), ("p", "ee"), ("q", "eee"), ("q", "e")]
    ]
    given = reward(["e", "ee", "eee", "e"], messages=logs, trainer_state=None, prompt_id=["0", "0", "1", "1"])
    assert given == [1, 2, 3, 1]
    asked = requests_of(grm)[0].messages[-1].content
    assert "Be brief." in asked and reward.__name__ == "spct"
    reward.close()


def test_swift_judges_a_rollout_of_several_turns_from_its_first():
    grm = letters(k=1)
    reward = swift.orm_by(grm, reference="solution")()
    earlier = [says("before"), {"role": "user", "content": "go on"}]
    logs = [
        conversation(*earlier, says("", tool_calls=[CALL]), {"role": "tool", "content": "e"}, says(text))
        for text in ("e", "ee")
    ]
    reward(["e", "ee"], messages=logs, response_token_ids=[[[1], [2]]] * 2, solution=[0, 0])
    asked = requests_of(grm)[0].messages[-1].content
    assert asked.count('[Call 1: "look"') == 2 and asked.index("go on") < asked.index("[Begin response 1")
    assert "[Begin reference answer" in asked
    with pytest.raises(InputError, match="no column messages"):
        reward(["e"], solution=[0])
    with pytest.raises(InputError, match="without an assistant's turn"):
        reward(["e"], messages=[conversation()], solution=[0])
    reward.close()


class Node(SimpleNamespace):
    """A node of a trace of verifiers: a pydantic message, and whether the policy sampled it."""

    def __init__(self, sampled, **message):
        dumped = {key: value for key, value in message.items() if value is not None}
        super().__init__(sampled=sampled, message=SimpleNamespace(model_dump=lambda **how: dumped))


def trace(id, *nodes, prompt="p"):
    asked = Node(False, role="user", content=prompt)
    return SimpleNamespace(id=id, branches=[SimpleNamespace(nodes=[asked, *nodes])])


async def test_prime_rl_gathers_the_traces_of_a_prompt():
    grm = letters(k=1)
    reward = prime_rl.reward_by(grm, group_size=2, reference="answer")
    task = SimpleNamespace(answer=0)
    traces = [trace(f"t{i}", Node(True, role="assistant", content=text)) for i, text in enumerate(["ee", "e"])]
    assert await asyncio.gather(*[reward(task, one) for one in traces]) == [2, 1]
    assert "[Begin reference answer" in requests_of(grm)[0].messages[-1].content


def test_prime_rl_reads_what_the_policy_did():
    call = {"id": "c", "type": "function", "name": "look", "arguments": '{"at": "tree"}'}
    shown = trace(
        "t",
        Node(False, role="assistant", content="An example."),
        Node(False, role="user", content="Now you."),
        Node(True, role="assistant", content=None, tool_calls=[call]),
        Node(False, role="tool", tool_call_id="c", content="a bee"),
        Node(True, role="assistant", content="A bee.", reasoning_content="hm"),
    )
    query, response = prime_rl.parts_of(shown)
    assert [turn.role for turn in query] == ["user", "assistant", "user"]
    did = Message("assistant", "", (ToolCall(1, "look", '{"at": "tree"}'),)), Message("tool", "a bee", answers=1)
    assert response == Trajectory((*did, Message("assistant", "A bee.")))
    for bad in (trace("t"), SimpleNamespace(id="t", branches=[])):
        with pytest.raises(InputError, match="without a prompt and a turn that the policy sampled"):
            prime_rl.parts_of(bad)
