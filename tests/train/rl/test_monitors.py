from collections import defaultdict

import pytest

from spct.train.rl.monitors import Alarms, figures_of, heldout_line, score_line, train_line
from spct.train.rl.reward import Scored


def means(pairs) -> dict[str, float]:
    values = defaultdict(list)
    for name, value in pairs:
        values[name].append(value)
    return {name: sum(found) / len(found) for name, found in values.items()}


def test_figures_of_a_step() -> None:
    scored = [
        Scored(1.0, "correct", (3, 1)),
        Scored(-1.0, "tied", (2, 2, 1)),
        Scored(-1.0, "invalid", None),
        Scored(1.0, "correct", (0,)),
    ]
    assert means(figures_of(scored, [2, 3, 2, 1], range(4))) == pytest.approx(
        {
            "accuracy": 0.5,
            "accuracy/single": 1.0,
            "accuracy/pair": 0.5,
            "accuracy/multi": 0.0,
            "tied": 0.25,
            "invalid": 0.25,
            "scores/0": 1 / 6,
            "scores/1": 2 / 6,
            "scores/2": 2 / 6,
            "scores/3": 1 / 6,
        }
    )


def test_an_alarm_is_told_when_it_begins_and_again_after_silence() -> None:
    alarms = Alarms()
    assert alarms.check({"invalid": 0.1}) == []
    (told,) = alarms.check({"invalid": 0.4, "kl": 0.9})
    assert told.startswith("invalid is 0.4: many judgments cannot be read")
    assert alarms.check({"invalid": 0.5}) == []
    assert alarms.check({"invalid": 0.1}) == []
    assert len(alarms.check({"invalid": 0.31})) == 1


@pytest.mark.parametrize(
    ("figures", "name"),
    [
        ({"kl": 1.5}, "kl"),
        ({"entropy": 0.001}, "entropy"),
        ({"tied": 0.6}, "tied"),
        ({"frac_reward_zero_std": 0.95}, "frac_reward_zero_std"),
        ({"completions/clipped_ratio": 0.5}, "completions/clipped_ratio"),
        ({"scores/7": 0.97, "scores/8": 0.03}, "one_score"),
    ],
)
def test_each_trouble_rings(figures: dict[str, float], name: str) -> None:
    assert [words.split(" is ")[0] for words in Alarms().check(figures)] == [name]


def test_lines() -> None:
    figures = {"accuracy": 0.5, "kl": 0.01, "scores/1": 0.5, "scores/2": 0.0, "scores/3": 0.25, "loss": 1.0}
    assert train_line(3, 900, figures) == "step 3/900  acc 50.0%  kl 0.0100  scores 1|█ ▅|3"
    assert score_line({}) == "" and score_line({"scores/1": 0.0}) == ""
    line = heldout_line(20, {"eval_accuracy": 0.75, "eval_accuracy@8": 0.8, "eval_runtime": 3.0})
    assert line == "held out after step 20:  accuracy 75.0%  accuracy@8 80.0%"
