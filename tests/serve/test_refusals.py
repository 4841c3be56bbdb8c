"""What is refused, and how: keys, limits, malformed requests. Nothing of it reaches the engine."""

import asyncio
import gzip

from serve.live import PAIR, keys_of, live
from service.serving import by_digit
from spct.engines.scripted import ScriptedEngine
from spct.serve.limits import Limits


async def test_only_who_has_a_key_may_ask():
    keys, bearers = keys_of("alice", "bob")
    alice, bob = [bearer.split()[1] for bearer in bearers]
    engine = ScriptedEngine(by_digit)
    async with live(engine, keys=keys) as server:
        for header in ("", "Bearer", "Bearer nonsense", f"Basic {alice}", f"Bearer {alice}x", alice):
            reply = await server.post("/v1/judge", PAIR, Authorization=header)
            assert (reply.status, reply.error) == (401, "Unauthorized")
            assert reply.headers["WWW-Authenticate"] == "Bearer"
        assert engine.requests == []
        for key in (alice, bob):
            assert (await server.post("/v1/judge", PAIR, Authorization=f"Bearer {key}")).status == 200
        for path in ("/metrics", "/openapi.json", "/nowhere"):
            assert (await server.get(path)).status == 401
        for path in ("/healthz", "/readyz"):
            assert (await server.get(path)).status == 200
        assert [line.get("key") for line in server.log if line.get("status") == 200] == ["alice", "bob"]
        assert not any(key in server.log_bytes.getvalue().decode() for key in (alice, bob, "nonsense"))


async def test_without_keys_a_web_page_is_no_client():
    async with live() as server:
        reply = await server.post("/v1/judge", PAIR, Origin="http://evil.example")
        assert (reply.status, reply.error) == (403, "Forbidden")
        form = await server.post("/v1/judge", PAIR, Content_Type="text/plain")
        assert (form.status, form.error) == (415, "InputError")


LIMITS = Limits(body_bytes=4096, n=3, items=2, turns=2, text_chars=50, k=4, max_tokens=100)
TURN = {"role": "user", "content": "q"}


TOO_MUCH = [
    ("/v1/judge", {"query": "q", "responses": ["a"] * 4}, "got 4 responses; this server takes at most 3"),
    ("/v1/judge", {"query": "q" * 51, "responses": ["a"]}, "got 51 characters in one text"),
    ("/v1/judge", {"query": "q", "responses": ["a" * 51]}, "got 51 characters in one text"),
    ("/v1/judge", {"query": "q", "responses": ["a"], "reference": "r" * 51}, "got 51 characters"),
    ("/v1/judge", {"query": [TURN] * 3, "responses": ["a"]}, "got 3 turns of the conversation"),
    ("/v1/judge", {"query": "q", "responses": ["a"], "options": {"k": 5}}, "got 5 judgments (k)"),
    ("/v1/judge", {"query": "q", "responses": ["a"], "options": {"max_tokens": 101}}, "got 101 max_tokens"),
    ("/v1/judge/batch", {"items": [{"query": "q", "responses": ["a"]}] * 3}, "got 3 items"),
    ("/v1/reward", {"groups": [{"query": "q", "responses": ["a"]}] * 3}, "got 3 items"),
    ("/v1/reward", {"query": "q", "response": "a" * 51, "group": {"size": 2}}, "got 51 characters"),
    ("/v1/reward", {"query": "q", "response": "a", "group": {"size": 4}}, "size is 4; expected 1 to 3"),
    ("/v1/rerank", {"query": "q", "documents": ["a"] * 4}, "got 4 responses"),
    ("/score", {"text_1": ["q"] * 3, "text_2": ["a"] * 3}, "got 3 items"),
]


async def test_limits():
    engine = ScriptedEngine(by_digit)
    async with live(engine, limits=LIMITS) as server:
        for path, body, told in TOO_MUCH:
            reply = await server.post(path, body)
            assert (reply.status, reply.error) == (422, "InputError"), body
            assert told in reply.json["error"]["message"]
    assert engine.requests == []


