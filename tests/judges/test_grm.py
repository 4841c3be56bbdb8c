import asyncio
import re
from dataclasses import replace

import pytest

from judges.judging import Remembers
from spct.engines.engine import Capabilities, Sample
from spct.engines.scripted import ScriptedEngine, judgment_text
from spct.errors import (
    ContextLengthError,
    EngineError,
    EngineUnreachableError,
    InputError,
    RejectedError,
    TemplateError,
)
from spct.judges.grm import GRMJudge
from spct.judges.settings import judge_settings
from spct.types import Item, Message

QUERY = (Message("user", "Which number is largest?"),)


def pair(**changes):
    return replace(Item("pair", QUERY, ("LOW", "HIGH")), **changes)


def shown_order(request, responses):
    """The item indices of the responses in the order in which the prompt shows them."""
    text = request.messages[-1].content
    return sorted(range(len(responses)), key=lambda i: text.index(responses[i]))


def by_quality(quality, responses):
    """A judge without position bias: scores each response by its own quality, wherever it is shown."""

    def script(request, j):
        return judgment_text([quality[i] for i in shown_order(request, responses)])

    return script


async def judged(script, item, **settings):
    capabilities = settings.pop("capabilities", None)
    engine = ScriptedEngine(script, capabilities=capabilities)
    verdict = await GRMJudge(engine, judge_settings(**settings)).judge(item)
    return verdict, engine


async def test_scores_are_mapped_back_to_item_order():
    verdict, engine = await judged(by_quality([3, 9], ["LOW", "HIGH"]), pair(), k=8)
    assert verdict.totals == (24, 72)
    assert verdict.best == 1
    assert {j.order for j in verdict.judgments} == {(0, 1), (1, 0)}
    assert [request.n for request in engine.requests] == [4, 4]


async def test_worked_example_of_the_paper_with_reversed_orders():
    """(8, 8) shown in order, then (9, 5) and (10, 7) both shown reversed: 20 and 27."""

    def script(request, j):
        in_order = shown_order(request, ["LOW", "HIGH"]) == [0, 1]
        return judgment_text([8, 8] if in_order else [(9, 5), (10, 7)][j])

    seen = set()
    for seed in range(10):
        probe, _ = await judged(lambda r, j: judgment_text([1, 2]), pair(), k=3, seed=seed)
        orders = sorted(judgment.order for judgment in probe.judgments)
        if orders == [(0, 1), (1, 0), (1, 0)]:
            verdict, _ = await judged(script, pair(), k=3, seed=seed)
            seen.add(verdict.totals)
    assert seen == {(20, 27)}


async def test_position_bias_cancels_out():
    verdict, _ = await judged(lambda r, j: judgment_text([9, 4]), pair(), k=8)
    assert verdict.totals == (52, 52)
    assert verdict.tied == (0, 1)


async def test_seeds_are_distinct_and_repeatable():
    first, _ = await judged(lambda r, j: judgment_text([5, 6]), pair(), k=8)
    second, _ = await judged(lambda r, j: judgment_text([5, 6]), pair(), k=8)
    assert len({j.seed for j in first.judgments}) == 8
    assert [j.seed for j in first.judgments] == [j.seed for j in second.judgments]
    other, _ = await judged(lambda r, j: judgment_text([5, 6]), pair(), k=8, seed=1)
    assert {j.seed for j in first.judgments}.isdisjoint(j.seed for j in other.judgments)


