import inspect

import pytest

from adapters.letters import letters, requests_of, shown_in
from rubrics.samples import of
from servers.rewards import RewardServer, answering, group_answer, refusal
from spct.adapters.trl import AsyncTRLReward, TRLReward
from spct.client import RewardClient
from spct.engines.scripted import ScriptedEngine
from spct.errors import EngineUnreachableError, InputError, NoVerdictError
from spct.grm import GRM
from spct.service.judges import grm_judges
from spct.service.service import RewardService


def groups_of(grm):
    """The distinct groups that were judged, as sets of texts."""
    return {frozenset(shown_in(request)) for request in requests_of(grm)}


def test_completions_of_a_prompt_are_judged_together_and_come_back_in_order():
    grm = letters()
    reward = TRLReward(grm)
    given = reward(
        prompts=["p", "p", "p", "q", "q", "q"], completions=["e", "eee", "ee", "eeeee", "e", "eeee"], completion_ids=[]
    )
    assert given == [1, 3, 2, 5, 1, 4]
    assert groups_of(grm) == {frozenset({"e", "eee", "ee"}), frozenset({"eeeee", "e", "eeee"})}
    reward.close()


async def test_awaited_form_is_known_to_trl_as_asynchronous():
    reward = AsyncTRLReward(letters())
    assert await reward(["p", "p"], ["e", "ee"]) == [1, 2]
    assert inspect.iscoroutinefunction(reward.__call__)
    assert not inspect.iscoroutinefunction(TRLReward(letters()).__call__)
    assert reward.__name__ == "spct"


async def test_conversations_and_columns_reach_the_judge():
    grm = letters(k=1, template="grm")
    reward = AsyncTRLReward(grm, reference="answer", principles="rules")
    prompt = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Spell it."}]
    completions = [[{"role": "assistant", "content": text}] for text in ("e", "ee")]
    given = await reward([prompt, prompt], completions, answer=["eel"] * 2, rules=[None] * 2, trainer_state=object())
    assert given == [1, 2]
    text = requests_of(grm)[0].messages[-1].content
    assert "Be brief." in text and "Spell it." in text and "eel" in text
    with pytest.raises(InputError, match="no column 'answer' with 2 values; it has rules"):
        await reward([prompt, prompt], completions, rules=[None] * 2)


async def test_prompts_that_differ_only_in_a_column_are_two_groups():
    grm = letters(k=1)
    await AsyncTRLReward(grm, reference="answer")(["p"] * 4, ["e", "ee", "eee", "eeee"], answer=["a", "a", "b", "b"])
    assert groups_of(grm) == {frozenset({"e", "ee"}), frozenset({"eee", "eeee"})}


async def test_the_same_prompt_twice_in_a_batch():
    grm = letters(k=1)
    await AsyncTRLReward(grm, num_generations=2)(["p"] * 4, ["e", "ee", "eee", "eeee"])
    assert groups_of(grm) == {frozenset({"e", "ee"}), frozenset({"eee", "eeee"})}


async def test_a_column_has_the_tools_which_tell_groups_apart_too():
    grm = letters(k=1)
    tools = [[{"name": name, "parameters": None}] for name in ("look", "look", "hear", "hear")]
    assert await AsyncTRLReward(grm, tools="defined")(["p"] * 4, ["e", "ee", "e", "ee"], defined=tools) == [1, 2, 1, 2]
    assert len(groups_of(grm)) == 1 and len(requests_of(grm)) == 2
    assert {"look", "hear"} == {request.messages[-1].content.split('[Tool 1: "')[1][:4] for request in requests_of(grm)}
    with pytest.raises(InputError, match="expected a list of tools"):
        await AsyncTRLReward(grm, tools="defined")(["p"], ["e"], defined=["no list"])


async def test_equal_completions_are_judged_once():
    grm = letters(k=1)
    assert await AsyncTRLReward(grm)(["p"] * 4, ["e", "ee", "e", "e"]) == [1, 2, 1, 1]
    assert [sorted(shown_in(request)) for request in requests_of(grm)] == [["e", "ee"]]


async def test_normalisation():
    assert await AsyncTRLReward(letters(), normalisation="total")(["p"] * 2, ["e", "ee"]) == [2, 4]
    assert await AsyncTRLReward(letters(), normalisation="unit")(["p"] * 2, ["e", "e" * 10]) == [0, 1]
    assert await AsyncTRLReward(letters(), normalisation="centred")(["p"] * 3, ["e", "e", "eeee"]) == [-1, -1, 2]


async def test_a_group_without_a_verdict_raises_or_is_none_and_nothing_else():
    prompts, completions = ["p", "p", "q", "q"], ["e", "?", "e", "ee"]
    with pytest.raises(NoVerdictError):
        await AsyncTRLReward(letters())(prompts, completions)
    assert await AsyncTRLReward(letters(), on_error="none")(prompts, completions) == [None, None, 1, 2]


async def test_no_service_is_raised_even_where_a_group_may_fail():
    reward = AsyncTRLReward("http://127.0.0.1:9", on_error="none", patience_s=0)
    with pytest.raises(EngineUnreachableError):
        await reward(["p", "p"], ["e", "ee"])
    await reward.source.aclose()


async def test_soundness_is_logged():
    logged = {}
    await AsyncTRLReward(letters(), on_error="none")(
        ["p", "p", "q", "q"], ["e", "ee", "eee", "eee"], log_metric=logged.__setitem__
    )
    assert logged == {"spct/invalid": 0.0, "spct/all_equal": 0.5}


