"""What watches the server: health, readiness, metrics, the log, the OpenAPI document."""

import asyncio
from hashlib import sha256

from prometheus_client.parser import text_string_to_metric_families

from serve.live import PAIR, live, until
from service.serving import by_digit, gated
from spct.engines.scripted import ScriptedEngine
from spct.judges.sampling import SamplingSettings
from spct.judges.settings import JudgeSettings
from spct.serve.auth import Keys
from spct.serve.problems import DOCUMENTED
from spct.serve.state import shown_model


def samples(text):
    """The metrics of a scrape: (name, labels' values) -> value."""
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def test_health_and_readiness():
    gate, engine = gated()
    async with live(engine, concurrency=2, queue=5) as server:
        assert (await server.get("/healthz")).json == {"status": "ok"}
        asked = asyncio.create_task(server.post("/v1/judge", PAIR))
        await until(lambda: gate.begun == 1)
        ready = await server.get("/readyz")
        state = {"status": "ready", "model": "scripted:scripted", "running": 1, "waiting": 0, "capacity": 7}
        assert (ready.status, ready.json) == (200, state)
        server.serving.draining = True
        draining = await server.get("/readyz")
        assert (draining.status, draining.json["status"]) == (503, "draining")
        refused = await server.post("/v1/judge", {**PAIR, "query": "other"})
        assert (refused.status, refused.error) == (503, "DrainingError")
        assert "Retry-After" in refused.headers
        assert (ready.headers.get("Connection"), refused.headers["Connection"]) == (None, "close")
        gate.open.set()
        assert (await asked).status == 200


async def test_probes_can_be_asked_for_the_status_alone():
    async with live() as server:
        for path in ("/healthz", "/readyz"):
            async with server.session.head(server.address + path) as reply:
                assert (reply.status, await reply.read()) == (200, b"")


def test_a_model_is_named_without_the_place_that_its_file_is_in(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "a.gguf").touch()
    named = {
        "llamacpp:/srv/models/a.gguf+b.gguf=0.5": "llamacpp:a.gguf+b.gguf=0.5",
        "llamacpp:models/a.gguf+b.gguf=1": "llamacpp:a.gguf+b.gguf=1",
        "scripted:models/a.gguf:judge": "scripted:a.gguf:judge",
        "transformers:models": "transformers:models",
        "transformers:Qwen/Qwen3-0.6B": "transformers:Qwen/Qwen3-0.6B",
        "openai:gpt-4o-mini": "openai:gpt-4o-mini",
    }
    assert {model: shown_model(model) for model in named} == named


async def test_metrics_tell_what_happened():
    def script(request, j):
        return "no score" if "bad" in request.messages[-1].content else by_digit(request, j)

    settings = JudgeSettings(k=2, sampling=SamplingSettings(retries=0))
    async with live(ScriptedEngine(script), settings, concurrency=4, queue=6) as server:
        await server.post("/v1/reward", PAIR)
        await server.post("/v1/reward", PAIR)
        await server.post("/v1/reward", {"query": "q", "responses": ["5", "5"]})
        await server.post("/v1/judge", {"query": "bad", "responses": ["5", "6"]})
        await server.post("/v1/judge", {"query": "", "responses": []})
        await server.post("/elsewhere/with/a/name", {})
        reply = await server.get("/metrics")
    found = samples(reply.body.decode())
    assert reply.headers["Content-Type"].startswith("text/plain")
    assert found["spct_requests_total", "/v1/reward", "200"] == 3
    assert found["spct_requests_total", "/v1/judge", "422"] == 1
    assert found["spct_requests_total", "other", "404"] == 1
    assert found["spct_request_seconds_count", "/v1/reward"] == 3
    assert (found["spct_answers_total", "sampled"], found["spct_answers_total", "cached"]) == (3, 1)
    assert [found["spct_verdicts_total", outcome] for outcome in ("winner", "tied", "none")] == [1, 1, 1]
    assert (found["spct_valid_judgments_total",], found["spct_invalid_judgments_total", "no_box"]) == (4, 2)
    assert found["spct_errors_total", "NoValidJudgment"] == 1
    assert (found["spct_queue_seconds_count",], found["spct_judge_seconds_count",]) == (3, 3)
    assert found["spct_tokens_total", "prompt"] == server.service.counters.usage.prompt_tokens > 0
    assert found["spct_tokens_total", "completion"] > 0
    # Equal responses are shown once, so their two orders are one request.
    assert (found["spct_engine_requests_total",], found["spct_cache_verdicts",]) == (5, 2)
    assert (found["spct_capacity",], found["spct_running",], found["spct_queue_waiting",]) == (10, 0, 0)


