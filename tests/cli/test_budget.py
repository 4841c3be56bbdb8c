"""Which part of an input is judged, and where a run stops by itself."""

import json

import click
import pytest
from click.testing import CliRunner

from spct.cli.budget import Budget, Duration, part_of, part_size, prices_of
from spct.cli.judge import judge
from spct.errors import InputError
from spct.prices import Prices
from spct.types import Item, Message, Usage

ITEMS = [Item(f"q{i}", (Message("user", "q"),), ("a",)) for i in range(10)]
SCRIPT = """
import asyncio

from spct.engines.engine import Sample
from spct.engines.scripted import judgment_text

async def judge(request, j):
    await asyncio.sleep(0.05)  # longer than it takes to store an item
    return Sample(judgment_text([8, 3]), "stop", 0, completion_tokens=50)
"""


def begun(budget, usage, in_flight=1, items=ITEMS):
    """How many items are begun where each uses ``usage`` and ``in_flight`` are judged side by side."""
    waiting, source, count = 0, budget.within(items), 0
    while True:
        while waiting < in_flight and next(source, None) is not None:
            waiting, count = waiting + 1, count + 1
        if not waiting:
            return count
        budget.spend(usage)
        budget.done(usage)
        waiting -= 1


USED = Usage(80, 20, 0, 1)


@pytest.mark.parametrize(
    ("limits", "in_flight", "count"),
    [
        ({}, 1, 10),
        ({"max_tokens": 1000}, 1, 10),
        ({"max_tokens": 999}, 1, 9),
        ({"max_tokens": 350}, 1, 3),
        ({"max_tokens": 350}, 2, 3),  # what is in flight is counted at the mean
        ({"max_tokens": 350}, 5, 5),  # nothing is known before the first is done
        ({"max_tokens": 1}, 1, 1),
        ({"max_cost": 0.0005, "prices": Prices(1.0, 1.0)}, 1, 5),
        ({"max_cost": 0.0005, "prices": Prices(None, 5.0)}, 1, 5),
        ({"max_cost": 0.0004, "prices": Prices(1.0)}, 1, 5),
    ],
)
def test_no_item_is_begun_that_would_pass_a_limit(limits, in_flight, count):
    budget = Budget(**limits)
    assert begun(budget, USED, in_flight) == count
    assert (budget.stopped is None) == (count == 10)


def test_what_is_spent_counts_though_no_item_is_done():
    budget = Budget(max_tokens=150)
    source = budget.within(ITEMS)
    next(source)
    budget.spend(USED)
    next(source)
    budget.spend(USED)
    assert next(source, None) is None


def test_items_that_were_there_already_cost_nothing():
    assert begun(Budget(max_tokens=1), Usage()) == 10
    budget = Budget(max_tokens=350)
    assert begun(budget, Usage(), items=ITEMS[:5]) == 5
    assert begun(budget, USED) == 3  # as if the five had not been there


def test_time():
    times = iter(range(100))
    budget = Budget(max_time_s=4.0, clock=lambda: float(next(times)))
    assert begun(budget, USED) == 3  # at 1, 2 and 3 seconds
    assert budget.stopped == "--max-time 4 s is over"


@pytest.mark.parametrize(("text", "seconds"), [("90", 90), ("90s", 90), ("10m", 600), ("1.5h", 5400)])
def test_durations(text, seconds):
    assert Duration().convert(text, None, None) == seconds


@pytest.mark.parametrize("text", ["", "0", "-1", "ten", "10 minutes", "1d"])
def test_bad_durations(text):
    with pytest.raises(click.BadParameter, match="expected seconds, or a time such as"):
        Duration().convert(text, None, None)


def test_parts():
    def part(**options):
        given = {"limit": None, "sample": None, "seed": 0, **options}
        found = list(part_of(range(10), 10, given))
        assert len(found) == part_size(10, given)
        return found

    assert (part(), part(limit=3), part(limit=20)) == (list(range(10)), [0, 1, 2], list(range(10)))
    drawn = part(sample=4)
    assert drawn == sorted(drawn) == part(sample=4) != [0, 1, 2, 3]
    assert part(sample=4, seed=1) != drawn
    assert part(sample=20) == list(range(10))
    with pytest.raises(InputError, match="got --limit and --sample"):
        part_size(10, {"limit": 1, "sample": 1})


@pytest.fixture
def run(tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT)
    rows = [{"id": f"q{n}", "prompt": f"question {n}", "responses": ["a", "b"]} for n in range(8)]
    (tmp_path / "items.jsonl").write_text("\n".join(map(json.dumps, rows)))

    def run(*options):
        model = f"scripted:{tmp_path}/script.py:judge"
        arguments = [str(tmp_path / "items.jsonl"), "--model", model, "-k", "2", "--json", "--concurrency", "1"]
        done = CliRunner().invoke(judge, [*arguments, *options], standalone_mode=False)
        if done.exception is not None:
            raise done.exception
        return done.return_value, [json.loads(line)["id"] for line in done.stdout.splitlines()], done.stderr

    return run


def test_a_run_stops_and_goes_on(run, tmp_path):
    out = ("--out", str(tmp_path / "run"))
    code, ids, told = run(*out, "--price-out", "1", "--max-cost", "0.00035")
    assert (code, ids) == (1, ["q0", "q1", "q2"])
    expected = "stopped: another item would pass --max-cost 0.00035; 3 of 8 items judged; go on with --resume and a larger limit"
    assert expected in told
    code, ids, told = run(*out, "--resume")
    assert (code, len(ids)) == (0, 8)
    assert "stopped: " not in told


def test_a_part_of_a_file_is_a_whole_run(run, tmp_path):
    out = ("--out", str(tmp_path / "run"))
    assert run("--limit", "3", *out)[:2] == (0, ["q0", "q1", "q2"])
    assert run("--limit", "5", *out, "--resume")[:2] == (0, [f"q{n}" for n in range(5)])
    code, ids, _ = run("--sample", "3")
    assert code == 0 and len(ids) == 3 and ids == sorted(ids)


def test_a_cost_needs_prices(run):
    with pytest.raises(InputError, match="--max-cost needs the price of a million tokens"):
        run("--max-cost", "1")


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"price_in": 1.0}, "--prices and a price of a million tokens"),
        ({"model": ("openai:a", "openai:b")}, "--prices is for one model"),
        ({"model": None}, "--prices is for one model"),
        ({"jury": "jury.yaml"}, "--prices is for one model"),
    ],
)
def test_prices_by_name_are_those_of_one_model(more, message):
    with pytest.raises(InputError, match=message):
        prices_of({"prices": "known", "model": "openai:gpt-4o-mini", **more})


def test_prices_by_name_are_looked_up_at_the_address_that_is_asked():
    assert prices_of({"prices": "known", "model": ("openai:gpt-4o-mini",)}).unit == "USD"
    with pytest.raises(InputError, match="at http://here"):
        prices_of({"prices": "known", "model": "openai:gpt-4o-mini", "base_url": ("http://here/v1",)})
