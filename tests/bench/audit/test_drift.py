import math
import random

import pytest

from spct.bench.audit.drift import LENGTH, drifts_of
from spct.bench.audit.drift_report import drift_lines, drift_markdown, drift_plot
from spct.bench.scoring.statistics import mean_figure
from spct.errors import InputError, RunError
from spct.run import RunStore
from spct.run.asks import Ask, Asked
from spct.types import Item, Message


def recorded(folder, groups, run="r", ids=(), asks=()):
    """A service's run of groups: (prompt, step, [(response, mean, copies), ...], fields of the verdict); and of ``asks``."""
    store = RunStore.create(folder, {"settings": "{}"})
    store.take_asks()
    for position, (prompt, step, responses, more) in enumerate(groups):
        item = Item(
            ids[position] if ids else f"{position}", (Message("user", prompt),), tuple(text for text, _, _ in responses)
        )
        means = [mean for _, mean, _ in responses]
        store.add_item(position, item)
        row = {"best": 0, "ranking": None, "totals": means, "means": means, "spread": None, "k": 1, "valid": 1, "invalid": 0,
               "tied": [], "confidence": None, "error": None}  # fmt: skip
        store.put_verdict(position, {**row, **more})
        store.add_ask(
            Ask(1.0 * position, item.id, Asked(run, step, tuple(("",) * copies for _, _, copies in responses)))
        )
    for ask in asks:
        store.add_ask(ask)
    store.close()
    return RunStore.open(folder)


def test_one_group_by_hand(tmp_path):
    group = ("p", 3, [("aaa", 9.0, 1), ("b", 3.0, 2)], {"tied": [0, 1], "confidence": 0.75, "valid": 3, "invalid": 1})
    (drift,) = drifts_of(recorded(tmp_path / "run", [group]))
    (span,) = drift.spans
    figures = {name: figure.value for name, figure in span.figures.items() if figure is not None}
    assert (drift.run, drift.groups, span.title) == ("r", 1, "3")
    assert figures.pop("spread within groups") == pytest.approx(math.sqrt(12))
    assert figures.pop(LENGTH) == pytest.approx(1)
    assert figures == {"reward": 5, "groups all equal": 0, "ties for first place": 1, "confidence": 0.75,
                       "invalid judgments": 0.25}  # fmt: skip
    assert set(drift.changes.values()) == {None}


@pytest.mark.parametrize(("names", "groups"), [(("a", "b"), 1), (("a", ""), 2)])
def test_rollouts_that_are_answered_again_count_once_if_they_have_names(tmp_path, names, groups):
    told = [(3, "0"), (3, "0-2"), (4, "0")]  # "0-2" as of a second server's recording that was merged
    asks = [Ask(1.0, item, Asked("named", step, tuple((name,) for name in names))) for step, item in told]
    store = recorded(tmp_path / "run", [("p", 3, [("x", 9.0, 1), ("y", 3.0, 1)], {})] * 2, ids=("0", "0-2"), asks=asks)
    assert {drift.run: drift.groups for drift in drifts_of(store)}["named"] == groups + 1


def rising(steps=9, prompts=12):
    """Rewards that rise by a point a step, whose longer response is ever better; all equal from step 7 on."""
    draw = random.Random(1)
    for step in range(steps):
        for prompt in range(prompts):
            mean, gap = step + draw.random(), 0.0 if step >= 7 else 1.0
            yield f"prompt {prompt}", step, [("long answer", mean + gap, 1), ("short", mean, 1)], {}


