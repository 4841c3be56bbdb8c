from dataclasses import replace

import pytest

from spct.errors import InputError
from spct.service.cache import VerdictCache, estimated_bytes
from spct.types import ItemError, Judgment
from spct.voting.vote import decide


def verdict(text="x", id="a"):
    return decide([Judgment(0, (0,), 1, text, "stop", (7,))], id=id, n=1, k=1)


def test_a_verdict_is_there_until_its_time_is_over():
    now = [100.0]
    cache = VerdictCache(10_000, 5.0, clock=lambda: now[0])
    cache.put("a", verdict())
    assert cache.get("a") == verdict()
    now[0] = 104.999
    assert cache.get("a") == verdict()
    now[0] = 105.0
    assert cache.get("a") is None
    assert (len(cache), cache.bytes) == (0, 0)


def test_asking_does_not_lengthen_its_time_and_putting_again_does():
    now = [0.0]
    cache = VerdictCache(10_000, 5.0, clock=lambda: now[0])
    cache.put("a", verdict())
    now[0] = 4.0
    cache.put("a", verdict())
    now[0] = 8.0
    assert cache.get("a") is not None
    assert cache.bytes == estimated_bytes(verdict())


def test_what_was_not_asked_for_the_longest_goes_first():
    cache = VerdictCache(2 * estimated_bytes(verdict()) + 10)
    cache.put("a", verdict())
    cache.put("b", verdict())
    assert cache.get("a") is not None
    cache.put("c", verdict())
    assert [key for key in "abc" if cache.get(key)] == ["a", "c"]


def test_it_never_holds_more_bytes_than_it_may():
    cache = VerdictCache(20_000)
    for index in range(100):
        cache.put(str(index), verdict("y" * (index * 37 % 5000)))
        assert cache.bytes <= 20_000
    assert cache.bytes == sum(estimated_bytes(kept[2]) for kept in cache._kept.values())


def test_what_is_too_large_or_without_a_winner_is_not_kept():
    cache = VerdictCache(5000)
    cache.put("large", verdict("y" * 5000))
    cache.put("failed", replace(verdict(), error=ItemError("ReplyError", "garbage")))
    assert len(cache) == 0


@pytest.mark.parametrize("off", [VerdictCache(0), VerdictCache(10_000, 0.0)])
def test_it_can_be_off(off):
    off.put("a", verdict())
    assert off.get("a") is None


def test_limits_that_cannot_be():
    with pytest.raises(InputError, match="-1 bytes"):
        VerdictCache(-1)
    with pytest.raises(InputError, match="nan s"):
        VerdictCache(1, float("nan"))