async def test_the_log_has_a_line_for_each_request_and_no_text_of_anyone():
    async with live() as server:
        body = {"query": "a private question", "responses": ["a private answer 7"], "id": "private name"}
        reply = await server.post("/v1/reward", body)
        await server.post("/v1/reward", {**body, "private key": 1})
        await server.get("/healthz")
        lines, raw = server.log, server.log_bytes.getvalue().decode()
    assert [line["event"] for line in lines] == ["listening", "request", "request"]
    assert [(line["route"], line["status"]) for line in lines[1:]] == [("/v1/reward", 200), ("/v1/reward", 422)]
    assert lines[1]["request"] == reply.headers["X-Request-ID"]
    assert lines[1]["ms"] > 0
    assert "private" not in raw


async def test_the_document_describes_every_route_its_answers_and_its_errors():
    async with live() as server:
        document = (await server.get("/openapi.json")).json
    posts = {path: methods["post"] for path, methods in document["paths"].items() if "post" in methods}
    assert set(posts) == {
        "/v1/judge",
        "/v1/judge/batch",
        "/v1/reward",
        "/v1/rerank",
        "/v2/rerank",
        "/rerank",
        "/v1/score",
        "/score",
        "/v1/openrlhf/reward",
    }
    assert set(document["paths"]) - set(posts) == {"/healthz", "/readyz", "/metrics", "/v1/models"}
    for route in posts.values():
        assert route["requestBody"]["required"] is True
        assert route["responses"]["200"]["content"]["application/json"]["schema"]
        for status in DOCUMENTED:
            schema = route["responses"][str(status)]["content"]["application/json"]["schema"]
            assert schema == {"$ref": "#/components/schemas/ErrorAnswer"}
    assert "application/x-ndjson" in posts["/v1/judge/batch"]["responses"]["200"]["content"]
    assert missing_references(document) == set()
    operations = [method for methods in document["paths"].values() for method in methods.values()]
    assert {"v1_judge", "v1_judge_batch", "v1_reward", "v1_openrlhf_reward"} < {o["operationId"] for o in operations}
    assert "security" not in document
    assert "Retry-After" in posts["/v1/reward"]["responses"]["429"]["headers"]


async def test_the_document_of_a_server_with_keys_says_what_needs_one():
    keys = Keys((("alice", sha256(b"k").digest()),))
    async with live(keys=keys) as server:
        document = (await server.get("/openapi.json", Authorization="Bearer k")).json
    assert document["components"]["securitySchemes"] == {"key": {"type": "http", "scheme": "bearer"}}
    assert document["security"] == [{"key": []}]
    without = {path for path, methods in document["paths"].items() for m in methods.values() if m.get("security") == []}
    assert without == {"/healthz", "/readyz"}


async def test_every_request_that_the_document_shows_is_answered():
    async with live(cohort_wait_s=0.05) as server:
        document = (await server.get("/openapi.json")).json
        asked = 0
        for path, methods in document["paths"].items():
            for name in references_in(methods.get("post", {}).get("requestBody", {})):
                for example in document["components"]["schemas"][name].get("examples", []):
                    reply = await server.post(path, example)
                    assert reply.status == 200, (path, reply.body)
                    asked += 1
    assert asked == 11  # one for each shape that is ours, and one for each path of another's


def references_in(node):
    """The names of the schemas that a node of the document refers to."""
    if isinstance(node, list):
        return [name for part in node for name in references_in(part)]
    if not isinstance(node, dict):
        return []
    own = [node["$ref"].rpartition("/")[2]] if "$ref" in node else []
    return own + references_in(list(node.values()))


def missing_references(document):
    """The schemas that are referred to and not there."""
    found, missing = [document], set()
    while found:
        node = found.pop()
        if isinstance(node, dict):
            name = str(node.get("$ref", "")).rpartition("/")[2]
            if name and name not in document["components"]["schemas"]:
                missing.add(name)
            found += node.values()
        elif isinstance(node, list):
            found += node
    return missing
