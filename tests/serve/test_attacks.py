"""Hostile bodies at every endpoint: small, short answers, and a server that keeps nothing of them."""

import asyncio
import json
from pathlib import Path

import pytest

from serve.live import PAIR, live
from serve.test_process import folder, start  # noqa: F401 - fixtures: a server as a process of its own

GROUP = '{"query":"q","responses":'
ENDPOINTS = [
    ("/v1/judge", '{"query":"q","responses":[%s]}'),
    ("/v1/judge", '{"query":[%s],"responses":["a"]}'),
    ("/v1/judge/batch", '{"items":[%s]}'),
    ("/v1/reward", '{"query":"q","responses":[%s]}'),
    ("/v1/reward", '{"groups":[%s]}'),
    ("/v1/reward", '{"query":[%s],"response":"a","group":{}}'),
    ("/v1/rerank", '{"query":"q","documents":[%s]}'),
    ("/rerank", '{"query":"q","documents":[%s]}'),
    ("/v2/rerank", '{"query":"q","documents":[%s]}'),
    ("/score", '{"text_1":"q","text_2":[%s]}'),
    ("/score", '{"text_1":[%s],"text_2":["a"]}'),
    ("/v1/score", '{"queries":["q"],"documents":[%s]}'),
    ("/v1/score", '{"queries":[%s],"items":["a"]}'),
    ("/v1/score", '{"data_1":"q","data_2":[%s]}'),
    ("/v1/openrlhf/reward", '{"query":[%s],"prompts":["a"]}'),
    ("/v1/openrlhf/reward", '{"query":["a"],"prompts":[%s]}'),
]


@pytest.mark.parametrize(("path", "body"), ENDPOINTS)
async def test_a_list_of_wrong_kinds_is_told_of_once(path, body):
    async with live() as server:
        for wrong in ("1", "[]", "null", "true", '{"a":1}', "[[[]]]", "1e9"):
            reply = await server.post(path, raw=(body % ",".join([wrong] * 30_000)).encode())
            assert (reply.status, reply.error) == (422, "InputError")
            assert len(reply.body) < 1500
        for right in ('"a"', '"\\u00e9"', "1"):
            reply = await server.post(path, raw=(body % ",".join([right] * 100_001)).encode())
            assert reply.status == 422
            assert "more than 100000 values" in reply.json["error"]["message"]


@pytest.mark.parametrize(
    "path", ["/v1/judge", "/v1/judge/batch", "/v1/reward", "/rerank", "/score", "/v1/openrlhf/reward"]
)
async def test_bodies_of_every_bad_shape(path):
    keys = ",".join(f'"k{i}":1' for i in range(90_000))
    shapes = {
        "{" + keys + "}": 422,
        GROUP + '["a"],' + keys + "}": (422, 200),
        "{" + ",".join(['"query":1'] * 90_000) + "}": 422,
        '{"' + "k" * 1_000_000 + '":1}': 422,
        "[" * 90_000: 400,
        "[" * 190 + "]" * 190: 422,
        '{"query":' + "1" * 1_000_000 + "}": (400, 422),
        '{"query":' + "-1e" + "9" * 1_000 + "}": (400, 422),
        '{"query":"' + "\\ud800" * 1000 + '"}': (400, 422),
        " " * 1_000_000: 400,
        "[" * 200_000: 422,
        '"' + "a" * 1_000_000 + '"': 422,
        "NaN": (400, 422),
        "\x00": 400,
    }
    async with live() as server:
        for shape, expected in shapes.items():
            reply = await server.post(path, raw=shape.encode())
            assert reply.status in (expected if isinstance(expected, tuple) else (expected,)), shape[:40]
            assert reply.status == 200 or len(reply.body) < 1500
        assert (await server.post("/v1/judge", PAIR)).status == 200


async def test_parameters_of_the_address_are_bounded_too():
    async with live() as server:
        body = {"query": ["pa"], "prompts": ["p"]}
        reply = await server.post("/v1/openrlhf/reward?" + "&".join(f"k{i}=1" for i in range(1500)), body)
        assert (reply.status, len(reply.body) < 1500) == (422, True)
        assert (await server.post("/v1/openrlhf/reward?size=" + "9" * 5000, body)).status == 422


def peak_mb(pid):
    return int(Path(f"/proc/{pid}/status").read_text().partition("VmHWM:")[2].split()[0]) / 1024


async def test_a_server_keeps_little_of_bad_bodies(start):  # noqa: F811
    server = await start()
    await server.reward("q", ["5"])
    before = peak_mb(server.process.pid)
    for path, body in ENDPOINTS:
        for wrong in ("1", "[]", '"ab"'):
            data = (body % ",".join([wrong] * (5_000_000 // (len(wrong) + 1)))).encode()
            headers = {"Content-Type": "application/json"}
            async with server.session.post(server.address + path, data=data, headers=headers) as reply:
                assert reply.status == 422
    assert peak_mb(server.process.pid) - before < 50


FORGETFUL = """
from spct.engines.engine import Capabilities, Sample, SampleBatch
from spct.engines.scripted import judgment_text
from spct.types import Usage

class Judge:
    notes, configuration, capabilities = (), {}, Capabilities(seeding="sample")

    def __init__(self, name):
        self.model_id = name

    async def start(self):
        return

    close = start

    async def count_tokens(self, messages):
        return None

    async def sample(self, request):
        text = judgment_text([5] * request.messages[-1].content.count("[Begin response "))
        return SampleBatch(tuple(Sample(text, "stop", request.seed + j) for j in range(request.n)), Usage())
"""


async def test_a_group_within_the_limits_takes_less_than_ten_times_its_size(start, folder):  # noqa: F811
    (folder / "forgetful.py").write_text(FORGETFUL)
    server = await start(model=f"{folder / 'forgetful.py'}:Judge:x")
    await server.reward("q", ["5"])
    before = peak_mb(server.process.pid)
    text = "The sea was quiet that morning, and the boats lay still along the wall. " * 2700
    for path, more in (("/v1/reward", {}), ("/v1/judge", {"options": {"k": 20}})):
        body = {"query": "q", "responses": [f"{i} {text}" for i in range(30)], **more}
        data = json.dumps(body).encode()
        async with server.session.post(
            server.address + path, data=data, headers={"Content-Type": "application/json"}
        ) as reply:
            assert reply.status == 200
        assert peak_mb(server.process.pid) - before < 10 * len(data) / 2**20


async def test_the_probes_answer_while_a_large_group_is_judged():
    text = "The sea was quiet that morning, and the boats lay still along the wall. " * 2700
    async with live() as server:
        body = {"query": "q", "responses": [f"{i} {text}" for i in range(30)], "options": {"k": 10}}
        asked = asyncio.create_task(server.post("/v1/reward", body))
        probed = 0
        while not asked.done():
            assert (await server.get("/healthz")).status == 200
            probed += 1
        assert (await asked).status == 200
    assert probed > 10
