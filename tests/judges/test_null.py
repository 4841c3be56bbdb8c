from collections import Counter

from judges.judging import item, judged
from spct.types import Item, Message
from spct.voting.accuracy import grade


async def test_random_depends_on_the_seed_the_item_and_the_index_alone():
    a, b, other = [await judged("random", None, item(3), k=3, seed=seed) for seed in (5, 5, 6)]
    assert a.judgments == b.judgments
    assert a.judgments[0].scores != a.judgments[1].scores
    assert a.judgments[0].scores != other.judgments[0].scores
    assert all(0 <= score < 1 for j in a.judgments for score in j.scores)
    longer = await judged("random", None, item(3), history=a.judgments, k=5, seed=5)
    assert longer.judgments[:3] == a.judgments


async def test_first_and_random_are_right_as_often_as_chance():
    for kind in ("random", "first"):
        found = Counter()
        for number in range(600):
            asked = Item(str(number), (Message("user", f"{number}?"),), ("a", "b", "c"), best=0)
            verdict = await judged(kind, None, asked, k=1)
            found[grade(verdict.totals, asked)] += 1
        assert 160 < found["correct"] < 240


async def test_first_is_the_first_shown_and_all_tie_over_whole_rounds():
    verdict = await judged("first", None, item(4), k=4)
    assert verdict.totals == (1.0, 1.0, 1.0, 1.0)
    assert [j.scores[j.order[0]] for j in verdict.judgments] == [1.0] * 4
    fixed = await judged("first", None, item(4), k=4, ordering="fixed")
    assert fixed.totals == (4.0, 0.0, 0.0, 0.0)


async def test_longest_and_shortest():
    asked = item(3, responses=("four", "eleven char", "sixsix"))
    longest, shortest = [await judged(kind, None, asked, k=8) for kind in ("longest", "shortest")]
    assert (longest.totals, longest.best, longest.k) == ((4, 11, 6), 1, 1)
    assert (shortest.totals, shortest.best) == ((-4, -11, -6), 0)
    assert longest.usage.requests == 0
    even = await judged("longest", None, item(2, responses=("ab", "cd")))
    assert even.tied == (0, 1)
