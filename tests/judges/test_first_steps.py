"""First steps: what is written before the judgment, when, how often, and what becomes of it; and turns begun for the judge."""

import re
from dataclasses import replace

import pytest

from judges.judging import Remembers
from spct.engines.engine import Capabilities, Sample
from spct.engines.scripted import ScriptedEngine, judgment_text
from spct.errors import EngineError, InputError, TemplateError
from spct.judges import load_judge
from spct.judges.grm import GRMJudge
from spct.judges.settings import judge_settings
from spct.types import Item, Message, TokenLogprob
from spct.voting.ratings import Rating

QUERY = (Message("user", "Which number is largest?"),)


def pair(**changes):
    return replace(Item("pair", QUERY, ("LOW", "HIGH")), **changes)


def judging(script, *, meta=None, capabilities=None, **settings):
    engine = ScriptedEngine(script, capabilities=capabilities)
    return GRMJudge(engine, judge_settings(**settings), meta=meta), engine


def is_first(request):
    """Whether a request of own-answer or focus is that of its first step."""
    return "Your answer:" in request.messages[0].content or "Points to check" in request.messages[0].content


def prompts(engine, first):
    return [request.messages[-1].content for request in engine.requests if is_first(request) == first]


async def test_query_principles_are_written_once_before_any_response_is_seen():
    def script(request, j):
        text = request.messages[-1].content
        if "LOW" not in text:
            return "Specific Criteria:\n1. Magnitude (Weight: 100%)"
        assert "Magnitude" in text
        return judgment_text([2, 8])

    judge, engine = judging(script, k=2, principles="query")
    first = await judge.judge(pair())
    second = await judge.judge(pair(id="again", responses=("LOW", "LOWER")))
    assert first.totals == (10, 10)
    assert second.totals == (10, 10)
    assert sum("LOW" not in request.messages[-1].content for request in engine.requests) == 1


async def test_query_principles_that_never_come_are_the_items_error():
    judge, engine = judging(lambda r, j: "", principles="query", retries=1)
    verdict = await judge.judge(pair())
    assert verdict.error.type == "RequestError"
    assert verdict.error.message == ("the first step principles came to no text in 2 attempts: the completion is empty")
    assert len(engine.requests) == 2


async def test_the_judge_answers_alone_once_per_query_and_then_grades():
    def script(request, j):
        return "Nine, since 9 > 7.\n\\boxed{9, 1}" if is_first(request) else judgment_text([2, 8])

    judge, engine = judging(script, template="own-answer", k=4)
    memory = Remembers()
    item = pair()
    verdict = await judge.judge(item, memory)
    await judge.judge(pair(id="again", responses=("LOW", "LOWER")))
    (first,) = prompts(engine, first=True)
    assert "LOW" not in first
    assert "Which number is largest?" in first
    for prompt in prompts(engine, first=False):
        assert re.search(
            r"\[Begin own answer (\w+)\]\nNine, since 9 > 7.\n⧵boxed\{9, 1\}\n\[End own answer \1\]", prompt
        )
    assert [len(judgments) for judgments, _, _ in memory.requests] == [0, 2, 2]
    assert verdict.usage.requests == 3
    assert all(template._sealed.get(item) is None for template in judge.templates.values())  # nothing of it stays
    assert verdict.usage == sum((usage for _, usage, _ in memory.requests[1:]), memory.requests[0][1])


async def test_points_to_check_are_written_for_each_order_and_shown_to_it():
    def script(request, j):
        text = request.messages[0].content
        order = "LOW first" if text.index("LOW") < text.index("HIGH") else "HIGH first"
        if is_first(request):
            return f"#### Points to check\n1. {order}"
        assert "[Begin points to check" in text and f"\n1. {order}\n" in text
        return judgment_text([2, 8] if order == "LOW first" else [8, 2])

    judge, engine = judging(script, template="focus", k=6)
    verdict = await judge.judge(pair())
    assert verdict.totals == (12, 48)
    assert len(prompts(engine, first=True)) == 2
    assert [request.n for request in engine.requests if not is_first(request)] == [3, 3]


async def test_a_first_step_is_tried_again_under_another_seed():
    texts = iter(["", "It is nine."])
    judge, engine = judging(
        lambda r, j: next(texts) if is_first(r) else judgment_text([2, 8]), template="own-answer", k=2, retries=1
    )
    verdict = await judge.judge(pair())
    assert verdict.valid == 2
    first, again, *_ = engine.requests
    assert again.seed - first.seed == 4096


async def test_its_text_is_kept_by_the_memory_and_not_asked_for_again():
    judge, _ = judging(lambda r, j: "Nine." if is_first(r) else judgment_text([2, 8]), template="own-answer", k=1)
    memory = Remembers()
    memory.first_texts = {}
    await judge.judge(pair(), memory)
    assert list(memory.first_texts.values()) == ["Nine."]
    other, fresh = judging(lambda r, j: judgment_text([2, 8]), template="own-answer", k=1)
    await other.judge(pair(), memory)
    assert prompts(fresh, first=True) == []


