from pathlib import Path

import pytest

from spct.bench.scoring.compare import compare
from spct.bench.scoring.stored import open_stored
from spct.items import read_items
from spct.view.library import Library
from spct.view.runs_page import run_card
from view.runs import make_run
from view.test_item_page import page_of

LLMBAR = Path(__file__).parents[2] / "examples" / "llmbar"


@pytest.mark.parametrize(("name", "right"), [("gpt4-cot", 50), ("gpt4-metrics", 50)])
def test_recorded_runs_of_a_strong_judge_can_be_read(name, right):
    stored = open_stored(LLMBAR / name)
    votes = [[ballot.scores_N for ballot in stored.ballots[id]] for id in stored.loaded.items]
    best = [item.best for item in stored.loaded.items.values()]
    assert len(votes) == 64
    assert sum(all(row[b] > row[1 - b] for row in rows) for rows, b in zip(votes, best, strict=True)) == right


def test_a_recorded_run_is_given_no_tokens_and_no_time_of_answer(tmp_path):
    library = Library([LLMBAR], tmp_path)
    card = run_card(library, "gpt4-cot")
    assert (card.judge, card.tokens) == ("imported (jsonl)", None)
    assert {judgment.facts for judgment in page_of(LLMBAR / "gpt4-cot", 3).judgments} == {"imported"}
    library.close()


async def test_a_run_over_the_items_of_the_demo_is_compared_with_them(tmp_path):
    items = list(read_items(LLMBAR / "items.jsonl"))
    await make_run(tmp_path, items, lambda request, j: "\\boxed{5, 5}", k=2)
    found = compare(open_stored(tmp_path), open_stored(LLMBAR / "gpt4-cot"), common=True)
    assert (found.units, found.values[0]) == (16, 0.5)
    assert found.values[1] > 0.8