async def test_against_a_service():
    count = answering(lambda body: group_answer([float(text.count("e")) for text in body["responses"]]))
    failing = refusal(502, "NoVerdictError", "none")
    async with RewardServer(count, [count, count, failing]) as server, RewardClient(server.url) as client:
        reward = AsyncTRLReward(client)
        assert await reward(["p", "p", "q", "q"], ["e", "ee", "eee", "e"]) == [1, 2, 3, 1]
        with pytest.raises(NoVerdictError):
            await reward(["p", "p"], ["e", "ee"])
    assert [(body["query"], body["responses"]) for body in server.bodies[:2]] == [
        ("p", ["e", "ee"]),
        ("q", ["eee", "e"]),
    ]


async def test_what_is_no_text():
    reward = AsyncTRLReward(letters())
    image = [{"role": "user", "content": [{"type": "image"}]}]
    with pytest.raises(InputError, match="images"):
        await reward([image], ["e"])
    with pytest.raises(InputError, match="completion: got int 3"):
        await reward(["p"], [3])
    with pytest.raises(InputError, match="on_error is 'zero'"):
        TRLReward(letters(), on_error="zero")
    with pytest.raises(InputError, match="got a int; expected a GRM"):
        TRLReward(3)


CALL = {"type": "function", "function": {"name": "look", "arguments": {"at": "a tree"}}}
CALLS = {"role": "assistant", "tool_calls": [CALL]}
TREE = {"role": "tool", "name": "look", "content": "eee"}


async def test_a_rollout_with_tools_is_judged_whole_wherever_it_ends():
    grm = letters(k=1)
    completions = [[CALLS], [CALLS, TREE], [CALLS, TREE, {"role": "assistant", "content": "A tree."}], "e"]
    prompt = [{"role": "user", "content": "Look."}]
    assert await AsyncTRLReward(grm)([prompt] * 4, completions) == [2, 6, 8, 1]
    shown = sorted(shown_in(requests_of(grm)[0]), key=len)
    assert shown[0] == "e" and shown[1].endswith('[Call 1: "look" k7n9]\n{"at": "a tree"}')
    assert await AsyncTRLReward(grm)([prompt] * 2, [[CALLS], [{**CALLS}]]) == [2, 2]  # equal ones once
    with pytest.raises(InputError, match="completion: got turns of no message"):
        await AsyncTRLReward(grm)([prompt], [[]])


async def test_with_none_asked_for_what_cannot_be_read_costs_its_group_alone():
    reward = AsyncTRLReward(letters(k=1), on_error="none")
    sound = [{"role": "assistant", "content": [{"type": "audio"}]}]
    given = await reward(["p", "p", " ", "q", "q"], [sound, "e", "e", "ee", [CALLS]])
    assert given == [None, None, None, 2, 2]
    with pytest.raises(InputError, match="normalisation"):
        await AsyncTRLReward(letters(k=1), on_error="none", normalisation="best")(["p"], ["e"])


@pytest.mark.parametrize(("answer", "shown"), [(4, "4"), (0.0, "0.0"), (["x"], "x"), (None, None), ("", None)])
async def test_a_column_of_references_may_hold_any_kind(answer, shown):
    grm = letters(k=1)
    assert await AsyncTRLReward(grm, reference="answer")(["p"] * 2, ["e", "ee"], answer=[answer] * 2) == [1, 2]
    text = requests_of(grm)[0].messages[-1].content
    assert (f"]\n{shown}\n[End reference" in text) if shown else "reference" not in text


async def test_a_reward_for_each_criterion_of_a_rubric_judges_a_group_once():
    def answers(request, j):
        shown = shown_in(request)
        values = [len(text) for text in shown] if "How long?" in request.messages[-1].content else [1] * len(shown)
        return rf"\boxed{{{', '.join(map(str, values))}}}"

    rubric = of({"id": "length", "kind": "scale", "scale": [0, 4], "ask": "How long?"}, {"id": "plain", "weight": 3})
    engine = ScriptedEngine(answers)
    grm = GRM(engine, k=1, rubric=rubric)
    service = RewardService(grm_judges(grm.engine), grm.settings)
    by_length, plain, whole = (AsyncTRLReward(service, criterion=c) for c in ("length", "plain", None))
    asked = (["p"] * 2, ["e", "eee"])
    assert await by_length(*asked) == [0.25, 0.75]
    assert await plain(*asked) == [1, 1]
    assert await whole(*asked) == [(0.25 + 3) / 4, (0.75 + 3) / 4]
    assert len(engine.requests) == 2
    assert (by_length.__name__, whole.__name__) == ("spct_length", "spct")
    own = GRM(ScriptedEngine(answers), k=1, rubric=rubric)
    several = [AsyncTRLReward(own, criterion=c) for c in ("length", "plain", None)]
    assert [await reward(*asked) for reward in several] == [[0.25, 0.75], [1, 1], [3.25 / 4, 3.75 / 4]]
    assert len(requests_of(own)) == 2  # a GRM judges a group once for all its rewards, too
    with pytest.raises(NoVerdictError, match="criterion 'tone' has no valid answer"):
        await AsyncTRLReward(service, criterion="tone")(*asked)
    with pytest.raises(InputError, match="judges by no rubric"):
        await AsyncTRLReward(letters(), criterion="tone")(*asked)
