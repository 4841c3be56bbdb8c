"""Every way a server fails, on a real local server: which error, after how many requests, and what its message says."""

import asyncio
import base64
import logging
import traceback
from email.utils import formatdate

import orjson
import pytest

from servers import behaviours as does
from servers.chat import ChatServer
from spct.engines.engine import SampleRequest
from spct.engines.openai import OpenAIEngine
from spct.errors import (
    ContextLengthError,
    EngineAuthError,
    EngineError,
    EngineUnreachableError,
    RejectedError,
    ReplyError,
    RequestError,
)
from spct.types import Message

REQUEST = SampleRequest((Message("user", "Which?"),), n=2, seed=100)
KEY = "sk-verysecret-0123456789abcdef"
NOTHING_THERE = "http://127.0.0.1:1/v1"


def engine_at(base_url: str, **options: object) -> OpenAIEngine:
    return OpenAIEngine("m", base_url=base_url, **{"backoff_s": 0.001, "attempts": 3, "api_key": KEY, **options})


async def failed(server: ChatServer, **options: object) -> EngineError:
    """The error of one request; no secret of it may show, in whatever form it is printed."""
    engine = engine_at(server.base_url, **options)
    with pytest.raises(EngineError) as caught:
        await engine.sample(REQUEST)
    await engine.close()
    assert_no_key(caught.value)
    return caught.value


def assert_no_key(error: BaseException) -> None:
    printed = "".join(traceback.format_exception(error)) + repr(error) + repr(error.__context__)
    assert KEY not in printed
    assert "verysecret" not in printed


async def recovered(*script: does.Behaviour, **options: object) -> ChatServer:
    """A server that misbehaves by the script, then answers; the samples must be there in the end."""
    async with ChatServer(does.honest, script) as server:
        engine = engine_at(server.base_url, **options)
        batch = await engine.sample(REQUEST)
        await engine.close()
        assert [sample.text for sample in batch.samples] == ["sample 100", "sample 101"]
        assert len(server.chats) == len(script) + 1
        return server


TRANSIENT = {
    "500": does.fails(500, "boom"),
    "502 html": does.replies(b"<html>Bad\nGateway</html>", 502),
    "408": does.fails(408, "too slow"),
    "429": does.fails(429, "slow down"),
    "429 in seconds": does.fails(429, "slow down", Retry_After="0.01"),
    "429 in milliseconds": does.fails(429, "slow down", retry_after_ms="5"),
    "503 at a date": does.fails(503, "loading", Retry_After=formatdate(0, usegmt=True)),
    "429 not a time": does.fails(429, "slow down", Retry_After="soon"),
    "garbage": does.replies(b"\x00\xff not json"),
    "half json": does.replies(b'{"choices": [{"mess'),
    "no choices": does.replies(b'{"choices": []}'),
    "null choices": does.replies(b'{"choices": null}'),
    "a list": does.replies(b"[]"),
    "choice without message": does.replies(b'{"choices": [{"text": "legacy"}]}'),
    "choice that is null": does.replies(b'{"choices": [null, null]}'),
    "error with 200": does.replies(b'{"error": {"message": "upstream died"}}'),
    "empty": does.replies(b""),
    "cut short": does.cut_short,
    "hangs up": does.hangs_up,
    "resets": does.resets,
    "not http": does.not_http,
}


@pytest.mark.parametrize("behaviour", TRANSIENT.values(), ids=TRANSIENT.keys())
async def test_a_passing_fault_is_tried_again(behaviour):
    await recovered(behaviour, behaviour)


LASTING = {
    "500": (does.fails(500, "boom"), "answers 500: boom"),
    "html": (does.replies(b"<html>Bad\nGateway</html>", 502), "answers 502: <html>Bad Gateway</html>"),
    "429": (does.fails(429, "slow down"), "answers 429: slow down"),
    "garbage": (does.replies(b"\x00\xff not json"), "sent a reply that is not JSON"),
    "no choices": (does.replies(b'{"choices": []}'), 'sent a reply that has no choices: {"choices": []}'),
    "error with 200": (
        does.replies(b'{"error": "upstream died"}'),
        'sent a reply that has no choices: {"error": "upstream died"}',
    ),
    "error code with 200": (does.replies(b'{"error": {"code": 502, "message": "died"}}'), "answers 502: died"),
    "legacy": (does.replies(b'{"choices": [{"text": "x"}]}'), "sent a reply that has a choice that is no message"),
    "cut short": (does.cut_short, "broke off in the middle of its reply"),
    "hangs up": (does.hangs_up, "closed the connection without a reply"),
    "resets": (does.resets, "closed the connection without a reply"),
    "not http": (does.not_http, "sent something that is not HTTP"),
}


