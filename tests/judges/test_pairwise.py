import pytest

from judges.judging import Remembers, item, judged, names_best, shown
from spct.engines.scripted import ScriptedEngine
from spct.errors import InputError, RejectedError, TemplateError
from spct.judges import load_judge
from spct.judges.settings import judge_settings
from spct.types import Usage


async def test_all_pairs_in_both_orders_and_the_score_is_the_pairs_won():
    engine = ScriptedEngine(names_best([2, 4, 1, 3]))
    verdict = await judged("pairwise", engine, item(4), k=1)
    assert verdict.totals == (1.0, 3.0, 0.0, 2.0)
    assert sorted(tuple(shown(request)) for request in engine.requests) == sorted(
        (a, b) for a in range(4) for b in range(4) if a != b
    )
    (judgment,) = verdict.judgments
    assert judgment.order == (0, 1, 2, 3)
    assert judgment.text.count("#### Best Response") == 12
    assert "[response 1 shown before response 2]\n#### Best Response" in judgment.text


async def test_orders_that_disagree_are_half_a_point_each():
    verdict = await judged("pairwise", ScriptedEngine(lambda r, j: r"\boxed{1}"), item(3), k=2)
    assert [j.scores for j in verdict.judgments] == [(1.0, 1.0, 1.0)] * 2
    assert verdict.tied == (0, 1, 2)

    def biased(request, j):  # for the first place, unless DELTA is there, which always wins
        places = shown(request)
        return rf"\boxed{{{places.index(3) + 1 if 3 in places else 1}}}"

    verdict = await judged("pairwise", ScriptedEngine(biased), item(4), k=1)
    assert verdict.totals == (1.0, 1.0, 1.0, 3.0)


async def test_rounds_share_prompts_and_their_answers_are_their_own():
    def script(request, j):
        return rf"\boxed{{{1 + (request.seed + j) % 2}}}"

    engine = ScriptedEngine(script)
    verdict = await judged("pairwise", engine, item(2), k=6)
    assert [request.n for request in engine.requests] == [6, 6]
    seeds = [range(request.seed, request.seed + 6) for request in engine.requests]
    assert not set(seeds[0]) & set(seeds[1])
    expected = []
    for r in range(6):
        forward, backward = (1 + s[r] % 2 for s in sorted(seeds, key=lambda s: shown_first(engine, s)))
        points = (forward == 1) + (backward == 2)
        expected.append((points / 2, 1 - points / 2))
    assert [j.scores for j in verdict.judgments] == expected


def shown_first(engine, seeds):
    return next(shown(request)[0] for request in engine.requests if request.seed == seeds[0])


async def test_an_unreadable_answer_is_retried_and_then_spoils_its_round_only():
    def script(request, j):
        if shown(request) == [0, 1] and (request.seed + j) % 3 == 0:
            return "neither"
        return names_best([1, 2])(request, j)

    first = await judged("pairwise", ScriptedEngine(script), item(2), k=3, retries=0)
    assert sorted(j.scores is None for j in first.judgments) == [False, False, True]
    (bad,) = [j for j in first.judgments if j.scores is None]
    assert bad.problem.code == "no_box"
    assert bad.problem.detail.startswith("response 1 shown before response 2: ")
    assert (first.valid, first.invalid, first.totals) == (2, 1, (0.0, 2.0))
    again = await judged("pairwise", ScriptedEngine(script), item(2), k=3, retries=2)
    assert (again.valid, again.totals) == (3, (0.0, 3.0))


async def test_stored_rounds_are_not_asked_again_and_a_larger_k_extends_them():
    def script(request, j):
        return rf"\boxed{{{1 + (request.seed + j) // 2 % 2}}}"

    whole = await judged("pairwise", ScriptedEngine(script), item(3), k=5)
    half = await judged("pairwise", ScriptedEngine(script), item(3), k=2)
    engine = ScriptedEngine(script)
    resumed = await judged("pairwise", engine, item(3), history=half.judgments, k=5)
    assert resumed.judgments == whole.judgments
    assert [request.n for request in engine.requests] == [3] * 6
    engine = ScriptedEngine([])
    assert (await judged("pairwise", engine, item(3), history=whole.judgments, k=5)).totals == whole.totals
    assert engine.requests == []
    fewer = await judged("pairwise", engine, item(3), history=whole.judgments, k=2)
    assert fewer.judgments == half.judgments


async def test_what_is_spent_is_recorded_request_by_request_and_each_round_once():
    memory = Remembers()
    verdict = await judged("pairwise", ScriptedEngine(names_best([1, 2, 3])), item(3), memory=memory, k=2)
    assert sum((usage for _, usage, _ in memory.requests), Usage()) == verdict.usage
    assert verdict.usage.requests == 6
    assert tuple(judgment for judgments, _, _ in memory.requests for judgment in judgments) == verdict.judgments
    asked = [prompt for judgments, _, prompt in memory.requests if not judgments]
    assert len(asked) == 6 and all("ALPHA" in p[-1].content or "BRAVO" in p[-1].content for p in asked)
    assert verdict.judgments[0].completion_tokens == 6 * 5


@pytest.mark.parametrize("n", [2, 3, 4, 5])
async def test_knockout_takes_n_minus_1_pairs_and_the_best_wins_every_round(n):
    quality = [3, 5, 1, 4, 2][:n]
    engine = ScriptedEngine(names_best(quality))
    verdict = await judged("pairwise", engine, item(n), options={"tournament": "knockout"}, k=4)
    assert verdict.best == quality.index(max(quality))
    assert verdict.tied == ()
    pairs = sum(request.n for request in engine.requests) / 2
    assert pairs == 4 * (n - 1)
    levels = {2: 1, 3: 2, 4: 2, 5: 3}[n]
    assert {max(j.scores) for j in verdict.judgments} == {levels}
    assert len({j.scores for j in verdict.judgments}) > 1 or n == 2  # another draw each round


async def test_a_knockout_repeats_itself_and_another_seed_draws_anew():
    options = {"tournament": "knockout"}
    runs = [await judged("pairwise", ScriptedEngine(names_best([3, 5, 1, 4, 2])), item(5), options=options, k=6, seed=s)
            for s in (0, 0, 1)]  # fmt: skip
    rows = [[j.scores for j in verdict.judgments] for verdict in runs]
    assert rows[0] == rows[1] != rows[2]


async def test_a_rejected_request_is_the_items_error():
    verdict = await judged("pairwise", ScriptedEngine(lambda r, j: RejectedError("too much")), item(2), k=1)
    assert (verdict.best, verdict.error.type, verdict.error.message) == (None, "RejectedError", "too much")


def test_what_it_cannot_do_is_said():
    engine = ScriptedEngine([])
    with pytest.raises(InputError, match="tournament is 'swiss'; expected all or knockout"):
        load_judge("pairwise", engine, judge_settings(), tournament="swiss")
    with pytest.raises(InputError, match="template grm-single does not"):
        load_judge("pairwise", engine, judge_settings(template="grm-single"))
    with pytest.raises(TemplateError, match="has 1 response; pairwise needs at least 2"):
        load_judge("pairwise", engine, judge_settings()).check(item(1))
