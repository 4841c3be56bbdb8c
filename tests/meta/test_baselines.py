import pytest

from meta.judged import cases_of, item, judgment
from spct.errors import InputError
from spct.meta import load_meta
from spct.voting.ratings import Rating


async def test_the_oracle_applies_eq_10_to_each_judgment():
    judgments = [judgment(0, (3, 9)), judgment(1, (9, 3)), judgment(2, (7, 7))]
    assert await load_meta("oracle").rate(cases_of(judgments)) == [Rating(1.0), Rating(0.0), Rating(0.0)]


async def test_the_oracle_knows_nothing_without_a_ground_truth():
    (rating,) = await load_meta("oracle").rate(cases_of([judgment(0, (3, 9))], item(best=None)))
    assert rating == Rating(None, "the item has no ground truth with a unique best")


async def test_the_oracle_cannot_rate_a_block():
    (rating,) = await load_meta("oracle").rate(cases_of([judgment(0, (3, 9), order=(0, 1))], item(n=3)))
    assert rating.value is None


def test_its_id_says_what_it_is():
    assert load_meta("oracle").model_id == "oracle:reads-the-ground-truth"


async def test_random_ratings_depend_on_seed_and_place_alone():
    cases = cases_of([judgment(i, (3, 9)) for i in range(64)])
    first = await load_meta("random").rate(cases)
    assert first == await load_meta("random:0").rate(cases)
    assert first[5:] == await load_meta("random:0").rate(cases[5:])
    assert first != await load_meta("random:1").rate(cases)
    values = [rating.value for rating in first]
    assert len(set(values)) == 64
    assert all(0 <= value < 1 for value in values)


@pytest.mark.parametrize(
    ("spec", "options", "message"),
    [
        ("nothing:x", {}, "meta 'nothing:x': expected KIND:NAME with KIND one of classifier, remote, llm, oracle"),
        ("classifier", {}, "expected KIND:NAME"),
        ("random", {"batch": 3}, "takes no batch; it takes no options"),
        ("random:x", {}, "expected random or random:SEED"),
        ("oracle:x", {}, "expected oracle"),
        ("no.such.module:Meta:x", {}, "cannot import no.such.module:Meta"),
    ],
)
def test_specs_that_cannot_be(spec, options, message):
    with pytest.raises(InputError, match=message):
        load_meta(spec, **options)
