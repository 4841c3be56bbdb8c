"""Conversations as callers send them: read as rows are, and trajectories judged from every endpoint of ours."""

import asyncio

from serve.live import live
from service.serving import by_digit
from spct.engines.scripted import ScriptedEngine
from spct.serve.limits import Limits

CALL = {"id": "c", "type": "function", "function": {"name": "look", "arguments": '{"at": "x"}'}}
TURNS = [
    {"role": "assistant", "content": None, "tool_calls": [CALL]},
    {"role": "tool", "tool_call_id": "c", "content": "bark"},
    {"role": "assistant", "content": "9"},
]
QUERIES = [
    {"query": "q"},
    {"prompt": "q"},
    {"messages": [{"role": "user", "content": "q"}]},
    {"query": [{"role": "user", "content": "q", "name": None, "tool_calls": None}]},
    {"query": [{"role": "user", "content": [{"type": "text", "text": "q"}]}]},
    {"query": [{"role": "user", "content": [{"type": "input_text", "text": "q"}]}]},
    {"query": [{"type": "message", "role": "user", "content": "q"}]},
    {"prompt": '[{"role": "user", "content": "q"}]'},
    {"query": "\n\nHuman: q\n\nAssistant:"},
]
TOOL = {
    "type": "function",
    "function": {"name": "look", "description": "Look at it.", "parameters": {"type": "object"}},
}
OTHERS = [
    {"query": "q", "tools": [TOOL]},
    {"query": [{"role": "developer", "content": "s"}, {"role": "user", "content": "q"}]},
    {"query": [{"role": "system", "content": "q"}]},
    {"query": [{"role": "user", "content": "q", "name": "ann"}]},
    {"query": [{"role": "user", "content": "q"}, *TURNS[:2]]},
]
REFUSED = [
    ({"query": "q", "prompt": "q"}, "prompt: Extra inputs are not permitted"),
    ({"query": "q", "tools": [{}]}, "tools[0].name: got null"),
    ({"query": "q", "tools": "look"}, "tools: Input should be a valid array"),
    ({}, "query: Field required"),
    ({"query": []}, "query"),
    ({"query": [3]}, "query"),
    ({"query": " "}, "query"),
    ({"query": [{"role": "human", "content": "q"}]}, "query[0]: got the role text 'human'"),
    (
        {"query": [{"role": "user", "content": [{"type": "input_audio"}]}]},
        "query[0].content[0]: got a part of type 'input_audio'",
    ),
    ({"query": [{"role": "user", "content": "q"}, TURNS[2]]}, "a last message of the assistant"),
]


async def test_a_query_is_read_as_that_of_a_row_under_any_of_its_names():
    engine = ScriptedEngine(by_digit)
    async with live(engine) as server:
        for query in QUERIES:
            reply = await server.post(
                "/v1/reward", {**query, "responses": ["2", {"role": "assistant", "content": "7"}]}
            )
            assert (reply.status, reply.json["rewards"]) == (200, [2, 7]), query
        assert len(engine.requests) == 1  # they are the same query
        for query in OTHERS:
            reply = await server.post("/v1/judge", {**query, "responses": ["2", "7"]})
            assert (reply.status, reply.json["best"]) == (200, 1), query
        assert len(engine.requests) == 1 + len(OTHERS)
        assert '[Tool 1: "look" k7n9]\nLook at it.\n{"type": "object"}\n' in engine.requests[1].messages[-1].content
        with_turn = {"query": [{"role": "user", "content": "q", "tools": [TOOL]}], "responses": ["2", "7"]}
        assert (await server.post("/v1/judge", with_turn)).status == 200
        assert len(engine.requests) == 1 + len(OTHERS)  # the same query again
        for query, said in REFUSED:
            reply = await server.post("/v1/reward", {**query, "responses": ["2", "7"]})
            assert reply.status == 422 and said in reply.json["error"]["message"], (query, reply.json)


async def test_a_response_may_be_a_trajectory_alone_in_a_batch_and_in_a_cohort():
    engine = ScriptedEngine(by_digit)
    async with live(engine) as server:
        reply = await server.post("/v1/reward", {"query": "q", "responses": ["2", TURNS]})
        assert reply.json["rewards"][0] == 2 and reply.json["best"] == 0
        assert '[Call 1: "look" k7n9]\n{"at": "x"}' in engine.requests[0].messages[-1].content
        batch = await server.post("/v1/judge/batch", {"items": [{"query": "q", "responses": ["2", TURNS]}] * 2})
        assert [result["verdict"]["n"] for result in batch.json["results"]] == [2, 2]
        group = {"run": "r", "id": "g", "size": 2}
        members = [
            server.post("/v1/reward", {"query": "q", "response": said, "group": {**group, "member": str(i)}})
            for i, said in enumerate(["2", TURNS])
        ]
        first, second = await asyncio.gather(*members)
        assert (first.status, second.status, first.json["members"], first.json["reward"]) == (200, 200, 2, 2)
        again = await server.post("/v1/reward", {"query": "q", "response": TURNS, "group": {**group, "member": "1"}})
        assert again.json["reward"] == second.json["reward"]
        with_tool = {"query": "q", "tools": [TOOL], "response": "3", "group": {**group, "member": "2"}}
        assert (await server.post("/v1/reward", with_tool)).status == 409  # a group has one query, its tools among it
        text = "\n".join(engine.requests[0].messages[-1].content.split("\n")[-20:])
        other = await server.post("/v1/reward", {"query": "q", "response": text, "group": {**group, "member": "1"}})
        assert other.status == 409


async def test_the_turns_of_a_trajectory_are_bounded_too():
    async with live(limits=Limits(turns=2, text_chars=300)) as server:
        many = await server.post("/v1/reward", {"query": "q", "responses": [TURNS, "2"]})
        assert (many.status, "got 3 turns" in many.json["error"]["message"]) == (422, True)
        long = [{**TURNS[0], "tool_calls": [{**CALL, "function": {"name": "f", "arguments": "x" * 301}}]}]
        for body in ({"query": "q", "responses": [long]}, {"query": [*long, TURNS[1]], "responses": ["2"]}):
            reply = await server.post("/v1/reward", body)
            assert (reply.status, "characters in one text" in reply.json["error"]["message"]) == (422, True)
