import pytest
from hypothesis import given
from hypothesis import strategies as st

from spct.data.allocation import allocate, split_by
from spct.errors import InputError

MATHS, CHAT = {"single": 50, "pair": 40, "multi": 10}, {"pair": 100}


def sums(cells):
    """Totals by source and by form."""
    forms = {form for row in cells.values() for form in row}
    return {name: sum(row.values()) for name, row in cells.items()}, {
        form: sum(row.get(form, 0) for row in cells.values()) for form in forms
    }


def test_largest_remainder():
    assert split_by(10, {"a": 0.54, "b": 0.46}) == {"a": 5, "b": 5}
    assert split_by(10, {"a": 1 / 3, "b": 1 / 3, "c": 1 / 3}) == {"a": 4, "b": 3, "c": 3}
    assert split_by(100, {"a": 0.29}) == {"a": 29}


def test_counts_and_forms_hold_together():
    have = {"maths": MATHS, "chat": CHAT}
    cells = allocate(have, {"maths": 60}, {}, {"single": 0.3, "pair": 0.65, "multi": 0.05}, 100)
    assert cells["maths"] == {"single": 30, "pair": 25, "multi": 5}
    assert cells["chat"] == {"single": 0, "pair": 40, "multi": 0}


def test_shares_without_a_size_give_as_many_as_they_allow():
    cells = allocate({"maths": MATHS, "chat": CHAT}, {}, {"maths": 0.8, "chat": 0.2}, None, None)
    assert sums(cells)[0] == {"maths": 100, "chat": 25}


def test_forms_without_a_size_give_as_many_as_they_allow():
    cells = allocate({"maths": MATHS, "chat": CHAT}, {}, {}, {"single": 0.5, "pair": 0.5}, None)
    assert sums(cells)[1] == {"single": 50, "pair": 51}  # 101 items: the half goes to the first name


def test_sources_without_a_share_give_in_proportion():
    cells = allocate({"a": {"pair": 300}, "b": {"pair": 100}}, {}, {}, None, 40)
    assert sums(cells)[0] == {"a": 30, "b": 10}


def test_one_source_makes_room_for_another_that_can_do_nothing_else():
    have = {"both": {"pair": 10, "multi": 10}, "pairs": {"pair": 10}}
    cells = allocate(have, {"both": 10, "pairs": 10}, {}, {"pair": 0.5, "multi": 0.5}, None)
    assert cells == {"both": {"pair": 0, "multi": 10}, "pairs": {"pair": 10, "multi": 0}}


def test_counts_beside_free_sources_take_everything_or_ask_for_the_size():
    have = {"maths": MATHS, "chat": CHAT}
    assert sums(allocate(have, {"maths": 10}, {}, None, None))[0] == {"maths": 10, "chat": 100}
    with pytest.raises(InputError, match="size: some sources have a count and others follow shares"):
        allocate(have, {"maths": 10}, {}, {"pair": 1.0}, None)


def test_shares_that_no_tiny_total_can_meet():
    have = {"a": {"single": 30}, "b": {"pair": 30}}
    assert allocate(have, {}, {"a": 0.5, "b": 0.5}, {"single": 0.5, "pair": 0.5}, None)["a"]["single"] == 30


@pytest.mark.parametrize(
    ("counts", "shares", "forms", "size", "message"),
    [
        (
            {"chat": 101},
            {},
            None,
            None,
            "source 'chat': 101 items are asked for and 100 are usable; lower it, or add data",
        ),
        (
            {},
            {"chat": 0.9},
            None,
            150,
            "source 'chat': 135 items are asked for and 100 are usable; the largest size that ",
        ),
        (
            {},
            {},
            {"multi": 0.5, "pair": 0.5},
            40,
            "form 'multi': 20 items are asked for and the sources have 10; the largest ",
        ),
        (
            {},
            {},
            None,
            201,
            "size: 201 items are asked for and 200 are usable; the largest size that can be met is 200",
        ),
        ({"maths": 60}, {}, None, 50, "size: 50 is less than the counts of the sources, 60; raise it or lower them"),
        (
            {"chat": 50},
            {},
            {"single": 1.0},
            50,
            "the shares of the sources and of the forms cannot be met together at 50",
        ),
    ],
)
def test_a_share_that_cannot_be_met_says_what_is_short(counts, shares, forms, size, message):
    with pytest.raises(InputError, match=message):
        allocate({"maths": MATHS, "chat": CHAT}, counts, shares, forms, size)


CELLS = st.fixed_dictionaries({form: st.integers(0, 30) for form in ("single", "pair", "multi")})


@given(
    st.lists(CELLS, min_size=1, max_size=4),
    st.integers(1, 80),
    st.sampled_from([None, (0.2, 0.5, 0.3), (0.0, 1.0, 0.0)]),
)
def test_what_is_given_is_there_and_adds_up(rows, size, shares):
    have = {f"s{i}": row for i, row in enumerate(rows)}
    forms = None if shares is None else dict(zip(("single", "pair", "multi"), shares, strict=True))
    by_form = sums(have)[1]
    asked = None if forms is None else split_by(size, forms)
    possible = sum(by_form.values()) >= size if asked is None else all(by_form[f] >= n for f, n in asked.items())
    try:
        cells = allocate(have, {}, {}, forms, size)
    except InputError:
        assert not possible
        return
    assert possible
    assert all(0 <= cells[name][form] <= have[name][form] for name in have for form in cells[name])
    assert sum(sums(cells)[0].values()) == size
    assert asked is None or sums(cells)[1] == asked
