import math
import random

import pytest

from bench.runs import pair, write_run
from spct.bench.audit.audit import audit, audit_lines, audit_markdown, shown
from spct.bench.audit.domains import domain_ranks, domains
from spct.bench.audit.evidence import Evidence, Judged, evidence_of, whole_ballots
from spct.bench.audit.probes import (
    length,
    length_in_groups,
    position,
    same_name,
    score_use,
    self_preference,
    style,
)
from spct.bench.scoring.stored import open_stored
from spct.bench.suites.benchmark import Ballot
from spct.bench.suites.grading import means_of
from spct.types import Item, Message


def judged(item, *ballots):
    return Judged(item, item.id, tuple(whole_ballots(ballots)), means_of(ballots))


def evidence(*found, **values):
    return Evidence("judge", found, planned=sum(len(j.valid) for j in found), missing=0.0, invalid_codes={},
                    completions=10, **values)  # fmt: skip


def forth(*scores):
    return Ballot(scores, (0, 1))


def back(*scores):
    return Ballot(scores, (1, 0))


def only(findings, name):
    return next(finding for finding in findings if finding.name == name)


def test_position_by_hand():
    """The right one is first in three judgments (2 right, 1 tie) and last in two (1 right): 2.5/3 - 1/2."""
    found = list(position(evidence(
        judged(pair("a"), forth(9, 1), forth(9, 1), back(9, 1)),
        judged(pair("b"), forth(5, 5), back(1, 9)),
    )))  # fmt: skip
    lean = only(found, "accuracy, right one first less last")
    assert lean.figure.value == pytest.approx(2.5 / 3 - 0.5)
    assert lean.detail["by_place"] == {
        "1 of 2": {"accuracy": 2.5 / 3, "judgments": 3},
        "2 of 2": {"accuracy": 0.5, "judgments": 2},
    }


def test_self_agreement_by_hand():
    """Item a: of two pairs across orders both agree, one pair within agrees. Item b: one across, tied against right."""
    found = list(position(evidence(
        judged(pair("a"), forth(9, 1), forth(8, 1), back(9, 1)),
        judged(pair("b"), forth(5, 5), back(1, 9)),
    )))  # fmt: skip
    across = only(found, "self-agreement across orders")
    assert across.figure.value == pytest.approx(2 / 3)
    assert across.detail == {"pairs_across": 3, "pairs_within": 1}
    assert only(found, "agreement lost by changing the order").figure.value == pytest.approx(1 - 2 / 3)


def test_position_is_clear_for_a_judge_that_always_takes_the_first():
    found = list(position(evidence(*(judged(pair(str(i)), forth(9, 1), back(1, 9)) for i in range(30)))))
    lean = only(found, "accuracy, right one first less last")
    assert (lean.figure.value, lean.figure.low) == (1, pytest.approx(0.8395, abs=1e-4))
    assert lean.sentence == "Single judgments: it favours what is shown first."


def test_one_order_or_single_responses_cannot_tell_position():
    one_order = list(position(evidence(judged(pair("a"), forth(9, 1)))))
    assert [finding.measurable for finding in one_order] == [False, False]
    assert "one and the same order" in one_order[0].sentence


def test_length_by_hand():
    """Right one longer: 1 of 2. Right one shorter: 1 of 1. The longer one is right in 2 of 3."""
    long_right = [pair(id, responses=("abcdef", "abc")) for id in "ab"]
    short_right = pair("c", responses=("abc", "abcdef"))
    found = list(length(evidence(
        judged(long_right[0], forth(9, 1)), judged(long_right[1], forth(1, 9)), judged(short_right, forth(6, 5)),
    )))  # fmt: skip
    assert only(found, "accuracy, right one longer less shorter").figure.value == pytest.approx(0.5 - 1)
    assert only(found, "baseline: the longer one is right").figure.value == pytest.approx(2 / 3)
    stretch = math.log(7 / 4)
    top, squares = (8 - 8 - 1) * stretch, (64 + 64 + 1) * 3 * stretch**2
    correlation = only(found, "correlation of score and log length in pairs")
    assert correlation.figure.value == pytest.approx(top / math.sqrt(squares))


def test_style_uses_the_cells_of_rm_bench():
    """Right where the chosen one is at least as fancy, wrong where the rejected one is: easy 1, hard 0."""
    styles = ["concise", "detailed", "markdown"] * 2
    six = pair("a", best=None, responses=tuple("abcdef"), styles=styles)
    six = type(six)(six.id, six.messages, six.responses, rewards_N=(1.0,) * 3 + (0.0,) * 3, extra=six.extra)
    found = next(iter(style(evidence(judged(six, Ballot((2, 4, 6, 1, 3, 5), tuple(range(6))))))))
    assert found.figure.value == 1.0
    assert (found.detail["easy"], found.detail["hard"], found.detail["pairs"]) == (1.0, 0.0, 9)
    assert not next(iter(style(evidence(judged(pair("a"), forth(2, 1)))))).measurable


