"""Runs of several judges joined into their jury's, voted on again, and put in figures."""

import json
from contextlib import closing
from statistics import mean

import pytest

from spct.bench.scoring.ballots import ballots_of
from spct.bench.scoring.jurors import curve_lines, escalation_curve, jury_agreement_lines
from spct.bench.scoring.jury_weights import learned_weights, weights_lines
from spct.bench.suites.grading import means_of
from spct.engines.scripted import ScriptedEngine, judgment_text
from spct.errors import InputError
from spct.judges import judge_of
from spct.judges.jury import JuryJudge, Member
from spct.judges.settings import judge_settings
from spct.run import RunStore, judge_items, opened_run
from spct.run.jury import join_runs, jury_of, samples_of_items
from spct.run.revote import revote
from spct.run.stored import stored_items, stored_settings
from spct.types import Item, Message
from spct.voting.accuracy import tie_credit
from spct.voting.jury import Juror, Jury
from spct.voting.orders import keyed_hash

ITEMS = [Item(f"q{n}", (Message("user", f"question {n}"),), (f"GOOD {n}", f"POOR {n}"), best=0) for n in range(40)]


def skilled(name, skill):
    """Scores the right response higher with this chance a judgment, by item and sample."""

    def script(request, j):
        text = request.messages[-1].content
        number = text.partition("question ")[2].split()[0]
        easy = keyed_hash(number, name) % 100 / 100
        right = keyed_hash(number, name, request.seed + j) % 100 / 100 < skill + 0.5 * (easy - 0.5)
        first = text.index("GOOD") < text.index("POOR")
        high, low = (8, 5) if right else (5, 7)
        return judgment_text([high, low] if first else [low, high], f"{request.seed + j}")

    return ScriptedEngine(script, name=name)


def judge(name, skill, k):
    return judge_of(skilled(name, skill), judge_settings(k=k))


async def judged(judge, out, items=ITEMS):
    with opened_run(out, judge, resume=False) as store:
        return [outcome.verdict async for outcome in judge_items(judge, items, in_flight=8, store=store)]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    import asyncio

    folder = tmp_path_factory.mktemp("jury")
    for name, skill, k in (("weak", 0.55, 4), ("strong", 0.9, 2)):
        asyncio.run(judged(judge(name, skill, k), folder / name))
    join_runs([folder / "weak", folder / "strong"], folder / "joined", weights=[1, 2])
    return folder


async def test_joined_runs_are_the_run_of_their_jury(runs, tmp_path):
    members = [Member("weak", judge("weak", 0.55, 4)), Member("strong", judge("strong", 0.9, 2), 2)]
    verdicts = await judged(JuryJudge(members), tmp_path / "together")
    with closing(RunStore.open(runs / "joined")) as store:
        rows = [row for _, row in store.verdict_rows()]
        _, settings = stored_settings(store)
        again = [stored.verdict.as_row() for stored in stored_items(store, settings)]
    assert rows == [json.loads(verdict.to_json()) for verdict in verdicts]
    assert again == [verdict.as_row() for verdict in verdicts]


def test_ballots_of_a_jury_add_up_to_its_votes(runs):
    with closing(RunStore.open(runs / "joined")) as store:
        ballots, rows = ballots_of(store), dict(store.verdict_rows())
    for position, item in enumerate(ITEMS):
        assert means_of(ballots[item.id]) == pytest.approx(rows[position]["means"])


@pytest.mark.parametrize("name, k", [("weak", 4), ("strong", 2)])
def test_a_vote_over_one_judge_is_that_judges_own(runs, name, k):
    with closing(RunStore.open(runs / name)) as store:
        alone = [row for _, row in store.verdict_rows()]
    with closing(RunStore.open(runs / "joined")) as store:
        _, settings = stored_settings(store)
        voted = [one.verdict for one in revote(store, jury_of(store, settings, judges=[name]))]
    assert [v.means for v in voted] == [tuple(row["means"]) for row in alone]
    assert [v.k for v in voted] == [k] * len(ITEMS)
    assert {v.jury.results[0].name for v in voted} == {name}
    assert all(len(v.judgments) == k for v in voted)


def test_standardised_scores_go_by_the_whole_run(runs):
    with closing(RunStore.open(runs / "joined")) as store:
        _, settings = stored_settings(store)
        chosen = jury_of(store, settings, comparable="standardised")
        scores = [s for position, _ in store.items() for j in store.history(position) if j.block < 1000
                  for s in j.scores]  # fmt: skip
        voted = [one.verdict for one in revote(store, chosen)]
    average, deviation = chosen.jury.jurors[0].moments
    assert average == pytest.approx(mean(scores))
    assert deviation == pytest.approx(mean((s - average) ** 2 for s in scores) ** 0.5)
    assert sum(v.means[0] > v.means[1] for v in voted) > len(ITEMS) / 2


