"""What belongs to a key is out of the reach of every other: groups of rollouts, option sets, a share of room and turns."""

import asyncio

from serve.live import keys_of, live, until
from service.serving import gated
from spct.service.recording import MAX_RUNS, Recording


def rollout(response, member, size=2, **more):
    return {
        "query": "q",
        "response": response,
        "group": {"run": "r", "id": "g", "size": size, "member": member},
        **more,
    }


async def test_groups_of_the_same_name_are_groups_of_their_own():
    keys, (alice, bob) = keys_of("alice", "bob")
    async with live(keys=keys) as server:
        first = asyncio.create_task(server.post("/v1/reward", rollout("2", "0"), Authorization=alice))
        await until(lambda: server.serving.open_groups == 1)
        for body in (rollout("9", "0"), rollout("9", "1", size=5), rollout("9", "1", hold_s=0)):
            other = asyncio.create_task(server.post("/v1/reward", body | {"deadline_s": 0.05}, Authorization=bob))
            assert (await other).error in ("DeadlineError", "PendingError")
        last = await server.post("/v1/reward", rollout("6", "1"), Authorization=alice)
        assert [(reply.json["reward"], reply.json["members"]) for reply in (await first, last)] == [(2, 2), (6, 2)]
        late = await server.post("/v1/reward", rollout("9", "2"), Authorization=alice)
        assert late.error == "LateMemberError"
        again = await server.post("/v1/reward", rollout("6", "7", hold_s=0), Authorization=bob)
        assert again.error == "PendingError"


async def test_rollouts_of_openrlhf_are_gathered_by_key_too():
    keys, (alice, bob) = keys_of("alice", "bob")
    body = {"query": ["pa"], "prompts": ["p"]}
    async with live(keys=keys, cohort_wait_s=0.1) as server:
        asked = [server.post("/v1/openrlhf/reward?size=2&run=r", body, Authorization=key) for key in (alice, bob)]
        replies = await asyncio.gather(*asked)
    assert [reply.json["extra_logs"]["spct_group"] for reply in replies] == [[1], [1]]


async def test_a_full_queue_has_room_for_a_key_that_holds_less_than_its_share():
    keys, (alice, bob) = keys_of("alice", "bob")
    gate, engine = gated()

    def ask(key, i):
        return server.post("/v1/reward", {"query": f"{key} {i}", "responses": ["5"]}, Authorization=key)

    async with live(engine, keys=keys, concurrency=2, queue=4) as server:
        greedy = [asyncio.create_task(ask(alice, i)) for i in range(6)]
        await until(lambda: server.service.callers == 6)
        assert (await ask(alice, 6)).status == 429
        modest = [asyncio.create_task(ask(bob, i)) for i in range(3)]
        await until(lambda: server.service.callers == 9)
        assert (await ask(bob, 3)).status == 429
        gate.open.set()
        assert {reply.status for reply in await asyncio.gather(*greedy, *modest)} == {200}


async def test_a_long_line_of_one_key_delays_another_by_a_turn():
    keys, (alice, bob) = keys_of("alice", "bob")
    gate, engine = gated()
    answered = []

    async def ask(key, i):
        await server.post("/v1/reward", {"query": f"{key} {i}", "responses": ["5"]}, Authorization=key)
        answered.append((key == bob, i))

    async with live(engine, keys=keys, concurrency=1) as server:
        asked = [asyncio.create_task(ask(alice, i)) for i in range(20)]
        await until(lambda: server.service.callers == 20)
        asked.append(asyncio.create_task(ask(bob, 0)))
        await until(lambda: server.service.callers == 21)
        gate.open.set()
        await asyncio.gather(*asked)
    assert answered.index((True, 0)) == 1


async def test_option_sets_of_one_key_leave_the_other_its_share(tmp_path):
    keys, (alice, bob) = keys_of("alice", "bob")
    async with live(keys=keys, recording=Recording(tmp_path / "run", callers=2)) as server:

        def ask(key, seed):
            body = {"query": "q", "responses": ["5"], "options": {"seed": seed}}
            return server.post("/v1/reward", body, Authorization=key)

        for seed in range(1, MAX_RUNS):
            assert (await ask(alice, seed)).status == 200
        refused = await ask(alice, MAX_RUNS)
        assert (refused.status, refused.error) == (422, "InputError")
        assert (await ask(alice, 1)).status == 200
        assert (await ask(bob, 1)).status == 200
        share = (MAX_RUNS - 1) // 2
        assert [(await ask(bob, 1000 + i)).status for i in range(share + 1)] == [200] * share + [422]


async def test_bodies_that_wait_are_bounded_together_and_shared():
    from spct.serve.limits import Limits

    keys, (alice, bob) = keys_of("alice", "bob")
    gate, engine = gated()

    def ask(key, i):
        return server.post("/v1/reward", {"query": f"{i}" + "x" * 400, "responses": ["5"]}, Authorization=key)

    async with live(engine, keys=keys, limits=Limits(waiting_bytes=1000)) as server:
        waiting = [asyncio.create_task(ask(alice, i)) for i in range(2)]
        await until(lambda: server.service.callers == 2)
        refused = await ask(alice, 2)
        assert (refused.status, refused.error, refused.headers["Retry-After"]) == (429, "BusyError", "2")
        waiting.append(asyncio.create_task(ask(bob, 3)))
        await until(lambda: server.service.callers == 3)
        gate.open.set()
        assert {reply.status for reply in await asyncio.gather(*waiting)} == {200}
        assert server.serving.bodies.taken == 0
        assert (await ask(alice, 2)).status == 200
