import re
from dataclasses import dataclass, field

import pytest

from judges.judging import item, judged, shown
from spct.classifiers import Score
from spct.engines.engine import Capabilities
from spct.engines.scripted import Sample, ScriptedEngine
from spct.errors import ContextLengthError, InputError
from spct.judges import load_judge
from spct.judges.cloud import CRITIQUE_REQUEST
from spct.judges.settings import judge_settings
from spct.types import Message


@dataclass
class ReadsNumbers:
    """A head whose score is the number in the critique."""

    seen: list = field(default_factory=list)
    closed: bool = False
    model_id = "own:numbers"
    protocol = {"form": "chat"}  # noqa: RUF012
    configuration = {"labels": 1}  # noqa: RUF012
    notes = ()
    capabilities = Capabilities(special_tokens=("<|end|>",))

    async def start(self):
        return

    async def close(self):
        self.closed = True

    async def score(self, conversations):
        self.seen += conversations
        numbers = [re.search(r"-?\d+", conversation[-1].content) for conversation in conversations]
        return [Score(float(n.group())) if n else Score(None, "no number") for n in numbers]


def critic(request, j):
    return f"<think>Hm.</think>Worth {10 * (shown(request)[0] + 1) + (request.seed + j) % 4}."


async def test_k_critiques_a_response_and_their_scores_averaged():
    head, engine = ReadsNumbers(), ScriptedEngine(critic)
    verdict = await judged("cloud", engine, item(3), options={"head": head}, k=4)
    assert [(shown(request), request.n) for request in engine.requests] == [([0], 4), ([1], 4), ([2], 4)]
    columns = [[10 * (r + 1) + (request.seed + j) % 4 for j in range(4)] for r, request in enumerate(engine.requests)]
    assert [j.scores for j in verdict.judgments] == list(zip(*columns, strict=True))
    assert verdict.means == tuple(sum(column) / 4 for column in columns)
    assert verdict.best == 2
    assert "no score, no verdict" in engine.requests[0].messages[-1].content
    assert verdict.usage.requests == 3 + 12


async def test_the_head_reads_conversation_response_and_critique():
    head = ReadsNumbers()
    engine = ScriptedEngine(lambda r, j: "<think>5</think>\nGood<|end|> 7")
    await judged("cloud", engine, item(1), options={"head": head}, k=1)
    assert head.seen == [
        (
            Message("user", "Which is best?"),
            Message("assistant", "ALPHA"),
            Message("user", CRITIQUE_REQUEST),
            Message("assistant", "Good<·|end|> 7"),
        )
    ]


async def test_a_critique_that_fails_is_retried_and_then_spoils_its_judgment_only():
    def script(request, j):
        if shown(request) == [1] and (request.seed + j) % 4096 == bad:
            return Sample("cut sh", "length", 0)
        return "8"

    engine = ScriptedEngine(lambda r, j: "8")
    await judged("cloud", engine, item(2), options={"head": ReadsNumbers()}, k=3)
    bad = (engine.requests[1].seed + 1) % 4096
    verdict = await judged("cloud", ScriptedEngine(script), item(2), options={"head": ReadsNumbers()}, k=3, retries=0)
    assert [j.scores for j in verdict.judgments] == [(8.0, 8.0), None, (8.0, 8.0)]
    problem = verdict.judgments[1].problem
    assert (problem.code, problem.detail[:24]) == ("truncated", "critique of response 2: ")
    head = ReadsNumbers()
    once = ScriptedEngine(lambda r, j: "" if r.seed // 4096 % 2 == engine.requests[0].seed // 4096 % 2 else "9")
    verdict = await judged("cloud", once, item(1), options={"head": head}, k=2, retries=1)
    assert [j.scores for j in verdict.judgments] == [(9.0,), (9.0,)]


async def test_a_head_without_a_number_is_an_invalid_judgment():
    verdict = await judged(
        "cloud", ScriptedEngine(lambda r, j: "Good."), item(1), options={"head": ReadsNumbers()}, k=1
    )
    assert (verdict.best, verdict.judgments[0].problem.code) == (None, "no_score")
    assert verdict.judgments[0].problem.detail == "response 1: no number"


async def test_resume_asks_only_for_what_is_missing():
    options = {"head": ReadsNumbers()}
    whole = await judged("cloud", ScriptedEngine(critic), item(2), options=options, k=5)
    half = await judged("cloud", ScriptedEngine(critic), item(2), options=options, k=2)
    engine = ScriptedEngine(critic)
    resumed = await judged("cloud", engine, item(2), history=half.judgments, options=options, k=5)
    assert resumed.judgments == whole.judgments
    assert [request.n for request in engine.requests] == [3, 3]


async def test_a_critique_too_long_for_the_head_is_the_items_error():
    @dataclass
    class Short(ReadsNumbers):
        async def score(self, conversations):
            raise ContextLengthError("a text has 600 tokens and the head reads at most 512")

    verdict = await judged("cloud", ScriptedEngine(critic), item(1), options={"head": Short()}, k=1)
    assert (verdict.best, verdict.error.type) == (None, "ContextLengthError")


async def test_both_models_are_named_started_and_closed():
    head = ReadsNumbers()
    judge = load_judge("cloud", ScriptedEngine(critic, name="critic"), judge_settings(), head=head)
    described = judge.describe()
    assert described["model"] == "scripted:critic + own:numbers"
    assert (described["head.form"], described["template"], described["temperature"]) == ("chat", "critique", 0.5)
    again = load_judge("cloud", judge.engine, judge_settings(), head="classifier:not-looked-at")
    assert again.describe() == described
    await judge.engine.start()
    await judge.engine.close()
    assert head.closed
    with pytest.raises(InputError, match="template judge does not need single"):
        load_judge("cloud", ScriptedEngine(critic), judge_settings(template="judge"), head=head)
    with pytest.raises(InputError, match="the judge cloud needs a head"):
        load_judge("cloud", ScriptedEngine(critic), judge_settings())
