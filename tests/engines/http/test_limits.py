"""Throttles, Retry-After and backoff, by the clock that is handed in."""

import asyncio

import pytest

from spct.engines.http.limits import LONGEST_BACKOFF_S, Limits, Throttle, backoff_s, retry_after_s


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
    limits = Limits(None, None)
    limits.pause(0.02)
    waiting = asyncio.create_task(limits.wait(0))
    await asyncio.sleep(0)
    assert not waiting.done()
    await waiting
    await limits.wait(0)


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
        assert all(0 <= backoff_s(tries, 0.5) <= min(LONGEST_BACKOFF_S, 0.5 * 2 ** (tries - 1)) for _ in range(50))


async def still_waits(limits):
    """Whether a request is held back now and for as long as a test looks."""
    task = asyncio.create_task(limits.wait(1))
    await asyncio.wait([task], timeout=0.05)
    waits = not task.done()
    task.cancel()
    return waits


@pytest.mark.parametrize("limits", [Limits(6, 600_000), Limits(600_000, 6)])
async def test_a_request_waits_for_the_slower_of_both_limits(limits):
    await limits.wait(1)
    assert await still_waits(limits)


async def test_a_shorter_pause_does_not_end_a_longer_one():
    limits = Limits(None, None)
    limits.pause(60)
    limits.pause(0)
    assert await still_waits(limits)


async def test_a_pause_that_grows_holds_those_who_wait_already():
    limits = Limits(None, None)
    limits.pause(0.01)
    waiting = asyncio.create_task(limits.wait(1))
    await asyncio.sleep(0)
    limits.pause(60)
    await asyncio.wait([waiting], timeout=0.1)
    assert not waiting.done()
    waiting.cancel()
