"""Which of several servers a request goes to: by load, by what they have failed, by the prompts that they know."""

import pytest

from spct.engines.http.address import find_address
from spct.engines.http.fleet import KEPT_PROMPTS, SAME_CHARS, SLACK, Fleet, Prompts, Server, shared_chars


def servers(count: int) -> list[Server]:
    return [Server(find_address("m", f"http://127.0.0.1:{9000 + n}/v1", None), ("x",)) for n in range(count)]


def sent(fleet: Fleet, prompt: str, now: float = 0.0, avoid: Server | None = None) -> int:
    """Send a request that is not answered yet; the number of its server."""
    server = fleet.choose(prompt, now, avoid)
    server.in_flight += 1
    return fleet.servers.index(server)


def test_different_prompts_go_where_the_least_is_in_flight():
    fleet = Fleet(servers(3))
    assert [sent(fleet, f"{n} is another prompt") for n in range(9)] == [0, 1, 2] * 3
    fleet.servers[1].in_flight = 0
    assert [sent(fleet, f"{n} once more") for n in range(3)] == [1, 1, 1]


def test_idle_servers_take_turns():
    fleet = Fleet(servers(2))
    chosen = []
    for n in range(6):
        server = fleet.choose(f"{n} alone", 0.0)
        server.serve()
        chosen.append(fleet.servers.index(server))
    assert chosen == [0, 1, 0, 1, 0, 1]


def test_one_prompt_stays_with_its_server_until_that_has_much_more_to_do():
    fleet = Fleet(servers(2))
    assert [sent(fleet, "the same prompt") for _ in range(SLACK + 2)] == [0] * (SLACK + 1) + [1]


def test_prompts_that_begin_alike_stay_together_and_what_all_share_does_not_count():
    rules = "Judge the responses by these rules. " * 20
    first, second = rules + "Query one: " + "a" * 500, rules + "Query two: " + "b" * 500
    fleet = Fleet(servers(2))
    assert sent(fleet, first + "order 1 2") == 0
    assert sent(fleet, second + "order 1 2") == 1
    assert [sent(fleet, first + "order 2 1"), sent(fleet, second + "order 2 1")] == [0, 1]
    fleet.servers[0].in_flight = 0
    assert sent(fleet, second + "order 3") == 1
    assert sent(fleet, rules + "Query three: c") == 0


def test_a_server_that_failed_is_left_out_then_tried_with_one_request():
    fleet = Fleet(servers(2))
    broken, well = fleet.servers
    broken.fail(100.0)
    assert [sent(fleet, f"{n}", now=100.5) for n in range(4)] == [1] * 4
    assert [sent(fleet, f"{n} later", now=101.1) for n in range(3)] == [0, 1, 1]
    broken.in_flight = 0
    broken.fail(102.0)
    assert sent(fleet, "too early", now=104.9) == 1
    assert sent(fleet, "again", now=105.1) == 0
    broken.serve()
    assert sent(fleet, "well again", now=105.2) == 0
    assert well.failures == 0


def test_a_request_that_failed_goes_elsewhere_if_there_is_another():
    fleet = Fleet(servers(2))
    assert sent(fleet, "p", avoid=fleet.servers[0]) == 1
    lone = Fleet(servers(1))
    assert sent(lone, "p", avoid=lone.servers[0]) == 0


def test_where_all_have_failed_the_first_to_be_tried_again_is_asked():
    fleet = Fleet(servers(2))
    fleet.servers[0].fail(10.0)
    fleet.servers[1].fail(9.0)
    assert sent(fleet, "p", now=9.5) == 1
    assert not fleet.others_take(fleet.servers[0], 9.5)


def test_a_server_that_asks_for_a_pause_is_spared():
    fleet = Fleet(servers(2))
    fleet.servers[0].pause.until = 50.0
    assert [sent(fleet, f"{n}", now=49.0) for n in range(3)] == [1, 1, 1]
    assert sent(fleet, "after", now=51.0) == 0


def test_old_prompts_are_forgotten():
    prompts, (server,) = Prompts(), servers(1)
    for n in range(KEPT_PROMPTS + 3):
        prompts.keep(f"{n:05d}" + "x" * SAME_CHARS, server)
    assert prompts.find("00001" + "x" * SAME_CHARS) is None
    assert prompts.find("00004" + "x" * SAME_CHARS) is server


@pytest.mark.parametrize(
    ("one", "other", "chars"), [("", "", 0), ("a", "b", 0), ("abc", "abd", 2), ("abc", "abcde", 3), ("same", "same", 4)]
)
def test_what_two_texts_share(one, other, chars):
    assert shared_chars(one, other) == shared_chars(other, one) == chars