async def test_blocks_have_points_of_their_own():
    def script(request, j):
        if is_first(request):
            return "#### Points to check\n1. " + " ".join(re.findall(r"answer-\d", request.messages[0].content))
        text = request.messages[0].content
        shown = re.findall(r"\[Begin response \d+ \w+\]\n(answer-\d)", text)
        assert "1. " + " ".join(shown) in text
        return judgment_text([int(name[-1]) for name in shown])

    judge, _ = judging(script, template="focus", k=1, block_size=2)
    item = Item("many", QUERY, ("answer-3", "answer-9", "answer-5"))
    verdict = await judge.judge(item)
    assert (verdict.best, verdict.invalid) == (1, 0)


async def test_copies_are_one_response_in_both_steps():
    def script(request, j):
        return "#### Points to check\n1. Both." if is_first(request) else judgment_text([2, 8])

    judge, engine = judging(script, template="focus", k=2)
    verdict = await judge.judge(pair(responses=("HIGH", "LOW", "HIGH")))
    assert all(prompt.count("HIGH") == 1 for prompt in prompts(engine, first=True))
    assert verdict.n == 3


async def test_a_prompt_that_does_not_fit_counts_its_first_text():
    def script(request, j):
        return "word " * 300 if is_first(request) else judgment_text([2, 8])

    capabilities = Capabilities(seeding="sample", context_tokens=900)
    judge, _ = judging(script, template="own-answer", k=1, max_tokens=300, capabilities=capabilities)
    verdict = await judge.judge(pair())
    assert verdict.error.type == "ContextLengthError"


class Rates:
    """A meta RM that keeps what it is asked."""

    model_id = "test:rates"
    special_tokens = ()

    def __init__(self):
        self.cases = []

    async def start(self):
        pass

    async def close(self):
        pass

    async def rate(self, cases):
        self.cases += cases
        return [Rating(1.0) for _ in cases]


async def test_the_meta_rm_reads_the_prompt_with_the_first_text():
    meta = Rates()
    judge, engine = judging(
        lambda r, j: "#### Points to check\n1. Size" if is_first(r) else judgment_text([2, 8]),
        template="focus", k=2, meta=meta,
    )  # fmt: skip
    await judge.judge(pair())
    assert {case.prompt[0].content for case in meta.cases} == set(prompts(engine, first=False))


@pytest.mark.parametrize("kind", ["pairwise", "llm-judge", "token-prob", "cloud"])
def test_only_the_judge_that_asks_for_first_steps_takes_such_a_template(kind):
    options = {"head": "classifier:none"} if kind == "cloud" else {}
    with pytest.raises((InputError, TemplateError)):
        load_judge(kind, ScriptedEngine([]), judge_settings(template="own-answer"), **options)


def test_settings_that_cannot_be():
    with pytest.raises(TemplateError, match="asks for a text and no scores; it cannot judge"):
        judging([], template="answer")
    with pytest.raises(
        TemplateError, match="own-answer has a first step of its own, and --principles query is another"
    ):
        judging([], template="own-answer", principles="query")


def begun(tmp_path, first="#### Specific Criteria"):
    path = tmp_path / "begun.jinja"
    block = f'{{% block after %}}{{% message "assistant" %}}{first}\n{{% endmessage %}}{{% endblock %}}'
    path.write_text(f'{{% extends "grm.jinja" %}}{block}', encoding="utf-8")
    return str(path)


async def test_a_begun_turn_is_part_of_the_judgment(tmp_path):
    tokens = tuple(TokenLogprob(t, -0.1, ((t, -0.1),)) for t in ("2", ", ", "8", "}"))

    def script(request, j):
        assert request.messages[-1] == Message("assistant", "Scores: \\boxed{")
        assert request.grammar is None
        return Sample("2, 8}", "stop", 0, logprobs=tokens)

    capabilities = Capabilities(seeding="sample", grammar="gbnf", logprobs=True, continues=True)
    meta = Rates()
    judge, _ = judging(
        script, template=begun(tmp_path, "Scores: \\boxed{"), k=1, rule="expected", ordering="fixed",
        capabilities=capabilities, meta=meta,
    )  # fmt: skip
    verdict = await judge.judge(pair())
    (judgment,) = verdict.judgments
    assert judgment.text == "Scores: \\boxed{2, 8}"
    assert judgment.scores == (2, 8)
    assert judgment.expected == pytest.approx((2, 8))
    (case,) = meta.cases
    assert [message.role for message in case.prompt] == ["user"]
    assert case.answer == judgment.text


async def test_an_engine_that_cannot_go_on_is_one_clear_error(tmp_path):
    judge, engine = judging(lambda r, j: "", template=begun(tmp_path), capabilities=Capabilities())
    with pytest.raises(
        EngineError, match="begins the assistant's turn with '#### Specific Criteria', and scripted:scripted"
    ):
        await judge.judge(pair())
    assert engine.requests == []
