"""The laboratory's world is honest: only judging tells the best response, and held-out queries are new."""

import math
from itertools import islice
from random import Random

import numpy as np
import pytest
from benchmarks.spct_lab import crowd, world
from benchmarks.spct_lab.recipe import judged

from spct.items import parse_item
from spct.templates import load_template
from spct.voting.accuracy import grade

SIZES = (2, 3, 4)
WORDS = list(world.CATEGORY_OF)


@pytest.fixture(scope="module")
def heldout():
    return list(islice(world.cases(5, heldout=True, sizes=SIZES), 3000))


def deviation(cases, score):
    """How far the rule "the highest score is best" (1/#tied) is from chance, in standard errors."""
    gaps, spread = 0.0, 0.0
    for case in cases:
        scores = [score(case, i) for i in range(len(case.responses))]
        tops = [i for i, value in enumerate(scores) if value == max(scores)]
        chance = 1 / len(scores)
        gaps += (case.truth in tops) / len(tops) - chance
        spread += chance * (1 - chance)
    return gaps / math.sqrt(spread)


RULES = {
    "longest": lambda case, i: len(case.responses[i]),
    "shortest": lambda case, i: -len(case.responses[i]),
    "most letters": lambda case, i: sum(map(len, case.responses[i])),
    "first": lambda case, i: -i,
    "second": lambda case, i: i == 1,
    "last": lambda case, i: i,
    "most different words": lambda case, i: len(set(case.responses[i])),
    "most different categories": lambda case, i: len({world.CATEGORY_OF[word] for word in case.responses[i]}),
}


@pytest.mark.parametrize("rule", RULES)
def test_no_length_and_no_place_tells_the_best(heldout, rule):
    assert abs(deviation(heldout, RULES[rule])) < 3.3


def test_no_single_word_tells_the_best(heldout):
    found = {word: deviation(heldout, lambda case, i, word=word: word in case.responses[i]) for word in WORDS}
    against = {word: deviation(heldout, lambda case, i, word=word: word not in case.responses[i]) for word in WORDS}
    assert max(map(abs, [*found.values(), *against.values()])) < 4.2  # the largest of 48


def features(case):
    """Counts of the words in each response, and whether each stands first or last: (n, 3 x words)."""
    rows = np.zeros((len(case.responses), 3, len(WORDS)))
    for i, response in enumerate(case.responses):
        for word in response:
            rows[i, 0, WORDS.index(word)] += 1
        rows[i, 1, WORDS.index(response[0])] = rows[i, 2, WORDS.index(response[-1])] = 1
    return rows.reshape(len(case.responses), -1)


def test_a_fitted_bag_of_words_does_not_tell_the_best(heldout):
    """Logistic regression over the responses of a query, fitted to the training world, judged on the held-out one."""
    learned = [(features(case), case.truth) for case in islice(world.cases(6, heldout=False, sizes=SIZES), 3000)]
    weights = np.zeros(3 * len(WORDS))
    for _ in range(30):
        slope = 0.01 * weights
        for rows, best in learned:
            odds = np.exp(rows @ weights)
            slope += (odds / odds.sum()) @ rows - rows[best]
        weights -= 2.0 * slope / len(learned)
    fitted = {id(case): features(case) @ weights for case in heldout}
    assert np.abs(weights).max() > 0.01  # it has learned something
    assert abs(deviation(heldout, lambda case, i: fitted[id(case)][i])) < 3.3


def test_a_single_response_is_right_half_of_the_time_at_every_length():
    cases = list(islice(world.cases(7, heldout=True, sizes=(1,)), 3000))
    for length in world.LENGTHS:
        labels = [case.truth for case in cases if len(case.responses[0]) == length]
        assert abs(sum(labels) - len(labels) / 2) < 3.3 * math.sqrt(len(labels)) / 2


def test_an_exact_judgment_is_right_on_every_item_by_the_projects_own_parser_and_grades(heldout):
    singles = list(islice(world.cases(8, heldout=True, sizes=(1,)), 200))
    for name, form in (("judge", crowd.Form(True)), ("direct", crowd.Form(False))):
        loaded = {key: load_template(path) for key, path in judged(name).items()}
        for case in [*heldout[:300], *singles]:
            item = parse_item(case.row("i"), where="here")
            template = loaded["single_template" if len(case.responses) == 1 else "template"]
            parsed = template.parse(crowd.exact_judgment(case, form=form), len(case.responses))
            assert grade(parsed.scores, item) == "correct"


def test_the_crowd_is_fallible():
    draw, right = Random(0), {False: 0, True: 0}
    template = load_template(judged("judge")["template"])
    cases = list(islice(world.cases(9, heldout=False, sizes=SIZES), 900))
    for case in cases:
        item = parse_item(case.row("i"), where="here")
        for told in right:
            text = crowd.judgment_text(draw, case, form=crowd.Form(), told=told)
            right[told] += grade(template.parse(text, len(case.responses)).scores, item) == "correct"
    assert 0.4 < right[False] / len(cases) < 0.62
    assert 0.78 < right[True] / len(cases) < 0.95


def combination(query):
    return frozenset((one.kind, one.category) for one in query)


def test_heldout_queries_combine_requirements_as_no_training_query_does(heldout):
    learned = {combination(case.query) for case in islice(world.cases(1, heldout=False), 6000)}
    assert not learned & {combination(case.query) for case in heldout}
    draw = Random(0)
    share = sum(world.is_heldout(world.draw_query(draw)) for _ in range(5000)) / 5000
    assert 0.15 < share < 0.25


def test_no_query_of_the_first_edition_can_be_made_of_these_words():
    assert not set(world.WORDS) & {"fruit", "bird", "metal", "tree", "tool", "cloth"}
    assert len(set(world.CATEGORY_OF)) == 24 and not set(world.CATEGORY_OF) & set(world.WORDS)


def test_a_case_is_drawn_by_its_seed_alone():
    first, again = ([case.row("i") for case in islice(world.cases(3, heldout=False), 8)] for _ in range(2))
    other = [case.row("i") for case in islice(world.cases(4, heldout=False), 8)]
    assert first == again != other
    assert [len(row["responses"]) for row in first] == [1, 2, 3, 4] * 2


def test_what_a_worked_case_is_worth():
    query = (
        world.Requirement("begin", "fish", 4),
        world.Requirement("lack", "stone", 2),
        world.Requirement("end", "boat", 1),
    )
    assert world.query_text(query) == "must begin fish , should lack stone , may end boat"
    assert world.read_query("must begin fish , should lack stone , may end boat") == query
    texts = ("eel rice salt raft", "eel rice chalk raft", "rice eel salt raft", "rice chalk eel mint")
    case = world.Case(query, tuple(tuple(text.split()) for text in texts))
    assert case.worth == [7, 5, 3, 0]
    assert case.truth == 0
    assert [world.Case(query, (one,)).truth for one in case.responses] == [1, 0, 0, 0]