@pytest.mark.parametrize(("behaviour", "words"), LASTING.values(), ids=LASTING.keys())
async def test_a_lasting_fault_is_a_reply_error_after_all_attempts(behaviour, words):
    async with ChatServer(behaviour) as server:
        error = await failed(server)
        assert type(error) is ReplyError
        assert str(error).startswith(f"the server {words}")
        assert str(error).endswith(f"; no completion from {server.base_url} after 3 attempts")
        assert len(server.chats) == 3


@pytest.mark.parametrize("behaviour", [does.hangs, does.drips])
async def test_a_reply_that_does_not_end_in_time_is_given_up(behaviour):
    async with ChatServer(behaviour) as server:
        error = await failed(server, timeout_s=0.1, attempts=2)
        assert type(error) is ReplyError
        assert str(error) == (
            f"the server gave no whole reply within 0.1 s; no completion from {server.base_url} after 2 attempts"
        )
        assert len(server.chats) == 2


async def test_an_endless_reply_is_given_up():
    async with ChatServer(does.endless) as server:
        error = await failed(server, attempts=1)
        assert type(error) is ReplyError
        assert "is larger than 64 MiB" in str(error)


async def test_large_and_chunked_and_foreign_replies_are_read_whole():
    text = "判断 🏅 \\boxed{7} \u2028" * 60_000
    body = does.completion([does.choice(text), does.choice("short", 1)])
    async with ChatServer(does.chunked, [does.replies(body)]) as server:
        engine = engine_at(server.base_url)
        assert [sample.text for sample in (await engine.sample(REQUEST)).samples] == [text, "short"]
        assert [sample.text for sample in (await engine.sample(REQUEST)).samples] == ["sample 100", "sample 101"]
        await engine.close()


async def test_nobody_there_is_said_at_the_start():
    engine = engine_at(NOTHING_THERE)
    with pytest.raises(EngineUnreachableError) as caught:
        await engine.start()
    assert str(caught.value) == (
        "no server answers at http://127.0.0.1:1/v1 (connection refused) after 3 attempts; start it or pass --base-url"
    )
    assert isinstance(caught.value, ConnectionError)
    assert not isinstance(caught.value, RequestError)


async def test_an_unknown_host_is_unreachable():
    with pytest.raises(EngineUnreachableError, match="unknown host name"):
        await engine_at("http://no-such-host.invalid/v1").start()


async def test_https_to_a_plain_server_is_said_at_once():
    async with ChatServer(does.honest) as server:
        with pytest.raises(EngineUnreachableError, match="no TLS connection to https://127"):
            await engine_at(server.base_url.replace("http:", "https:")).start()


async def test_a_server_that_dies_between_requests_is_unreachable():
    async with ChatServer(does.honest) as server:
        engine = engine_at(server.base_url)
        await engine.sample(REQUEST)
        await server.stop()
        with pytest.raises(EngineUnreachableError, match="connection refused"):
            await engine.sample(REQUEST)
        await engine.close()


async def test_a_server_that_dies_while_answering_is_unreachable():
    async with ChatServer(does.hangs) as server:
        engine = engine_at(server.base_url)
        tasks = [asyncio.create_task(engine.sample(REQUEST)) for _ in range(5)]
        while len(server.chats) < 5:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
        await server.stop()
        errors = await asyncio.gather(*tasks, return_exceptions=True)
        await engine.close()
        assert {type(error) for error in errors} == {EngineUnreachableError}


async def test_a_server_that_answered_and_went_away_is_not_said_never_to_have_been_there():
    async with ChatServer(does.honest) as server:
        engine = engine_at(server.base_url)
        await engine.sample(REQUEST)
        await server.stop()
        with pytest.raises(EngineUnreachableError) as caught:
            await engine.sample(REQUEST)
        await engine.close()
        assert str(caught.value) == (
            f"the server at {engine.base_url} answered 1 request, and then went away (connection refused), after 3 attempts; "
            "its own log should say why"
        )


@pytest.mark.parametrize(
    ("last_words", "told"),
    [
        (does.fails(500, "CUDA error"), "answered 500: CUDA error"),
        (does.hangs_up, "closed the connection without a reply"),
    ],
)
async def test_a_server_that_crashes_says_what_it_said_last(last_words, told):
    async with ChatServer(does.honest) as server:
        engine = engine_at(server.base_url)
        await engine.start()

        async def crashes(call: does.Call, writer: asyncio.StreamWriter) -> None:
            await last_words(call, writer)
            asyncio.get_running_loop().call_soon(server._server.close)
            writer.close()

        server._then = crashes
        with pytest.raises(EngineUnreachableError, match=f"{told}, and then went away \\(connection refused\\)"):
            await engine.sample(REQUEST)
        await engine.close()


