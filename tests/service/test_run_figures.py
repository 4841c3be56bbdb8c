from math import log, sqrt

import pytest

from service.serving import item
from spct.run.asks import Asked
from spct.service import run_figures
from spct.service.run_figures import IDLE_S, LONGEST_NAME, MOST_RUNS, OTHER, RunFigures, RunsSeen, edges_of
from spct.types import ItemError, Judgment
from spct.voting.vote import decide


def verdict(*scores, invalid=0):
    n = len(scores)
    judgments = [Judgment(0, tuple(range(n)), 0, "", "stop", scores)]
    return decide(judgments, id="", n=n, k=1 + invalid)


def no_verdict(n):
    return decide([], id="", n=n, k=1, error=ItemError("NoValidJudgment", "nothing to vote on"))


def asked(*copies, run="r", step=None):
    return Asked(run, step, tuple(("",) * count for count in copies))


def figures():
    return RunFigures(edges_of((1, 10)))


def test_a_group_by_hand():
    found = figures()
    found.saw(asked(1, 2, step=7), item("aaa", "b"), verdict(9, 3))
    assert (found.step, found.groups, found.compared, found.equal, found.tied) == (7, 1, 1, 0, 0)
    assert (found.rollouts, found.reward) == (3, 15)
    assert found.spread == pytest.approx(sqrt(12))  # 9, 3, 3 about 5
    assert found.length_correlation == pytest.approx(1)
    assert {edge: count for edge, count in zip(found.edges, found.buckets, strict=False) if count} == {3: 2, 9: 1}


def test_groups_that_teach_nothing_and_groups_without_a_reward_are_counted():
    found = figures()
    found.saw(asked(4), item("one text"), verdict(5))  # four rollouts wrote the same
    found.saw(asked(1, 1), item("a", "b"), verdict(5, 5))
    found.saw(asked(1), item("alone"), verdict(5))
    found.saw(asked(1, 1), item("a", "b"), no_verdict(2))
    found.saw(asked(1, 1), item("a", "b"), verdict(float("nan"), 5.0))
    assert (found.groups, found.compared, found.equal, found.tied, found.without_reward) == (3, 2, 2, 1, 2)
    assert found.spread == 0
    assert found.length_correlation is None


def test_confidence_and_invalid_judgments_are_summed():
    found = figures()
    whole = verdict(9, 1)
    found.saw(asked(1, 1), item("a", "b"), whole)
    found.saw(asked(1, 1), item("a", "b"), no_verdict(2))
    assert (found.confident, found.confidence) == (1, whole.confidence)
    assert (found.valid, found.invalid) == (1, 0)


def test_the_correlation_is_over_the_gaps_within_groups():
    found = figures()
    found.saw(asked(1, 1), item("a", "aaaa"), verdict(2, 8))
    found.saw(asked(1, 1), item("a", "aaaa"), verdict(3, 1))
    gap = (log(5) - log(2)) / 2
    kept = 1 - 1 / run_figures.MEMORY
    product, rewards, lengths = (kept * 6 - 2) * gap, kept * 18 + 2, (kept + 1) * 2 * gap * gap
    assert found.length_correlation == pytest.approx(product / sqrt(rewards * lengths))


def test_edges_cover_the_scale_and_nobody_states_one_for_scalar_models():
    assert edges_of((1, 10)) == tuple(1 + i / 2 for i in range(19))
    assert edges_of((0, 1)) == tuple(i / 20 for i in range(21))
    assert edges_of(None)[0] == -10 and edges_of(None)[-1] == 10
    outside = RunFigures(edges_of((0, 1)))
    outside.saw(asked(1), item("a"), verdict(3))
    assert outside.buckets[-1] == 1


def test_made_up_names_of_runs_take_no_more_than_their_places():
    runs = RunsSeen()
    for number in range(10 * MOST_RUNS):
        runs.of("", f"run {number}", (1, 10)).saw(asked(1), item("a"), verdict(3))
    assert len(runs.by_run) == MOST_RUNS + 1
    assert runs.by_run["", OTHER].groups == 9 * MOST_RUNS
    assert runs.by_run["", "run 0"].groups == 1


def test_a_run_may_be_called_what_the_others_are():
    runs = RunsSeen()
    assert runs.of("", OTHER, None) is runs.by_run["", OTHER]
    for number in range(MOST_RUNS):
        runs.of("", f"run {number}", None)
    assert len(runs.by_run) == MOST_RUNS + 1  # it took no place of theirs


def test_a_key_has_its_share_of_the_runs_whatever_another_names():
    runs = RunsSeen(callers=2)
    for number in range(2 * MOST_RUNS):
        runs.of("hostile", f"run {number}", None)
    assert runs.of("other", "mine", None) is runs.by_run["other", "mine"]
    assert runs.of("other", "run 0", None) is not runs.of("hostile", "run 0", None)


def test_a_run_that_is_long_still_makes_room_for_another():
    runs = RunsSeen()
    for number in range(MOST_RUNS):
        runs.of("", f"run {number}", None)
    runs.by_run["", "run 3"].seen -= IDLE_S + 1
    assert runs.of("", "new", None) is runs.by_run["", "new"]
    assert ("", "run 3") not in runs.by_run
    assert runs.of("", "newer", None) is runs.by_run["", OTHER]


def test_names_of_runs_are_cut_and_hold_nothing_that_a_terminal_obeys():
    runs = RunsSeen()
    runs.of("", "x" * 1000, None)
    runs.of("", "a\x1b[2J\nb", None)
    assert set(runs.by_run) == {("", "x" * LONGEST_NAME), ("", "a\\x1b[2J b")}
