"""Throttles, Retry-After and backoff, by the clock that is handed in."""

import asyncio

import pytest

from spct.engines.http.limits import LONGEST_BACKOFF_S, Limits, Pace, Pause, Throttle, backoff_s, retry_after_s


def test_sixty_a_minute_is_one_a_second():
    throttle = Throttle(60)
    assert [throttle.reserve(1, now=100.0) for _ in range(4)] == [0, 1, 2, 3]


def test_a_second_of_a_fast_limit_may_go_out_at_once():
    throttle = Throttle(600)
    waits = [throttle.reserve(1, now=0.0) for _ in range(12)]
    assert waits[:10] == pytest.approx([0] * 10, abs=1e-9)
    assert waits[10:] == pytest.approx([0.1, 0.2])


def test_time_that_passed_without_requests_is_not_saved_up():
    throttle = Throttle(60)
    throttle.reserve(1, now=0.0)
    assert [throttle.reserve(1, now=1000.0) for _ in range(3)] == [0, 1, 2]


def test_more_than_the_limit_goes_into_debt_and_is_corrected():
    throttle = Throttle(6000)
    assert throttle.reserve(12000, now=0.0) == 0
    assert throttle.reserve(1, now=0.0) == pytest.approx(119.01)
    throttle.correct(-11000)
    assert throttle.reserve(1, now=0.0) == pytest.approx(9.02)


async def test_a_pause_holds_requests_back_until_it_is_over():
    pause = Pause()
    pause.begin(0.02)
    waiting = asyncio.create_task(pause.over())
    await asyncio.sleep(0)
    assert not waiting.done()
    await waiting
    await pause.over()


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"Retry-After": "3"}, 3.0),
        ({"Retry-After": "0.5"}, 0.5),
        ({"Retry-After": "-4"}, 0.0),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": ""}, None),
        ({"Retry-After": "nan"}, None),
        ({"Retry-After": "inf"}, None),
        ({"Retry-After": "Thu, 01 Jan 1970 00:01:10 GMT"}, 10.0),
        ({"Retry-After": "Thu, 01 Jan 1970 00:00:10 GMT"}, 0.0),
        ({"retry-after-ms": "250", "Retry-After": "9"}, 0.25),
    ],
)
def test_retry_after(headers, seconds):
    assert retry_after_s(headers, now_unix_s=60.0) == seconds


def test_backoff_is_bounded():
    for tries in (1, 2, 5, 1000):
        assert all(
            0 <= backoff_s(tries, 0.5) <= min(LONGEST_BACKOFF_S, 0.5 * 3.0 ** min(tries - 1, 30)) for _ in range(50)
        )


async def still_waits(waiting):
    """Whether a request is held back now and for as long as a test looks."""
    task = asyncio.create_task(waiting)
    await asyncio.wait([task], timeout=0.05)
    waits = not task.done()
    task.cancel()
    return waits


@pytest.mark.parametrize("limits", [Limits(6, 600_000), Limits(600_000, 6)])
async def test_a_request_waits_for_the_slower_of_both_limits(limits):
    await limits.wait(1)
    assert await still_waits(limits.wait(1))


async def test_a_shorter_pause_does_not_end_a_longer_one():
    pause = Pause()
    pause.begin(60)
    pause.begin(0)
    assert await still_waits(pause.over())


async def test_a_pause_that_grows_holds_those_who_wait_already():
    pause = Pause()
    pause.begin(0.1)
    waiting = asyncio.create_task(pause.over())
    await asyncio.sleep(0)
    pause.begin(60)
    await asyncio.wait([waiting], timeout=0.2)
    assert not waiting.done()
    waiting.cancel()


def paced(*served_at: float) -> Pace:
    pace = Pace(0.1)
    for now in served_at:
        pace.serve(now)
    return pace


def test_where_nothing_is_served_waits_grow_with_the_tries():
    pace = paced()
    assert [pace.longest_wait_s(tries, 0.0) for tries in (1, 2, 3, 4, 9)] == pytest.approx([0.1, 0.3, 0.9, 2.7, 30.0])
    assert not pace.is_serving(0.0)


def test_while_others_are_served_the_unlucky_waits_no_longer_than_nothing_came():
    pace = paced(100.0)
    assert pace.longest_wait_s(6, 100.0) == pytest.approx(0.1)
    assert pace.longest_wait_s(6, 100.7) == pytest.approx(0.7)
    assert pace.longest_wait_s(1, 100.7) == pytest.approx(0.1)
    assert pace.is_serving(104.9) and not pace.is_serving(105.1)


def test_many_that_wait_share_the_rate_at_which_replies_come():
    pace = paced(*range(200))
    pace.waiting = 20
    assert pace.longest_wait_s(6, 199.0) == pytest.approx(20.0, rel=1e-3)
    assert pace.longest_wait_s(2, 199.0) == pytest.approx(0.3)
