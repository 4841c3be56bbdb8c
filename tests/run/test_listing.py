from spct.run.listing import run_facts
from spct.run.opening import begun
from spct.types import Item, Judgment, Message, Usage
from spct.voting.vote import decide


def test_accuracy_is_of_the_means_that_the_vote_ranks_by(tmp_path):
    item = Item("a", (Message("user", "q"),), ("r0", "r1"), best=0)
    judgments = [
        Judgment(0, (0, 1), 0, "", "stop", (8, 7)),
        Judgment(1, (1,), 0, "", "stop", (7,)),  # leaves response 0 out, whose total is then the lower one
    ]
    verdict = decide(judgments, id="a", n=2, k=2)
    assert (verdict.best, verdict.totals, verdict.means) == (0, (8, 14), (8, 7))
    store = begun(tmp_path, {"model": "m", "k": 2}, {})
    store.add_item(0, item)
    store.record(0, judgments, Usage())
    store.put_verdict(0, verdict.as_row())
    store.close()
    facts = run_facts(tmp_path)
    assert (facts.accuracy, facts.graded) == (1.0, 1)
