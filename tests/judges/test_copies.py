"""Responses of equal text: judged once, whoever judges; one score and one reward for all copies."""

import pytest

from judges.judging import NAMES, Remembers, item, shown
from judges.test_contract import made, run
from spct.adapters.best_of_n import best_of_n
from spct.engines.scripted import ScriptedEngine, judgment_text
from spct.grm import GRM
from spct.items.copies import copies_of
from spct.judges import JUDGES
from spct.judges.grm import GRMJudge
from spct.judges.settings import judge_settings
from spct.meta.cases import make_cases
from spct.run import RunStore, judge_items, open_run
from spct.run.revote import revote
from spct.run.stored import stored_items, stored_settings

A, B, C = NAMES[:3]


def noisy(request, j):
    """Every place gets a score of its own: were a text shown twice, its copies would differ."""
    return judgment_text([1 + (request.seed + j + 3 * place) % 9 for place in range(len(shown(request)))])


@pytest.mark.parametrize("kind", JUDGES)
@pytest.mark.parametrize("responses", [(A, B, A), (B, A, A, C, B), (A, A)])
async def test_copies_share_one_score(kind, responses):
    (verdict,), _ = await run(kind, [item(2, responses=responses)], k=4)
    assert verdict.error is None
    assert verdict.n == len(verdict.means) == len(responses)
    for group in copies_of(responses).groups:
        assert len({verdict.means[i] for i in group}) == 1
    if verdict.best in next(group for group in copies_of(responses).groups if len(group) > 1):
        assert verdict.tied
    for judgment in verdict.judgments:
        assert sorted(judgment.order) == list(range(len(responses)))


@pytest.mark.parametrize("kind", JUDGES)
async def test_a_run_with_copies_is_resumed(kind, tmp_path):
    items = [item(2, id=str(n), responses=(A, B, A)) for n in range(3)]
    whole, _ = await run(kind, items, k=4)
    store = RunStore.create(tmp_path, {})
    await run(kind, items[:2], store, k=2)
    resumed, _ = await run(kind, items, store, k=4)
    assert [verdict.as_row() for verdict in resumed] == [verdict.as_row() for verdict in whole]
    store.close()


async def test_each_text_is_shown_once_and_nothing_stored_is_asked_again():
    engine = ScriptedEngine(noisy)
    judge = GRMJudge(engine, judge_settings(k=4))
    asked = item(2, responses=(A, B, A, A))
    memory = Remembers()
    verdict = await judge.judge(asked, memory)
    assert all(sorted(shown(request)) == [0, 1] for request in engine.requests)
    recorded = [judgment for judgments, *_ in memory.requests for judgment in judgments]
    assert all(len(judgment.order) == len(judgment.scores) == 4 for judgment in recorded)
    count = len(engine.requests)
    again = await judge.judge(asked, Remembers(recorded))
    assert (again.as_row(), len(engine.requests)) == (verdict.as_row(), count)
    (case, *_) = make_cases(asked, recorded, judge.template_of(asked))
    assert sum(message.content.count(A) for message in case.prompt) == 1
    assert case.judgment.scores == tuple(recorded[0].scores[:2])


async def test_blocks_hold_all_copies_of_a_text():
    engine = ScriptedEngine(noisy)
    judge = GRMJudge(engine, judge_settings(k=3, block_size=2))
    verdict = await judge.judge(item(2, responses=(A, B, C, A, B)))
    assert verdict.means[0] == verdict.means[3] and verdict.means[1] == verdict.means[4]
    assert max(len(shown(request)) for request in engine.requests) == 2


async def test_votes_of_a_run_show_and_best_of_n_agree(tmp_path):
    asked = item(2, responses=(A, B, A))
    judge = GRMJudge(ScriptedEngine(noisy), judge_settings(k=4))
    store = open_run(tmp_path, judge, resume=False)
    (verdict,) = [outcome.verdict async for outcome in judge_items(judge, [asked], in_flight=1, store=store)]
    _, settings = stored_settings(store)
    (stored,) = stored_items(store, settings)
    (voted,) = revote(store, settings)
    store.close()
    assert stored.verdict.means == voted.verdict.means == verdict.means
    best = best_of_n(GRM(ScriptedEngine(noisy), k=4), "Which is best?", [A, B, A])
    assert best.rewards == verdict.means


async def test_a_judge_of_pairs_has_nothing_to_ask_of_one_text():
    judge = made("pairwise", k=2)
    verdict = await judge.judge(item(2, responses=(A, A)))
    assert (verdict.means, verdict.tied, judge.engine.requests) == ((0.0, 0.0), (0, 1), [])