def test_what_rises_is_told_with_the_interval_of_its_change(tmp_path):
    groups = list(rising())
    (drift,) = drifts_of(recorded(tmp_path / "run", groups))
    assert [(span.title, span.groups) for span in drift.spans] == [(str(step), 12) for step in range(9)]
    late, early = (
        [sum(m for _, m, _ in r) / 2 for _, s, r, _ in groups if s in chosen] for chosen in ((6, 7, 8), (0, 1, 2))
    )
    reward, equal = drift.changes["reward"], drift.changes["groups all equal"]
    assert reward.value == pytest.approx(sum(late) / 36 - sum(early) / 36)
    assert 5 < reward.low < reward.value < reward.high < 6.5
    assert equal.value == pytest.approx(2 / 3)
    assert 0 < equal.low < 2 / 3 < equal.high < 1  # every prompt says the same: Newcombe's interval
    assert drift.changes["confidence"] is None
    step_0 = drift.spans[0].figures["reward"]
    wanted = mean_figure([(r[0][1] + r[1][1]) / 2 for _, s, r, _ in groups if s == 0], [f"{i}" for i in range(12)])
    assert (step_0.value, step_0.low, step_0.high, step_0.n) == pytest.approx(
        (wanted.value, wanted.low, wanted.high, 12)
    )
    lines = list(drift_lines(drift))
    assert lines[0] == "run r: 108 groups at steps 0 to 8"
    assert any(line.startswith("reward: it rose: last third less first +") for line in lines)


def test_prompts_are_the_clusters_and_few_of_them_have_no_interval(tmp_path):
    (drift,) = drifts_of(recorded(tmp_path / "run", list(rising(prompts=3))))
    reward = drift.changes["reward"]
    assert (reward.n, reward.low) == (3, None)
    assert any("nothing can be told, since 3 prompts are too few" in line for line in drift_lines(drift))


def test_many_steps_are_put_together_evenly(tmp_path):
    store = recorded(tmp_path / "run", [("p", step, [("a", 1.0, 1)], {}) for step in range(50)])
    (drift,) = drifts_of(store)
    assert [span.groups for span in drift.spans] == [2, 3] * 10
    assert [drifts_of(store, 4)[0].spans[i].title for i in (0, 3)] == ["0-11", "37-49"]


def test_runs_are_told_apart_and_one_answered_twice_counts_twice(tmp_path):
    store = recorded(tmp_path / "run", [("p", 1, [("a", 4.0, 1)], {}), ("q", 1, [("a", 8.0, 1)], {"means": None})])
    store.close()
    store = RunStore.open(tmp_path / "run", write=True)
    store.add_ask(Ask(2.0, "0", Asked("s", 5, (("",),))))
    store.add_ask(Ask(3.0, "0", Asked("r", 2, (("",),))))
    store.add_ask(Ask(3.0, "0", Asked("r", None, (("",),))))  # told no step
    store.add_ask(Ask(3.0, "gone", Asked("r", 2, (("",),))))
    found = drifts_of(store)
    assert [(one.run, one.groups, [span.first for span in one.spans]) for one in found] == [
        ("r", 3, [1, 2]),
        ("s", 1, [5]),
    ]
    assert found[0].spans[0].figures["reward"].value == 4  # the group without a verdict has no reward
    store.close()


def test_what_does_not_fit_its_item_is_damage(tmp_path):
    store = recorded(tmp_path / "run", [("p", 1, [("a", 4.0, 1)], {"means": []})])
    with pytest.raises(RunError, match="the file is damaged"):
        drifts_of(store)
    store.close()


def test_a_mean_that_is_no_number_is_no_reward(tmp_path):
    (drift,) = drifts_of(recorded(tmp_path / "run", [("p", 1, [("a", 4.0, 1)], {"means": [math.nan]})]))
    assert drift.spans[0].figures["reward"] is None
    assert drift.spans[0].figures["invalid judgments"].value == 0


def test_a_recording_without_steps_says_what_is_missing(tmp_path):
    store = RunStore.create(tmp_path / "run", {"settings": "{}"})
    with pytest.raises(InputError, match="no request of this run told its step"):
        drifts_of(store)
    store.close()


def test_the_name_of_a_run_is_shown_as_text(tmp_path):
    store = recorded(tmp_path / "run", [("p", 1, [("a", 4.0, 1)], {})], run="$x | <b>\x1b[2J")
    drifts = drifts_of(store)
    page = drift_markdown(drifts, [drift_plot(drifts[0], tmp_path, "drift-1")])
    assert "# Rewards by step: $x \\| &lt;b>\\x1b[2J" in page
    assert next(iter(drift_lines(drifts[0]))).startswith("run $x | <b>\\x1b[2J: 1 groups")
    assert (tmp_path / "drift-1.svg").exists()