def test_domain_spread_and_ranks_by_hand():
    items = [pair(f"{domain}{i}", domain=domain) for domain in ("x", "y") for i in range(6)]
    good = evidence(*(judged(item, forth(2, 1)) for item in items))
    mixed = evidence(*(judged(item, forth(2, 1) if item.extra["domain"] == "x" else forth(1, 2)) for item in items))
    spread = next(iter(domains(mixed)))
    assert spread.figure.value == 0.5
    assert spread.detail["accuracy"] == {"x": 1.0, "y": 0.0}
    first, second = domain_ranks([good, mixed])
    assert (first.figure.value, second.figure.value) == (1.25, 1.75)
    assert first.detail["ranks"] == {"x": 1.5, "y": 1.0}
    other = evidence(judged(items[0], forth(2, 1)))
    assert not domain_ranks([good, other])[0].measurable


def test_use_of_the_scale():
    found = list(score_use(evidence(judged(pair("a"), forth(5, 5), forth(7, 5)), judged(pair("b"), forth(6, 6)))))
    assert only(found, "single judgments tied for first").figure.value == pytest.approx(2 / 3)
    assert only(found, "votes tied for first").figure.value == 0.5
    most = only(found, "share of the most used score")
    assert most.figure.value == 0.5
    assert most.detail["histogram"] == {"5": 3, "6": 2, "7": 1}


def test_self_preference_by_hand():
    """Own right: 2 of 2. Own wrong: 1 of 2 seen. A pair by two others does not count."""

    def by(id, *writers):
        return pair(id, writers=list(writers))

    found = next(iter(self_preference(evidence(
        judged(by("a", "maker/Model-1", "other"), forth(2, 1)), judged(by("b", "model-1", "other"), forth(2, 1)),
        judged(by("c", "other", "Model 1"), forth(2, 1)), judged(by("d", "other", "model-1"), forth(1, 2)),
        judged(by("e", "other", "third"), forth(1, 2)), judge_name="Model-1",
    ))))  # fmt: skip
    assert found.figure.value == 0.5
    assert found.detail == {"pairs": 4, "own_right": 1.0, "own_wrong": 0.5}
    nameless = next(iter(self_preference(evidence(judged(by("a", "m", "o"), forth(2, 1))))))
    assert "--judge-name" in nameless.sentence


def test_names_of_writers():
    assert same_name("google/Gemma-2-27b-it", "gemma_2_27B_it")
    assert not same_name("gpt-4o", "gpt-4o-mini")
    assert not same_name("", None)


def test_five_items_are_too_few_for_the_interval_of_a_correlation():
    items = [pair(str(i), responses=("a longer one", "short")) for i in range(5)]
    found = only(length(evidence(*(judged(item, forth(9, 1)) for item in items))),
                 "correlation of score and log length in pairs")  # fmt: skip
    assert (found.figure.value, found.figure.low, found.figure.n) == (pytest.approx(1.0), None, 5)
    assert shown(found) == "+1.00 (n = 5, no interval: 5 prompts are too few for a bootstrap)"
    assert found.sentence == "Within pairs nothing can be told, since 5 prompts are too few for a bootstrap."


def test_the_interval_of_the_spread_over_domains_holds_it():
    """Eight domains of ten items whose accuracies differ by chance alone: resampling adds as much noise again."""
    dice = random.Random(5)
    rows = [
        judged(pair(f"{domain}{i}", domain=domain), forth(2, 1) if dice.random() < 0.7 else forth(1, 2))
        for domain in "abcdefgh"
        for i in range(10)
    ]
    found = next(iter(domains(evidence(*rows))))
    assert found.figure.low <= found.figure.value <= found.figure.high
    assert found.figure.n == 80
    assert "of the spread the noise of so few items is about" in found.sentence


def test_an_audit_of_a_run(tmp_path):
    rows = {"Natural/0": [(6, 5), None], "Natural/1": [(4, 5), (5, 5)]}
    stored = open_stored(write_run(tmp_path / "run", [pair(id) for id in rows], rows))
    assert [len(one.valid) for one in evidence_of(stored).judged] == [1, 2]
    (found,) = audit([stored])
    invalid = only(found.findings, "invalid samples after retries")
    assert invalid.figure.value == 0.25
    assert invalid.detail["causes"] == {"no_box": 1}
    text = "\n".join(audit_lines(found))
    assert "25.0" in text
    assert "not measurable here" in text
    assert "| scores | invalid samples after retries | 25.0 [4.6, 69.9] (n = 4) |" in audit_markdown([found])
    assert shown(only(found.findings, "accuracy, easy less hard")) == "not measurable here"


def test_scores_that_follow_length_within_groups_are_seen_without_ground_truth():
    def group(id, *scores):
        item = Item(id, (Message("user", id),), tuple("x" * (10 * 4**i - 1) for i in range(len(scores))))
        return judged(item, Ballot(scores, tuple(range(len(scores)))))

    (follows,) = length_in_groups(evidence(group("a", 1, 2, 3), group("b", 2, 4)))
    assert follows.figure.value == pytest.approx(3 / math.sqrt(10))
    (none,) = length_in_groups(evidence(judged(pair("c", best=None, responses=("ab", "cd")), forth(3, 5))))
    assert not none.measurable