async def test_raising_k_keeps_the_first_judgments():
    def script(request, j):
        seed = request.seed + j
        return judgment_text([1 + seed % 10, 1 + seed // 10 % 10])

    small, _ = await judged(script, pair(), k=4)
    large, _ = await judged(script, pair(), k=8)
    assert large.judgments[:4] == small.judgments


async def test_invalid_judgments_are_kept_counted_and_resampled():
    def script(request, j):
        first = request.seed < 2**30 and request.seed & 4096 == base & 4096
        return "no verdict here" if first else judgment_text([2, 7])

    probe = ScriptedEngine(lambda r, j: judgment_text([2, 7]))
    await GRMJudge(probe, judge_settings(k=1)).judge(pair())
    base = probe.requests[0].seed
    verdict, engine = await judged(script, pair(), k=1)
    assert (verdict.valid, verdict.invalid) == (1, 1)
    assert [j.attempt for j in verdict.judgments] == [0, 1]
    assert verdict.judgments[0].problem.code == "no_box"
    assert [request.seed - base for request in engine.requests] == [0, 4096]


async def test_no_valid_judgment_no_verdict():
    verdict, engine = await judged(lambda r, j: "\\boxed{11, 0}", pair(), k=2, retries=1)
    assert verdict.best is verdict.ranking is verdict.totals is None
    assert verdict.error.type == "NoValidJudgment"
    assert "out_of_range 4" in verdict.error.message
    assert len(verdict.judgments) == 4
    assert sum(request.n for request in engine.requests) == 4


async def test_requests_respect_max_n_with_consecutive_seeds():
    verdict, engine = await judged(
        lambda r, j: judgment_text([5, 6]), pair(), k=10, capabilities=Capabilities(max_n=2, seeding="sample")
    )
    assert sorted(request.n for request in engine.requests) == [1, 1, 2, 2, 2, 2]
    whole, _ = await judged(lambda r, j: judgment_text([5, 6]), pair(), k=10)
    assert [j.seed for j in verdict.judgments] == [j.seed for j in whole.judgments]


async def test_history_is_replayed_and_only_the_rest_is_sampled():
    script = by_quality([3, 9], ["LOW", "HIGH"])
    whole, _ = await judged(script, pair(), k=8)
    engine = ScriptedEngine(script)
    memory = Remembers(whole.judgments[:3])
    verdict = await GRMJudge(engine, judge_settings(k=8)).judge(pair(), memory)
    assert verdict.judgments == whole.judgments
    assert sorted(j.index for judgments, _, _ in memory.requests for j in judgments) == [3, 4, 5, 6, 7]
    assert [prompt for _, _, prompt in memory.requests] == [request.messages for request in engine.requests]


async def test_history_of_invalid_attempts_is_not_sampled_again():
    verdict, _ = await judged(lambda r, j: "nothing", pair(), k=2, retries=2)
    engine = ScriptedEngine(lambda r, j: judgment_text([1, 2]))
    again = await GRMJudge(engine, judge_settings(k=2, retries=2)).judge(pair(), Remembers(verdict.judgments))
    assert engine.requests == []
    assert again.error.type == "NoValidJudgment"


async def test_a_rejected_item_has_an_error_and_keeps_what_was_sampled():
    def script(request, j):
        if shown_order(request, ["LOW", "HIGH"]) == [0, 1]:
            return RejectedError("the server refuses this text")
        return judgment_text([4, 5])

    verdict, _ = await judged(script, pair(), k=4)
    assert verdict.best is None
    assert verdict.error.type == "RejectedError"
    assert verdict.error.message == "the server refuses this text"
    assert verdict.valid == 2


async def test_an_engine_failure_is_raised():
    with pytest.raises(EngineUnreachableError):
        await judged(lambda r, j: EngineUnreachableError("gone"), pair())
    with pytest.raises(EngineError, match="ran out"):
        await judged([judgment_text([1, 2])], pair(), k=2, ordering="fixed")


async def test_index_template_votes_by_count():
    verdict, _ = await judged(lambda r, j: "The first.\n\\boxed{1}", pair(), template="judge", k=3, ordering="fixed")
    assert verdict.totals == (3, 0)
    assert verdict.best == 0


async def test_single_response_label():
    item = Item("one", QUERY, ("only",), rewards_N=(1.0,))
    verdict, _ = await judged(lambda r, j: "\\boxed{1}", item, template="grm-single", k=4)
    assert (verdict.totals, verdict.means, verdict.confidence) == ((4,), (1.0,), None)


async def test_single_template_refuses_pairs():
    with pytest.raises(TemplateError, match="has 2 responses"):
        await judged(lambda r, j: "", pair(), template="grm-single")


async def test_reference_is_shown_when_the_item_has_one():
    _, engine = await judged(lambda r, j: judgment_text([1, 2]), pair(reference="The answer is 42."), k=1)
    assert "The answer is 42." in engine.requests[0].messages[-1].content


async def test_given_principles():
    _, engine = await judged(
        lambda r, j: judgment_text([1, 2]), pair(principles="1. Rhyme (100%)"), principles="given", k=1
    )
    assert "1. Rhyme (100%)" in engine.requests[0].messages[-1].content
    with pytest.raises(TemplateError, match="no principles"):
        await judged(lambda r, j: "", pair(), principles="given")


def numbered(n):
    return Item("many", QUERY, tuple(f"answer-{i:02d}" for i in range(n)))


def score_shown(quality):
    def script(request, j):
        shown = re.findall(r"answer-(\d\d)", request.messages[-1].content)
        return judgment_text([quality[int(number)] for number in shown])

    return script


async def test_blocks_when_the_group_does_not_fit():
    quality = [1, 9, 3, 4, 5, 6, 2, 8, 7, 10, 3, 4]
    whole, probe = await judged(score_shown(quality), numbered(12), k=1)
    prompt = sum(len(message.content.split()) for message in probe.requests[0].messages)
    context = Capabilities(seeding="sample", context_tokens=prompt + 200 - 8)
    verdict, _ = await judged(score_shown(quality), numbered(12), k=4, max_tokens=200, capabilities=context)
    assert all(len(j.order) < 12 for j in verdict.judgments)
    assert verdict.error is None
    assert verdict.best == whole.best == 9
    assert verdict.valid_N is not None and min(verdict.valid_N) >= 4
    assert verdict.means == pytest.approx(quality, abs=0.01)


async def test_block_size_is_respected():
    verdict, _ = await judged(score_shown([5] * 9), numbered(9), k=2, block_size=4)
    assert {len(j.order) for j in verdict.judgments} == {4}
    assert verdict.totals == pytest.approx([10] * 9)


async def test_a_server_that_only_refuses_long_prompts_leads_to_blocks_too():
    def script(request, j):
        shown = re.findall(r"answer-(\d\d)", request.messages[-1].content)
        if len(shown) > 3:
            return ContextLengthError("too long")
        return judgment_text([int(number) + 1 for number in shown])

    verdict, _ = await judged(script, numbered(7), k=2, capabilities=Capabilities(seeding="sample"))
    assert verdict.best == 6


async def test_an_item_that_can_never_fit_has_its_own_error():
    tiny = Capabilities(context_tokens=60)
    verdict, engine = await judged(lambda r, j: "", numbered(3), max_tokens=50, capabilities=tiny)
    assert verdict.error.type == "ContextLengthError"
    assert "can never fit" in verdict.error.message
    assert engine.requests == []


@pytest.mark.parametrize(
    "settings",
    [{"k": 0}, {"temperature": -1}, {"top_p": 0}, {"max_tokens": 0}, {"retries": 99}, {"principles": "x"},
     {"ordering": "x"}, {"rule": "x"}, {"tie_rule": "x"}, {"block_size": 1}, {"seed": -1}, {"nonsense": 1}],
)  # fmt: skip
def test_settings_that_cannot_be(settings):
    with pytest.raises(InputError):
        judge_settings(**settings)


def test_templates_that_cannot_judge():
    engine = ScriptedEngine([])
    with pytest.raises(TemplateError, match="cannot judge"):
        GRMJudge(engine, judge_settings(template="principles"))
    with pytest.raises(TemplateError, match="does not show principles"):
        GRMJudge(engine, judge_settings(template="judge", principles="query"))
    with pytest.raises(TemplateError, match="add --principles"):
        GRMJudge(engine, judge_settings(template="grm-principles"))


async def test_identical_samples_are_reported():
    verdict, _ = await judged(lambda r, j: judgment_text([4, 5]), pair(), k=8)
    assert verdict.duplicates == 6
    greedy, _ = await judged(lambda r, j: judgment_text([4, 5]), pair(), k=8, temperature=0)
    assert greedy.duplicates == 0


async def test_a_template_file_of_the_users_own(tmp_path):
    path = tmp_path / "mine.jinja"
    path.write_text(
        "---\nreader: box\nscale: [1, 10]\n---\n{{ query }}\n"
        "{% for i, text in responses %}#{{ i }} {{ text }}\n{% endfor %}{{ form }}"
    )
    verdict, engine = await judged(by_quality([3, 9], ["LOW", "HIGH"]), pair(), k=2, template=str(path))
    assert verdict.totals == (6, 18)
    assert engine.requests[0].messages[-1].content.startswith("Which number is largest?")


LONG = "The sea was quiet that morning, and the boats lay still along the wall. " * 1000


class Crowd:
    """Scores by the response's first digit; ``most`` prompts were being answered at a time."""

    def __init__(self):
        self.now = self.most = 0

    async def __call__(self, request, j):
        self.now += 1
        self.most = max(self.most, self.now)
        await asyncio.sleep(0.01)
        self.now -= 1
        text = request.messages[-1].content
        return judgment_text([int(found) for found in re.findall(r"\[Begin response \d+ \w+\]\n(\d)", text)])


@pytest.mark.parametrize(("text", "most"), [(LONG, 2), ("short", 6)])
async def test_a_large_item_is_asked_little_by_little_and_judged_alike(text, most):
    item = Item("a", QUERY, tuple(f"{i + 2} {text}" for i in range(6)))
    crowd = Crowd()
    engine = ScriptedEngine(crowd, capabilities=Capabilities(seeding="sample", concurrency=16))
    judge = GRMJudge(engine, judge_settings(k=6))
    verdict = await judge.judge(item)
    assert verdict.totals == tuple(6 * (i + 2) for i in range(6))
    assert len({j.order for j in verdict.judgments}) == 6
    assert crowd.most == most
    assert all(template._sealed.get(item) is None for template in judge.templates.values())  # nothing of it stays


async def test_no_more_prompts_are_asked_than_the_engine_takes():
    item = Item("a", QUERY, tuple(f"{i + 2} text" for i in range(6)))
    crowd = Crowd()
    engine = ScriptedEngine(crowd, capabilities=Capabilities(seeding="sample", concurrency=3))
    verdict = await GRMJudge(engine, judge_settings(k=6)).judge(item)
    assert (verdict.valid, crowd.most) == (6, 3)


@pytest.mark.parametrize(
    ("finish", "cause"), [("stop", "take its reasoning parser off"), ("length", "raise max_tokens")]
)
async def test_an_answer_that_is_all_reasoning_is_named_so(finish, cause):
    thought = Sample("", finish, 0, reasoning="Let me see: \\boxed{9, 1}")
    verdict, _ = await judged(lambda r, j: thought, pair(), k=2, retries=0)
    assert verdict.error.type == "NoValidJudgment"
    assert "only_reasoning 2" in verdict.error.message
    assert cause in verdict.error.message
