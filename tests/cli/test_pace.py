import pytest

from spct.cli.pace import Pace, samples_left
from spct.views import Totals


def paced(arrivals, tokens=10, every_s=0.2, until_s=None, start_s=1000.0):
    """The pace after samples came at ``arrivals``, (seconds, how many), noted every ``every_s`` seconds."""
    pace = Pace(start_s)
    end = arrivals[-1][0] if until_s is None else until_s
    for tick in range(1, round(end / every_s) + 1):
        samples = sum(n for at, n in arrivals if at <= tick * every_s + 1e-9)
        pace.mark(start_s + tick * every_s, samples, samples * tokens)
    return pace


def steadily(per_s, seconds):
    return [((i + 1) / per_s, 1) for i in range(int(per_s * seconds))]


def test_the_rate_of_a_steady_session():
    pace = paced(steadily(5, 60))
    assert pace.samples_per_s == pytest.approx(5)
    assert pace.tokens_per_s == pytest.approx(50)


@pytest.mark.parametrize(
    "arrivals",
    [[(0.2, 5000)], steadily(5, 2.8), [(1, 1), (2, 1), (3, 1), (4, 1)], [(4, 8)], [(1, 2), (4, 6)]],
    ids=["in no time", "too short", "too few", "the first answer only", "three times as many in the second half"],
)
def test_no_rate_before_there_is_one(arrivals):
    pace = paced(arrivals)
    assert (pace.samples_per_s, pace.tokens_per_s) == (None, None)


def test_a_rate_is_there_after_a_few_seconds_and_samples():
    assert paced(steadily(5, 3)).samples_per_s == pytest.approx(5)
    assert paced(steadily(0.1, 50)).samples_per_s == pytest.approx(0.1)


def test_what_came_at_once_and_no_more_is_spread_over_the_time_since():
    assert paced([(0.2, 5000)], until_s=10).samples_per_s == pytest.approx(500)


def test_the_first_requests_of_many_side_by_side_make_no_rate():
    """64 requests side by side take 20 to 40 s each: by 30 s half of the first have come, at a seventh of the true rate."""
    waves = [(20 * (wave + 1) + 10 * wave + 20 * place / 64, 1) for wave in range(6) for place in range(64)]
    found = [paced(sorted(waves), until_s=at).samples_per_s for at in (22, 26, 30, 34, 38)]
    assert found == [None] * 5
    assert paced(sorted(waves), until_s=60).samples_per_s == pytest.approx(64 / 30, rel=0.5)
    assert paced(sorted(waves), until_s=150).samples_per_s == pytest.approx(64 / 30, rel=0.2)


def test_the_rate_follows_the_last_seconds():
    fast = [(at, 1) for at, _ in steadily(20, 30)]
    slow = [(30 + at, 1) for at, _ in steadily(2, 120)]
    assert paced(fast + slow).samples_per_s == pytest.approx(2, rel=0.05)


def test_a_stall_lowers_the_rate_and_never_makes_it_nothing():
    arrivals = steadily(5, 60)
    assert paced(arrivals, until_s=90).samples_per_s == pytest.approx(50 / 40)
    assert 0 < paced(arrivals, until_s=6000, every_s=10).samples_per_s < 0.1


def test_requests_that_answer_many_at_once_do_not_make_the_rate_jump():
    batches = [(12.0 * (i + 1), 16) for i in range(40)]
    found = [paced(batches, until_s=at).samples_per_s for at in (200, 203, 206, 209, 212, 215)]
    assert all(rate == pytest.approx(16 / 12, rel=0.25) for rate in found)


def test_time_in_which_an_earlier_session_was_read_back_does_not_count():
    pace = Pace(0.0)
    for second in range(1, 21):
        pace.mark(second, 0, 0, replaying=True)
    for second in range(21, 31):
        pace.mark(second, 4 * (second - 20), 0)
    assert pace.samples_per_s == pytest.approx(4)


def test_marks_do_not_pile_up():
    assert len(paced(steadily(5, 2000))._marks) <= 160


@pytest.mark.parametrize(
    ("items", "judgments", "k", "under_way", "left"),
    [
        (0, 0, 8, 0, 800),
        (0, 0, 8, 256, 544),
        (50, 400, 8, 0, 400),
        (50, 400, 8, 30, 370),
        (50, 500, 8, 0, 500),  # a retry or a block more for every fourth sample
        (50, 300, 8, 0, 400),  # some items failed: that says nothing of the others
        (100, 800, 8, 0, 0),
        (99, 792, 8, 20, 0),
        (0, 0, None, 64, None),
        (10, 35, None, 64, 315),
    ],
)
def test_samples_left(items, judgments, k, under_way, left):
    totals = Totals(planned=100, items=items, judgments=judgments)
    assert samples_left(totals, judgments + under_way, k) == left


def test_samples_of_an_earlier_session_are_not_still_to_come():
    assert samples_left(Totals(planned=100, items=50, judgments=400, replayed=390), 30, 8) == 380
    assert samples_left(Totals(items=50, judgments=400), 400, 8) is None