async def test_a_body_that_is_too_large_is_refused_whether_or_not_it_says_so():
    async with live(limits=LIMITS) as server:
        told = await server.post("/v1/judge", raw=b" " * 5000)
        assert (told.status, told.error) == (413, "InputError")

        async def parts():
            for _ in range(5):
                yield b" " * 1000

        headers = {"Content-Type": "application/json"}
        async with server.session.post(server.address + "/v1/judge", data=parts(), headers=headers) as reply:
            assert reply.status == 413
        assert (await server.post("/v1/judge", PAIR)).status == 200


async def test_a_body_that_does_not_arrive_is_not_waited_for():
    async with live(limits=Limits(body_s=0.05)) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(server.address.rpartition(":")[2]))
        writer.write(
            b"POST /v1/judge HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 50\r\n\r\n{"
        )
        assert (await reader.readuntil(b"\r\n")).startswith(b"HTTP/1.1 408")
        writer.close()


MALFORMED = [
    (b"", 400),
    (b"{", 400),
    (b'{"query": "q", "responses": ["\xff"]}', 400),
    (b'{"query": "q", "responses": ["\\ud800"]}', 400),
    (b"[" * 100_000, 400),
    (gzip.compress(b'{"query": "q", "responses": ["a"]}', mtime=0), 400),
    (b"[]", 422),
    (b"null", 422),
    (b'"q"', 422),
    (b'{"query": "q"}', 422),
    (b'{"query": "q", "responses": "a"}', 422),
    (b'{"query": "q", "responses": []}', 422),
    (b'{"query": "q", "responses": [1]}', 422),
    (b'{"query": " ", "responses": ["a"]}', 422),
    (b'{"query": [], "responses": ["a"]}', 422),
    (b'{"query": [{"role": "assistant", "content": "q"}], "responses": ["a"]}', 422),
    (b'{"query": [{"role": "judge", "content": "q"}], "responses": ["a"]}', 422),
    (b'{"query": "q", "responses": ["a"], "reference": " "}', 422),
    (b'{"query": "q", "responses": ["a"], "unknown": 1}', 422),
    (b'{"query": "q", "responses": ["a"], "options": {"template": "/etc/passwd"}}', 422),
    (b'{"query": "q", "responses": ["a"], "options": {"k": 0}}', 422),
    (b'{"query": "q", "responses": ["a"], "options": {"k": -1}}', 422),
    (b'{"query": "q", "responses": ["a"], "options": {"k": true}}', 422),
    (b'{"query": "q", "responses": ["a"], "options": {"k": "4"}}', 422),
    (b'{"query": "q", "responses": ["a"], "judgments": "yes"}', 422),
    (b'{"query": "q", "responses": ["a"], "deadline_s": "5"}', 422),
    (b'{"query": "q", "responses": ["a"], "options": {"temperature": NaN}}', 422),
    (b'{"query": "q", "responses": ["a"], "options": {"k_meta": 1}}', 422),
    (b'{"query": "q", "responses": ["a"], "options": {"principles": "given"}}', 422),
    (b'{"query": "q", "responses": ["a"], "deadline_s": 0}', 422),
    (b'{"query": "q", "responses": ["a"], "deadline_s": NaN}', 422),
    (b'{"query": "q", "responses": ["a"], "deadline_s": Infinity}', 422),
]


async def test_what_is_malformed_is_refused():
    engine = ScriptedEngine(by_digit)
    async with live(engine) as server:
        for raw, status in MALFORMED:
            reply = await server.post("/v1/judge", raw=raw)
            assert reply.status == status, raw
            assert reply.error in ("InputError", "TemplateError")
    assert engine.requests == []


async def test_where_nothing_is():
    async with live() as server:
        nowhere, wrong = await server.post("/v1/nothing", {}), await server.get("/v1/judge")
        slash = await server.post("/v1/judge/", PAIR)
    assert (nowhere.status, nowhere.error) == (slash.status, slash.error) == (404, "NotFound")
    assert (wrong.status, wrong.error) == (405, "MethodNotAllowed")


async def test_what_a_request_held_is_not_said_back():
    async with live() as server:
        reply = await server.post("/v1/judge", {"query": 17, "responses": ["my secret text"], "secret_key": "hush"})
    assert reply.status == 422
    assert not any(text in reply.body.decode() for text in ("17", "my secret text", "hush"))
