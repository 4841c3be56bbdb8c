"""Small run directories of benchmark items with hand-set scores, made by the store itself."""

import orjson

from spct.run import RunStore
from spct.types import Item, Judgment, Message, Problem, Usage
from spct.voting.vote import decide

ORDERS = ((0, 1), (1, 0))


def pair(id, best=0, subset="Natural", responses=("short", "a longer one"), query=None, **extra):
    return Item(
        id, (Message("user", query or f"question {id}"),), responses, best=best, extra={"subset": subset, **extra}
    )


def judgment(index, scores, order=(0, 1), tokens=10):
    problem = Problem("no_box", "no box") if scores is None else None
    return Judgment(index, order, index, "text", "stop", scores, problem, completion_tokens=tokens)


def write_run(
    directory, items, scores, *, benchmark="llmbar", model="scripted:m", seconds="4.0", ratings=None, **settings
):
    """``scores`` maps an item's id to its rows in item order, None for an invalid one; orders alternate for pairs."""
    k = max(len(rows) for rows in scores.values())
    written = {
        "model": model,
        "k": k,
        "seed": 0,
        "rule": "sum",
        "tie_rule": "random",
        "benchmark": benchmark,
        **settings,
    }
    store = RunStore.create(directory, {"settings": orjson.dumps(written).decode()})
    store.set_meta("seconds", seconds)
    for position, item in enumerate(items):
        n = len(item.responses)
        judgments = [
            judgment(i, row, ORDERS[i % 2] if n == 2 else tuple(range(n))) for i, row in enumerate(scores[item.id])
        ]
        store.add_item(position, item)
        store.record(position, judgments, Usage(100, 10 * len(judgments), 0, min(2, len(judgments))))
        store.put_verdict(position, decide(judgments, id=item.id, n=n, k=k).as_row())
        if ratings:
            store.record_ratings(position, "meta:m", ratings[item.id])
    store.close()
    return directory
