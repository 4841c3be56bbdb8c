import pytest

from adapters.letters import letters
from servers.rewards import RewardServer, answering, group_answer
from spct.adapters.best_of_n import Best, abest_of_n, best_of_n
from spct.errors import NoVerdictError


def test_the_best_response():
    best = best_of_n(letters(k=2), "p", ["e", "eee", "ee"])
    assert (best.index, best.response, best.rewards, best.tied) == (1, "eee", (1, 3, 2), ())
    assert best_of_n(letters(), "p", ["e", "e"]).tied == (0, 1)


def test_no_verdict_is_no_choice():
    with pytest.raises(NoVerdictError):
        best_of_n(letters(), "p", ["e", "?"])


async def test_through_a_service():
    async with RewardServer(answering(lambda body: group_answer([1.0, 3.0]))) as server:
        assert await abest_of_n(server.url, "p", ["a", "b"]) == Best(1, "b", (1.0, 3.0), (), 0.9)