def every(behaviours: dict[int, does.Behaviour]) -> does.Behaviour:
    """Every n-th request is answered by the behaviour of the first n that divides its number, the others honestly."""
    count = 0

    async def behave(call: does.Call, writer: asyncio.StreamWriter) -> None:
        nonlocal count
        count += 1
        number = count
        await asyncio.sleep(0.001)
        found = next((behaviour for n, behaviour in behaviours.items() if number % n == 0), does.honest)
        await found(call, writer)

    return behave


UNLUCKY = {
    "429 and 500": {4: does.fails(429, "slow down"), 7: does.fails(500, "boom")},
    "every second": {2: does.fails(503, "busy")},
    "two of three": {3: does.honest, 1: does.fails(429, "slow down")},
    "garbage": {2: does.replies(b"<html>")},
}


@pytest.mark.parametrize("behaviours", UNLUCKY.values(), ids=UNLUCKY)
async def test_no_request_is_given_up_while_others_are_answered(behaviours):
    async with ChatServer(every(behaviours)) as server:
        engine = engine_at(server.base_url, attempts=3)
        batches = await asyncio.gather(*(engine.sample(REQUEST) for _ in range(80)))
        await engine.close()
        assert [len(batch.samples) for batch in batches] == [2] * 80


async def test_a_request_that_a_server_always_fails_on_is_given_up_though_others_are_answered():
    async def poisoned(call: does.Call, writer: asyncio.StreamWriter) -> None:
        bad = call.body["messages"][-1]["content"] == "poison"
        await (does.fails(500, "boom") if bad else does.honest)(call, writer)

    async with ChatServer(poisoned) as server:
        engine = engine_at(server.base_url, attempts=2)
        await engine.sample(REQUEST)
        with pytest.raises(ReplyError, match="answers 500: boom; no completion .* after 9 attempts"):
            await engine.sample(SampleRequest((Message("user", "poison"),)))
        await engine.close()


async def test_one_attempt_is_one_attempt():
    async with ChatServer(does.honest, [does.honest, does.fails(429, "slow down")]) as server:
        engine = engine_at(server.base_url, attempts=1)
        await engine.sample(REQUEST)
        with pytest.raises(ReplyError, match="after 1 attempt$"):
            await engine.sample(REQUEST)
        await engine.close()


async def test_a_wait_that_the_body_asks_for_is_waited():
    details = [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "0.02s"}]
    await recovered(does.fails(429, "You exceeded your current quota", {"details": details}))


@pytest.mark.parametrize("during", ["start", "sample"])
async def test_a_wrong_key_is_said_without_the_key(during, caplog):
    caplog.set_level(logging.DEBUG)
    models = does.echoes_key if during == "start" else None
    async with ChatServer(does.echoes_key, models=models) as server:
        error = await failed(server)
        assert type(error) is EngineAuthError
        assert "refuses the key (401): Incorrect API key provided: Bearer ***" in str(error)
        assert "OPENAI_API_KEY" in str(error)
        assert len(server.chats) == 1
    assert "verysecret" not in caplog.text


