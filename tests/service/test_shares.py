from spct.service.shares import Shares


def test_one_caller_may_have_all():
    shares = Shares(10)
    shares.take("", 10)
    assert not shares.has_room("")
    shares.give("", 4)
    assert shares.has_room("", 4) and not shares.has_room("", 5)


def test_a_caller_below_its_part_is_never_refused():
    shares = Shares(10, callers=2)
    shares.take("greedy", 10)
    assert not shares.has_room("greedy")
    assert shares.has_room("late", 5) and not shares.has_room("late", 6)
    shares.take("late", 5)
    assert not shares.has_room("late")
    shares.give("greedy", 4)
    assert not shares.has_room("greedy")
    shares.give("greedy", 2)
    assert shares.has_room("greedy")
    assert shares.taken == 9


def test_there_is_a_place_for_each_however_many_they_are():
    shares = Shares(2, callers=5)
    for name in "abcde":
        assert shares.has_room(name)
        shares.take(name)
    assert not shares.has_room("a")


def test_another_number_of_places():
    shares = Shares(1, callers=2)
    shares.take("a")
    shares.resize(4)
    assert shares.has_room("a", 3) and shares.has_room("b", 3) and not shares.has_room("b", 4)


def test_a_part_goes_by_weight():
    shares = Shares(12, callers=3, weights={"a": 4})
    assert [shares.part(name) for name in "abc"] == [8, 2, 2]
    shares.take("b", 12)
    assert shares.has_room("a", 8) and not shares.has_room("a", 9)
    assert shares.has_room("c", 2) and not shares.has_room("c", 3)
