from dataclasses import dataclass, field

import pytest

from classifiers.tiny_classifiers import save_pairrm
from judges.judging import NAMES, item, judged
from spct.classifiers import Score
from spct.engines.engine import Capabilities
from spct.errors import InputError, TemplateError
from spct.judges import load_judge
from spct.judges.settings import judge_settings


@dataclass
class Margins:
    """A pair classifier with a quality per response and a liking of 10 for the first place."""

    quality: tuple[float, ...]
    seen: list = field(default_factory=list)
    model_id = "own:margins"
    protocol = {}  # noqa: RUF012
    capabilities = Capabilities()

    async def start(self):
        return

    async def close(self):
        return

    async def compare(self, pairs):
        self.seen += pairs
        marks = [self.quality[NAMES.index(p.first)] - self.quality[NAMES.index(p.second)] + 10 for p in pairs]
        return [Score(mark) if mark < 100 else Score(None, "too sure") for mark in marks]


async def test_both_orders_of_all_pairs_and_the_mean_margin():
    scorer = Margins((1.0, 4.0, -2.0))
    verdict = await judged("pairrm", scorer, item(3), k=8)
    assert len(scorer.seen) == 6
    assert verdict.totals == ((-3 + 3) / 2, (3 + 6) / 2, (-3 - 6) / 2)
    assert (verdict.k, verdict.best, verdict.usage.requests) == (1, 1, 6)


async def test_two_responses_have_opposite_scores():
    assert (await judged("pairrm", Margins((1.0, 1.5)), item(2))).totals == (-0.5, 0.5)


async def test_wins_count_half_for_a_margin_of_nothing():
    verdict = await judged("pairrm", Margins((2.0, 2.0, 1.0)), item(3), options={"aggregate": "wins"})
    assert verdict.totals == (1.5, 1.5, 0.0)


async def test_a_pair_without_a_number_makes_the_judgment_invalid():
    verdict = await judged("pairrm", Margins((0.0, 95.0)), item(2))
    assert (verdict.best, verdict.judgments[0].problem.code) == (None, "no_score")
    assert verdict.judgments[0].problem.detail == "response 2 before response 1: too sure"


async def test_pairrms_own_architecture_end_to_end(tmp_path):
    judge = load_judge("pairrm", f"classifier:{save_pairrm(tmp_path)}", judge_settings(), device="cpu")
    one = await judge.judge(item(3))
    other = await judge.judge(item(3, responses=("CHARLIE", "ALPHA", "BRAVO")))
    await judge.engine.close()
    assert other.totals == pytest.approx((one.totals[2], one.totals[0], one.totals[1]), abs=1e-5)
    assert sum(one.totals) == pytest.approx(0, abs=1e-6)
    assert len(set(one.totals)) == 3


def test_what_it_cannot_do_is_said():
    with pytest.raises(InputError, match="aggregate is 'max'; expected margins or wins"):
        load_judge("pairrm", Margins(()), judge_settings(), aggregate="max")
    with pytest.raises(TemplateError, match="needs at least 2"):
        load_judge("pairrm", Margins(()), judge_settings()).check(item(1))
