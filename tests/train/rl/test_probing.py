"""The monitor by probes: which items are changed how, what is a gain, and when it rings."""

from fractions import Fraction

import pytest

pytest.importorskip("numpy")

from spct.engines.scripted import ScriptedEngine, judgment_text
from spct.errors import InputError
from spct.train.rl.judging import Asking, judge_all
from spct.train.rl.monitors import HELDOUT_ALARMS, Alarms, heldout_line
from spct.train.rl.probing import Gain, drawn_probes, gain_figures, gain_of
from spct.types import Item, Message


def items(count, n=2):
    return [
        Item(
            f"i{i}",
            (Message("user", f"Query {i}?"),),
            tuple(f"Yes, it is {r}. I think so." for r in range(n)),
            best=i % n,
        )
        for i in range(count)
    ]


def test_a_share_is_drawn_once_and_the_changes_are_dealt_in_turn():
    mixed = [*items(28), *items(4, n=1), *items(28, n=3)]
    probes = drawn_probes(mixed, 0.5, seed=3)
    assert probes == drawn_probes(mixed, 0.5, seed=3) != drawn_probes(mixed, 0.5, seed=4)
    drawn = [(item, probe) for item, probe in zip(mixed, probes, strict=True) if probe is not None]
    assert len(drawn) == 28 and all(len(item.responses) > 1 for item, _ in drawn)
    added = []
    for item, probe in drawn:
        changed = [i for i, text in enumerate(item.responses) if probe.item.responses[i] != text]
        assert changed == [probe.target] and probe.target != item.best and probe.item.truth is None
        added.append(probe.item.responses[probe.target].removeprefix(item.responses[probe.target]))
    assert sum("three independent reviewers" in text for text in added) == 4  # 7 changes, 28 items


def test_nothing_is_probed_at_a_share_of_0_and_a_share_needs_something_to_probe():
    assert drawn_probes(items(3), 0, seed=0) == (None, None, None)
    with pytest.raises(InputError, match=r"heldout.probe_share is 0.5, and no held-out item has two responses"):
        drawn_probes(items(3, n=1), 0.5, seed=0)


async def test_a_gain_is_of_the_changed_response_whatever_its_place():
    def fooled(request, j):
        shown = request.messages[-1].content.partition("[Begin response")[2].split("[Begin response")
        return judgment_text([9 if "reviewers" in text else 3 for text in shown])

    given = items(14)
    probes = [probe for probe in drawn_probes(given, 1, seed=0) if probe is not None]
    asking = Asking("grm", "grm-single", 1, 0.0, 100, 0)
    before = await judge_all(ScriptedEngine(fooled), given, asking)
    after = await judge_all(ScriptedEngine(fooled), [probe.item for probe in probes], asking)
    gains = [gain_of(*row) for row in zip(probes, before, after, strict=True)]
    assert sorted(gain.points for gain in gains) == [0] * 12 + [6, 6]
    assert gain_figures(gains)["probe_gain"] == pytest.approx(float(Fraction(12, 14)))


def test_lost_probes_are_counted_and_are_no_gain():
    assert gain_figures([]) == {}
    assert gain_figures([Gain("a", None), Gain("b", None)]) == {"probe_gain/lost": 1}
    few = [Gain("a", 2.0), Gain("b", None), Gain("c", 3.0), Gain("d", None)]
    assert gain_figures(few) == {"probe_gain/lost": 0.5, "probe_gain": 2.5}
    assert gain_figures([Gain(f"p{i}", 1.0) for i in range(10)]) == {
        "probe_gain/lost": 0,
        "probe_gain": 1,
        "probe_gain/least": 1,
    }


@pytest.mark.parametrize(("least", "rings"), [(0.2, True), (0.0, False), (-0.1, False), (None, False)])
def test_the_alarm_rings_when_the_gain_is_clear_of_nothing(least, rings):
    figures = {"eval_accuracy": 0.5, "eval_probe_gain": 0.4}
    if least is not None:
        figures["eval_probe_gain/least"] = least
    told = Alarms(HELDOUT_ALARMS).check(figures)
    assert bool(told) is rings
    assert not rings or told[0].startswith("eval_probe_gain/least is 0.2: changes that must not raise a score raise it")
    assert heldout_line(20, figures) == "held out after step 20:  accuracy 50.0%  probe gain +0.40"


def test_the_terminal_warns_once_while_the_training_alarms_go_on_by_themselves():
    transformers = pytest.importorskip("transformers")
    from spct.train.rl.console import Console

    said: list[str] = []
    console, state = Console(said.append), transformers.TrainerState(max_steps=9)
    fooled = {"eval_accuracy": 0.5, "eval_probe_gain": 0.4, "eval_probe_gain/least": 0.2}
    for logs in ({"accuracy": 0.5, "kl": 2.0}, fooled, {"accuracy": 0.5, "kl": 2.0}, fooled):
        console.on_log(None, state, transformers.TrainerControl(), logs)
    warnings = [line.removeprefix("  warning: ").split(":")[0] for line in said if "warning" in line]
    assert warnings == [
        "kl is 2",
        "eval_probe_gain/least is 0.2",
    ]
