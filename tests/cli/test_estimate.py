"""What a run will use, against what it then uses."""

import json
import re

import pytest
from click.testing import CliRunner

from spct.cli.estimate import Time, _Trial, estimate
from spct.cli.judge import judge
from spct.errors import InputError
from spct.run import RunStore

SCRIPT = """
from spct.engines.scripted import judgment_text

def judge(request, j):
    return judgment_text([8, 3])
"""


@pytest.fixture
def run(tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT)
    rows = [{"id": f"q{n}", "prompt": f"question {n} " + "word " * 40, "responses": ["a", "b"]} for n in range(30)]
    (tmp_path / "items.jsonl").write_text("\n".join(map(json.dumps, rows)))

    def run(*options):
        model = f"scripted:{tmp_path}/script.py:judge"
        done = CliRunner().invoke(
            judge, [str(tmp_path / "items.jsonl"), "--model", model, "-k", "4", *options], standalone_mode=False
        )
        if done.exception is not None:
            raise done.exception
        return {line[:12].strip(): line[12:] for line in done.stdout.splitlines()}

    return run


def number(fact):
    return float(re.search(r"[\d,]+", fact)[0].replace(",", ""))


def test_an_estimate_by_a_trial_is_what_the_run_then_uses(run, tmp_path):
    told = run("--estimate", "--pilot", "6", "--price-in", "1000", "--price-out", "2000")
    run("--out", str(tmp_path / "run"))
    store = RunStore.open(tmp_path / "run")
    used = store.usage()
    store.close()
    assert told["requests"] == "60, for 120 completions"  # two orders, each asked for two samples
    assert number(told["tokens in"]) == pytest.approx(used.prompt_tokens, rel=0.01)
    assert number(told["tokens out"]) == pytest.approx(used.completion_tokens, rel=0.01)
    cost = (used.prompt_tokens * 1000 + used.completion_tokens * 2000) / 1e6
    assert float(re.search(r"[\d.]+", told["cost"])[0]) == pytest.approx(cost, rel=0.01)
    assert told["time"].endswith(
        "to 0.0 s: the trial never had 8 items side by side, as the run will; --pilot 16 measures it"
    )
    assert told[""] == "measured on 6 items"


def test_without_a_trial_what_is_assumed_is_said(run):
    told = run("--estimate", "--limit", "10")
    assert told["items"] == "10"
    assert told["tokens in"].endswith("characters, assumed 4 characters a token)")
    assert told["tokens out"] == "about 12,000, assumed 300 a judgment"
    assert (told["time"], "cost" in told) == ("-", False)


@pytest.mark.parametrize(
    ("options", "requests"),
    [
        (["--template", "focus"], "40, for 60 completions"),  # of each item: two first steps, then two orders
        (["--template", "own-answer"], "30, for 50 completions"),
        (["--principles", "query"], "30, for 50 completions"),
    ],
)
def test_first_steps_are_counted(run, options, requests):
    assert run("--estimate", "--limit", "10", *options)["requests"] == requests


async def test_what_cannot_be_estimated(run):
    with pytest.raises(InputError, match="--pilot measures for --estimate"):
        run("--pilot", "3")
    given = {"jury": None, "escalate": None, "kind": "scalar", "model": None}
    with pytest.raises(InputError, match="--judge scalar asks none"):
        await estimate([], 0, given)
    with pytest.raises(InputError, match="estimate each judge of a jury by itself"):
        await estimate([], 0, given | {"jury": "jury.yaml"})
    with pytest.raises(InputError, match="estimate each judge of a jury by itself"):
        await estimate([], 0, given | {"model": ("openai:a", "openai:b")})


def test_a_trial_is_not_made_cheap_by_what_a_cache_has(run, tmp_path):
    run("--cache", str(tmp_path / "cache"))
    told = run("--cache", str(tmp_path / "cache"), "--estimate", "--pilot", "6")
    assert told["tokens out"] == run("--estimate", "--pilot", "6")["tokens out"] != "about 0"


def trial(in_flight, items, seconds, samples=2, serve=None):
    """A trial of items that each take ``seconds`` beside ``in_flight - 1`` others, one after the other into each place."""
    now = 0.0
    made = _Trial(lambda: now)
    made.in_flight = in_flight
    coming = made.begin(range(items))
    ends = []
    for place in range(min(items, in_flight)):
        next(coming)
        ends.append(seconds * (1 + place / in_flight))  # places that do not end all at once
    left = items - len(ends)
    while ends:
        now = ends.pop(ends.index(min(ends)))
        made.answered([None] * samples, None)
        if left:
            left -= 1
            next(coming)
            ends.append(now + seconds)
    return made


def test_the_time_is_that_of_a_run_with_all_places_taken():
    made = trial(4, 12, 10.0)
    assert made.samples == 24
    assert made.time(2 * 400).low == pytest.approx(
        10 + (800 - 2) * 10 / 4 / 2
    )  # four items, each of two samples, in ten seconds
    assert made.time(2 * 400).told() == "about 16 min 48 s, 4 items side by side"


def test_a_trial_with_fewer_items_than_the_run_has_places_gives_bounds():
    made = trial(4, 2, 10.0)
    assert made.time(2 * 400) == Time(pytest.approx(12.5 * 200 * 2 / 4), pytest.approx(12.5 * 200), 4)
    assert (
        "20 min 50 s to 41 min 40 s" in made.time(2 * 400).told()
        and "--pilot 8 measures it" in made.time(2 * 400).told()
    )
    assert trial(4, 7, 10.0).time(800).low == trial(4, 7, 10.0).time(800).high  # as fast as the trial, at the slowest


def test_a_trial_without_an_answer_has_no_time():
    assert _Trial().time(10) is None
