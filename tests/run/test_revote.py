"""A run voted on anew is the run that would have been made."""

import math
from dataclasses import replace

import pytest

from spct.engines.engine import Sample
from spct.engines.scripted import ScriptedEngine, judgment_text
from spct.errors import InputError, RejectedError
from spct.judges.grm import GRMJudge
from spct.judges.settings import judge_settings
from spct.meta import load_meta
from spct.run import judge_items, open_run
from spct.run.rating import LARGEST_CHUNK, SMALLEST_CHUNK, chunk_size, rate_run
from spct.run.revote import choose_meta, revote, revote_settings
from spct.types import Item, Message, TokenLogprob
from spct.voting.noise import PILOT_ITEMS
from spct.voting.ratings import Rating, place_of


def item(number, n=3):
    responses = tuple(f"answer {i}" for i in range(n))
    return Item(f"q{number}", (Message("user", f"question {number}"),), responses, best=0)


def noisy(request, j):
    seed = request.seed + j
    if seed % 7 == 0:
        return "no box"
    return judgment_text([1 + seed % 9, 1 + seed // 11 % 9, 1 + seed // 101 % 9])


def failing(request, j):
    return RejectedError("no") if "question 3" in request.messages[0].content else noisy(request, j)


async def made(path, script=noisy, meta=None, count=12, **options):
    settings = judge_settings(**options)
    judge = GRMJudge(ScriptedEngine(script), settings, meta=meta)
    store = open_run(path, judge, resume=False)
    outcomes = judge_items(judge, [item(n) for n in range(count)], in_flight=4, store=store)
    verdicts = [outcome.verdict async for outcome in outcomes]
    store.flush()
    return store, settings, verdicts


def rows(found):
    return [voted.verdict.as_row() for voted in found]


async def test_the_same_vote_again(tmp_path):
    store, settings, verdicts = await made(tmp_path, k=6)
    found = list(revote(store, revote_settings(store, settings)))
    assert [
        replace(voted.verdict, usage=verdict.usage) for voted, verdict in zip(found, verdicts, strict=True)
    ] == verdicts
    assert [voted.item for voted in found] == [item(n) for n in range(12)]
    store.close()


@pytest.mark.parametrize("k", [1, 4, 5])
async def test_the_first_k_are_those_of_a_run_with_that_k(tmp_path, k):
    large, settings, _ = await made(tmp_path / "large", k=8)
    small, _, verdicts = await made(tmp_path / "small", k=k)
    found = list(revote(large, revote_settings(large, settings, k=k)))
    assert rows(found) == [verdict.as_row() for verdict in verdicts]
    assert [voted.verdict.judgments for voted in found] == [verdict.judgments for verdict in verdicts]
    large.close()
    small.close()


async def test_other_rules(tmp_path):
    store, settings, _ = await made(tmp_path / "sum", k=4)
    other, _, verdicts = await made(tmp_path / "other", k=4, rule="mean", tie_rule="last")
    changed = revote_settings(store, settings, rule="mean", tie_rule="last")
    assert rows(revote(store, changed)) == [verdict.as_row() for verdict in verdicts]
    store.close()
    other.close()


async def test_an_adaptive_run_keeps_to_what_it_sampled(tmp_path):
    store, settings, verdicts = await made(tmp_path, k=8, adaptive=0.8, count=PILOT_ITEMS + 10)
    assert min(verdict.sampled for verdict in verdicts) < 8
    assert rows(revote(store, revote_settings(store, settings))) == [verdict.as_row() for verdict in verdicts]
    store.close()


async def test_rated_later_is_rated_at_once(tmp_path):
    meta = load_meta("random:5")
    at_once, _, verdicts = await made(tmp_path / "at once", meta=meta, k=8, k_meta=3)
    later, settings, _ = await made(tmp_path / "later", k=8)
    totals = await rate_run(later, settings, meta)
    valid = sum(verdict.valid for verdict in verdicts)
    assert (totals.rated, totals.problems, totals.already) == (valid, 0, 0)
    assert (await rate_run(later, settings, meta)).already == valid
    changed = revote_settings(later, settings, meta="random:5", k_meta=3)
    found = list(revote(later, changed, "random:5"))
    assert rows(found) == [verdict.as_row() for verdict in verdicts]
    assert [voted.verdict.kept for voted in found] == [verdict.kept for verdict in verdicts]
    at_once.close()
    later.close()


async def test_a_chunk_is_stored_before_the_next(tmp_path):
    store, settings, _ = await made(tmp_path, k=32, count=16)
    seen = []
    await rate_run(
        store, settings, load_meta("random"), on_chunk=lambda t: seen.append((t.rated, store.count("ratings")))
    )
    assert len(seen) >= 2
    assert all(rated == stored for rated, stored in seen)
    assert seen[0][0] >= SMALLEST_CHUNK
    store.close()


async def test_judgments_it_could_not_rate_are_asked_about_again_only_if_wanted(tmp_path):
    store, settings, _ = await made(tmp_path, k=4)
    oracle = load_meta("oracle")
    without_truth = [Item(f"q{n}", (Message("user", f"question {n}"),), item(n).responses) for n in range(12)]
    judge = GRMJudge(ScriptedEngine(noisy), settings)
    blind = open_run(tmp_path / "blind", judge, resume=False)
    _ = [outcome async for outcome in judge_items(judge, without_truth, in_flight=2, store=blind)]
    first = await rate_run(blind, settings, oracle)
    assert first.rated == 0
    assert first.example == "the item has no ground truth with a unique best"
    assert (await rate_run(blind, settings, oracle)).already == first.problems
    assert (await rate_run(blind, settings, oracle, retry_problems=True)).problems == first.problems
    found = list(revote(blind, revote_settings(blind, settings, meta=oracle.model_id), oracle.model_id))
    assert {voted.verdict.error.type for voted in found} == {"NoRating"}
    store.close()
    blind.close()


async def test_an_item_that_failed_keeps_its_error(tmp_path):
    store, settings, verdicts = await made(tmp_path, failing, k=4, count=5)
    found = list(revote(store, revote_settings(store, settings, k=2)))
    assert found[3].verdict.error.type == verdicts[3].error.type == "RejectedError"
    assert [voted.verdict.error is None for voted in found] == [True, True, True, False, True]
    store.close()


async def test_unfinished_items_are_left_out(tmp_path):
    store, settings, _ = await made(tmp_path, k=2, count=3)
    store.add_item(3, item(3))
    assert [voted.verdict is None for voted in revote(store, settings)] == [False, False, False, True]
    store.close()


async def test_blocks_are_reconciled_as_the_judge_does(tmp_path):
    def shown(request, j):
        seed = request.seed + j
        count = request.messages[0].content.count("[Begin response")
        return judgment_text([1 + seed // 7**i % 9 for i in range(count)])

    store, settings, verdicts = await made(tmp_path, shown, k=4, block_size=2)
    assert rows(revote(store, settings)) == [verdict.as_row() for verdict in verdicts]
    store.close()


async def test_what_the_run_does_not_hold_is_asked_for(tmp_path):
    store, settings, _ = await made(tmp_path, k=4)
    with pytest.raises(InputError, match="k is 5 and the run has 4 judgments an item"):
        revote_settings(store, settings, k=5)
    with pytest.raises(InputError, match=r"no judgment in .* has an expected score"):
        revote_settings(store, settings, rule="expected")
    with pytest.raises(InputError, match=r"has no ratings by 'x' \(there are no ratings\)"):
        choose_meta(store, "x", None)
    await rate_run(store, settings, load_meta("random"))
    with pytest.raises(InputError, match="k_meta is 5; expected 1 to k = 4"):
        revote_settings(store, settings, meta="random:0", k_meta=5)
    with pytest.raises(InputError, match=r"has no ratings by 'x' \(there are ratings by random:0\)"):
        choose_meta(store, "x", None)
    assert choose_meta(store, "none", "random:0") is None
    assert choose_meta(store, None, "random:0") == "random:0"
    assert choose_meta(store, None, None) is None
    store.close()


async def test_half_rated_runs_say_how_much_is_missing(tmp_path):
    store, settings, verdicts = await made(tmp_path, k=4)
    first = next(judgment for judgment in verdicts[0].judgments if judgment.problem is None)
    store.record_ratings(0, "m:x", {place_of(first): Rating(0.5)})
    missing = sum(verdict.valid for verdict in verdicts) - 1
    assert store.count_unrated("m:x", 4) == missing
    with pytest.raises(InputError, match=f"{missing} valid judgments of the first 4 an item have no rating by 'm:x'"):
        revote_settings(store, settings, meta="m:x")
    store.close()


async def test_expected_scores_from_the_store(tmp_path):
    def sure(request, j):
        seed = request.seed + j
        scores = [1 + seed % 9, 1 + seed // 11 % 9, 1 + seed // 101 % 9]
        text = "\\boxed{" + ", ".join(map(str, scores)) + "}"
        tokens = [TokenLogprob("\\boxed{", 0.0)]
        for place, score in enumerate(scores):
            other = score % 9 + 1
            top = ((str(score), math.log(0.8)), (str(other), math.log(0.2)))
            tokens.append(TokenLogprob(str(score), math.log(0.8), top))
            tokens.append(TokenLogprob(", " if place < 2 else "}", 0.0))
        return Sample(text, "stop", 0, logprobs=tuple(tokens))

    by_sum, settings, _ = await made(tmp_path / "sum", sure, k=4, top_logprobs=10)
    by_expected, _, verdicts = await made(tmp_path / "expected", sure, k=4, top_logprobs=10, rule="expected")
    changed = revote_settings(by_sum, settings, rule="expected")
    assert rows(revote(by_sum, changed)) == [verdict.as_row() for verdict in verdicts]
    by_sum.close()
    by_expected.close()


@pytest.mark.parametrize(
    ("rated", "seconds", "raters", "size"),
    [
        (0, 0.0, 1, SMALLEST_CHUNK),
        (16, 5.0, 1, SMALLEST_CHUNK),
        (100, 4.0, 1, 50),
        (4000, 10.0, 8, 100),
        (4000, 10.0, 1, LARGEST_CHUNK),
    ],
)
def test_a_chunk_is_what_a_meta_rm_rates_in_about_two_seconds(rated, seconds, raters, size):
    assert chunk_size(rated, seconds, raters) == size