def test_the_curve_is_the_votes_by_each_threshold(runs):
    with closing(RunStore.open(runs / "joined")) as store:
        _, settings = stored_settings(store)
        both = jury_of(store, settings)
        curve = escalation_curve(list(samples_of_items(store)), both.jury, (0.0, 0.9, 1.0))
        for step in curve.steps[:2]:
            voted = [one.verdict for one in revote(store, jury_of(store, settings, below=step.below))]
            credit = [tie_credit(v.means, 0) for v in voted]
            assert step.accuracy.value == pytest.approx(mean(credit))
            assert step.share == mean(v.jury.escalated for v in voted)
            assert step.second_calls == 2 * step.share
            handed = [c for c, v in zip(credit, voted, strict=True) if v.jury.escalated]
            assert step.handed_on == (pytest.approx(mean(handed)) if handed else None)
    never, middle, always = curve.steps
    assert (never.share, always.share) == (0, 1) and 0 < middle.share < 1
    assert never.accuracy.value == curve.first_accuracy.value < curve.second_accuracy.value == always.accuracy.value
    assert always.gap.value == 0 and never.gap.value < 0
    assert (curve.first_calls, curve.second_calls, curve.items) == (4, 2, 40)
    lines = list(curve_lines(curve))
    assert lines[2].startswith("| below | handed on | calls an item, weak + strong |")
    assert json.dumps(curve.as_row())


def test_weights_learned_from_labelled_items_favour_the_better_judge():
    def samples(n):
        right, wrong = (9, 2) if keyed_hash(n, "strong") % 10 else (2, 9)
        good, bad = (6, 5) if keyed_hash(n, "weak") % 2 else (5, 6)
        against = (1, 3)
        return {0: {0: ((0, 1), (good, bad)), 1000: ((0, 1), (right, wrong)), 2000: ((0, 1), against)}}

    judged = [(Item(f"q{n}", (Message("user", f"{n}"),), ("a", "b"), best=0), samples(n)) for n in range(200)]
    jury = Jury(tuple(Juror(name, place, 1, scale=(1, 10)) for place, name in enumerate(("weak", "strong", "against"))))
    found = learned_weights(judged, jury)
    weights = dict(zip(found.names, found.weights, strict=True))
    assert weights["strong"] == 1 and weights["against"] == 0 <= weights["weak"] < 1
    rightly = mean(keyed_hash(n, "strong") % 10 > 0 for n in range(200))
    assert found.learned.value >= rightly - 0.02 and found.items == 200
    assert next(iter(weights_lines(found))).startswith("weights: weak ")
    with pytest.raises(InputError, match="got 10 items"):
        learned_weights(judged[:10], jury)


def test_a_vote_by_other_weights(runs):
    with closing(RunStore.open(runs / "joined")) as store:
        _, settings = stored_settings(store)
        heavy = jury_of(store, settings, weights=[1, 1000])
        alone = jury_of(store, settings, judges=["strong"])
        pairs = zip(revote(store, heavy), revote(store, alone), strict=True)
        assert all(abs(a.verdict.means[0] - b.verdict.means[0]) < 0.02 for a, b in pairs)
        with pytest.raises(InputError, match="got 1 weights; expected one for each of weak, strong"):
            jury_of(store, settings, weights=[1])


def test_how_judges_agree_and_what_each_adds(runs):
    with closing(RunStore.open(runs / "joined")) as store:
        _, settings = stored_settings(store)
        lines = list(jury_agreement_lines(list(samples_of_items(store)), settings.jury))
    assert lines[2].startswith("| weak, strong | ")
    assert [line.split(" | ")[0].strip("| ") for line in lines[6:]] == ["all 2", "weak alone", "strong alone"]


def test_runs_that_do_not_join(runs, tmp_path):
    with pytest.raises(InputError, match="got 1 runs"):
        join_runs([runs / "weak"], tmp_path / "out")
    with pytest.raises(InputError, match="is a jury's already"):
        join_runs([runs / "weak", runs / "joined"], tmp_path / "out")
    with pytest.raises(InputError, match="2 runs, 1 names"):
        join_runs([runs / "weak", runs / "strong"], tmp_path / "out", names=["a"])
    with closing(RunStore.open(runs / "weak")) as store:
        _, settings = stored_settings(store)
        with pytest.raises(InputError, match="is a run of one judge; join runs into a jury with spct jury"):
            jury_of(store, settings)
    assert not (tmp_path / "out").exists()


async def test_runs_over_other_items_do_not_join(runs, tmp_path):
    await judged(judge("weak", 0.5, 1), tmp_path / "other", [Item("x", ITEMS[0].messages, ("GOOD", "POOR"))])
    with pytest.raises(InputError, match="without an item in common"):
        join_runs([runs / "weak", tmp_path / "other"], tmp_path / "out")