async def test_a_missing_key_is_said(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    async with ChatServer(does.fails(401, "who are you")) as server:
        assert "no key is set" in str(await failed(server, api_key=None))


async def test_a_key_in_a_completion_is_taken_out():
    body = does.completion([does.choice(f"my headers: Bearer {KEY}"), does.choice("2", 1)])
    async with ChatServer(does.replies(body)) as server:
        engine = engine_at(server.base_url)
        samples = (await engine.sample(REQUEST)).samples
        await engine.close()
        assert samples[0].text == "my headers: Bearer ***"


async def test_a_login_in_the_url_is_sent_and_not_shown():
    async with ChatServer(does.honest, [does.echoes_key]) as server:
        engine = OpenAIEngine("m", base_url=server.base_url.replace("//", "//ann:pass-verysecret@"), attempts=1)
        with pytest.raises(EngineAuthError) as caught:
            await engine.sample(REQUEST)
        await engine.close()
        assert server.chats[0].headers["authorization"] == "Basic " + base64.b64encode(b"ann:pass-verysecret").decode()
        assert_no_key(caught.value)
        assert base64.b64encode(b"ann:pass-verysecret").decode() not in str(caught.value)
        assert "verysecret" not in engine.base_url + engine.model_id + repr(engine) + repr(engine.__dict__["_address"])


@pytest.mark.parametrize(
    ("login", "key"), [("ann:pass-verysecret@", None), ("pass-verysecret@", None), ("", KEY), ("", "pass-verysecret")]
)
async def test_a_secret_that_the_server_gives_back_is_not_in_what_a_run_keeps(login, key):
    told = key or "pass-verysecret"
    models = orjson.dumps({"data": [{"id": f"m {told}", "owned_by": told}]})
    async with ChatServer(does.honest, models=does.replies(models)) as server:
        engine = OpenAIEngine("m", base_url=server.base_url.replace("//", f"//{login}"), api_key=key)
        await engine.start()
        await engine.close()
        assert engine.configuration["server"] == server.base_url
        assert (engine.configuration["software"], engine.configuration["served_model"]) == ("***", "m ***")


async def test_a_query_of_the_base_url_is_sent_and_not_shown():
    async with ChatServer(does.fails(500, "no ?key=verysecret here")) as server:
        engine = engine_at(server.base_url + "?key=verysecret", attempts=1)
        with pytest.raises(ReplyError) as caught:
            await engine.sample(REQUEST)
        await engine.close()
        assert server.chats[0].path == "/v1/chat/completions?key=verysecret"
        assert_no_key(caught.value)


def test_the_key_is_in_no_repr():
    engine = engine_at("http://127.0.0.1:1/v1")
    assert repr(engine) == "OpenAIEngine('m', base_url='http://127.0.0.1:1/v1')"


async def test_a_redirect_is_not_followed():
    async with ChatServer(does.honest) as elsewhere:
        target = elsewhere.base_url.replace("//", "//u:verysecret@") + "/chat/completions?key=verysecret"
        async with ChatServer(does.replies(b"", 307, Location=target)) as server:
            error = await failed(server)
        assert type(error) is EngineError
        assert f"redirects (307) to {elsewhere.base_url}/chat/completions;" in str(error)
        assert elsewhere.calls == []


async def test_a_missing_model_names_model_and_address():
    async with ChatServer(does.fails(404, "The model `m` does not exist.")) as server:
        error = await failed(server)
        assert type(error) is EngineError
        assert str(error) == (
            f"{server.base_url} has no model 'm', or no chat completions at this path (404): The model `m` does not "
            "exist.; check the model's name and the base URL (most servers want it to end in /v1)"
        )
        assert len(server.chats) == 1


async def test_no_quota_is_said_at_once():
    quota = does.fails(429, "You exceeded your current quota.", {"code": "insufficient_quota"}, Retry_After="1")
    async with ChatServer(quota) as server:
        error = await failed(server)
        assert type(error) is EngineError
        assert "no quota left (429): You exceeded your current quota." in str(error)
        assert len(server.chats) == 1


async def test_a_wait_of_hours_is_not_waited():
    async with ChatServer(does.fails(429, "daily limit", Retry_After="7200")) as server:
        error = await failed(server)
        assert type(error) is EngineError
        assert "wants no request for 7200 s (429): daily limit" in str(error)


@pytest.mark.parametrize("status", [400, 422, 501])
async def test_a_refused_request_concerns_itself_only(status):
    async with ChatServer(does.fails(status, "bad\n  prompt " + "x" * 1000)) as server:
        error = await failed(server)
        assert type(error) is RejectedError
        words = "bad prompt " + "x" * 289
        assert str(error) == f"{server.base_url} refuses the request ({status}): {words}..."
        assert len(server.chats) == 1


async def test_a_value_out_of_range_is_the_callers_mistake():
    message = "Invalid 'temperature': decimal above maximum value. Expected a value <= 2, but got 3 instead."
    async with ChatServer(does.fails(400, message, {"param": "temperature"})) as server:
        assert type(await failed(server)) is RejectedError


async def test_a_prompt_that_does_not_fit_says_by_how_much():
    fields = {"type": "exceed_context_size_error", "n_prompt_tokens": 6031, "n_ctx": 4096}
    message = "request (6031 tokens) exceeds the available context size (4096 tokens), try increasing it"
    async with ChatServer(does.fails(400, message, fields)) as server:
        engine = engine_at(server.base_url)
        with pytest.raises(ContextLengthError) as caught:
            await engine.sample(REQUEST)
        await engine.close()
        assert (caught.value.prompt_tokens, caught.value.context_tokens) == (6031, 4096)
        assert message in str(caught.value)
        assert engine.capabilities.context_tokens == 4096


async def test_throttled_requests_wait_their_turn_and_all_come_through():
    async with ChatServer(does.allows_at_once(2, retry_after="0.01")) as server:
        engine = engine_at(server.base_url, attempts=2)
        batches = await asyncio.gather(*(engine.sample(REQUEST) for _ in range(40)))
        await engine.close()
        assert [len(batch.samples) for batch in batches] == [2] * 40


async def test_the_key_of_a_fastapi_echo_is_taken_out():
    detail = [{"loc": ["header", "authorization"], "msg": f"bad value Bearer {KEY}", "type": "value_error"}]
    async with ChatServer(does.replies(orjson.dumps({"detail": detail}), 422)) as server:
        error = await failed(server)
        assert "authorization: bad value Bearer ***" in str(error)
