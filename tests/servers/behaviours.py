"""What servers do: the honest ones, each server's habits with n and seeds, and the ways to fail.

An honest sample of seed s has the text ``sample s``, so a test knows which seed a text was sampled under.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import Any

import orjson

from servers.chat import Behaviour, Call, write_reply


def choice(text: str | None, index: int = 0, **fields: Any) -> dict[str, Any]:
    return {"index": index, "message": {"role": "assistant", "content": text}, "finish_reason": "stop", **fields}


def completion(choices: list[dict[str, Any]], **fields: Any) -> bytes:
    usage = {"prompt_tokens": 10, "completion_tokens": 3 * len(choices), "prompt_tokens_details": {"cached_tokens": 4}}
    return orjson.dumps({"object": "chat.completion", "choices": choices, "usage": usage, **fields})


def replies(body: bytes, status: int = 200, **headers: str) -> Behaviour:
    """Always this very reply."""

    async def behave(call: Call, writer: asyncio.StreamWriter) -> None:
        await write_reply(writer, status, body, {name.replace("_", "-"): value for name, value in headers.items()})

    return behave


def fails(status: int, message: str, fields: dict[str, Any] | None = None, **headers: str) -> Behaviour:
    """Always this error, in OpenAI's shape."""
    return replies(orjson.dumps({"error": {"message": message, **(fields or {})}}), status, **headers)


async def honest(call: Call, writer: asyncio.StreamWriter) -> None:
    """n choices, choice j under seed + j."""
    await write_reply(writer, 200, completion([choice(f"sample {call.seed + j}", j) for j in range(call.n)]))


async def ignores_n(call: Call, writer: asyncio.StreamWriter) -> None:
    await write_reply(writer, 200, completion([choice(f"sample {call.seed}")]))


AT_LENGTH = ", which is said here at some length, as a judgment is and a lone letter is not"
"""What makes equal texts worth a thought: short answers are equal by nature."""


async def copies_seed(call: Call, writer: asyncio.StreamWriter) -> None:
    """n choices, all under the one seed of the request."""
    await write_reply(writer, 200, completion([choice(f"sample {call.seed}{AT_LENGTH}", j) for j in range(call.n)]))


def always(text: str) -> Behaviour:
    """A model that says one thing whatever the seed."""

    async def behave(call: Call, writer: asyncio.StreamWriter) -> None:
        await write_reply(writer, 200, completion([choice(text, j) for j in range(call.n)]))

    return behave


always_same = always(f"the same{AT_LENGTH}")


def follows_grammar(*fields: str) -> Behaviour:
    """Takes a grammar or a schema from these fields alone, and answers the only text that they allow; else like ``honest``.

    Of a grammar that is ``text`` of ``root ::= "text"``, of a schema the object of its enums' first values.
    """

    async def behave(call: Call, writer: asyncio.StreamWriter) -> None:
        texts = [text for field in fields if (text := _only_text(call.body.get(field))) is not None]
        if texts:
            await write_reply(writer, 200, completion([choice(texts[0], j) for j in range(call.n)]))
        else:
            await honest(call, writer)

    return behave


def _only_text(given: Any) -> str | None:
    if isinstance(given, str):
        return given.partition('"')[2].removesuffix('"')
    if not isinstance(given, dict):
        return None
    if isinstance(given.get("grammar"), str):
        return _only_text(given["grammar"])
    schema = given.get("json") or (given.get("json_schema") or {}).get("schema") or given
    if "properties" not in schema:
        return None
    return orjson.dumps({name: part["enum"][0] for name, part in schema["properties"].items()}).decode()


def gives_at_most(most: int) -> Behaviour:
    """Returns fewer choices than asked for, without a word."""

    async def behave(call: Call, writer: asyncio.StreamWriter) -> None:
        choices = [choice(f"sample {call.seed + j}", j) for j in range(min(most, call.n))]
        await write_reply(writer, 200, completion(choices))

    return behave


def refuses_n_above(most: int, message: str, **fields: Any) -> Behaviour:
    """400 for a larger n; ``{n}`` in the message is what was asked for."""

    async def behave(call: Call, writer: asyncio.StreamWriter) -> None:
        if call.n > most:
            await fails(400, message.replace("{n}", str(call.n)), fields)(call, writer)
        else:
            await honest(call, writer)

    return behave


def refuses_parameter(name: str, message: str, **fields: Any) -> Behaviour:
    async def behave(call: Call, writer: asyncio.StreamWriter) -> None:
        if name in call.body:
            await fails(400, message, fields)(call, writer)
        else:
            await honest(call, writer)

    return behave


def allows_at_once(most: int, retry_after: str) -> Behaviour:
    """429 while ``most`` others are being answered."""
    busy = 0

    async def behave(call: Call, writer: asyncio.StreamWriter) -> None:
        nonlocal busy
        if busy >= most:
            await fails(429, "slow down", Retry_After=retry_after)(call, writer)
            return
        busy += 1
        try:
            await asyncio.sleep(0.01)
            await honest(call, writer)
        finally:
            busy -= 1

    return behave


def late(seconds: float) -> Behaviour:
    async def behave(call: Call, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(seconds)
        await honest(call, writer)

    return behave


async def hangs(call: Call, writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(3600)


async def echoes_key(call: Call, writer: asyncio.StreamWriter) -> None:
    """401 with the key in the message, once raw and once in a header dump."""
    message = f"Incorrect API key provided: {call.headers.get('authorization')} ({call.headers})"
    await fails(401, message)(call, writer)


async def cut_short(call: Call, writer: asyncio.StreamWriter) -> None:
    """Promises more bytes than it sends, then closes."""
    body = completion([choice("never whole")])
    await write_reply(writer, 200, body[: len(body) // 2], length=len(body))
    writer.close()


async def hangs_up(call: Call, writer: asyncio.StreamWriter) -> None:
    """Takes the request and closes without a byte."""
    writer.close()


async def resets(call: Call, writer: asyncio.StreamWriter) -> None:
    """Takes the request and drops the connection as a machine does that knows nothing of it."""
    linger = struct.pack("ii", 1, 0)
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    writer.close()


async def not_http(call: Call, writer: asyncio.StreamWriter) -> None:
    writer.write(b"220 mail.example ESMTP ready\r\n\r\n")
    writer.close()


async def drips(call: Call, writer: asyncio.StreamWriter) -> None:
    """A byte now and then, forever: a timeout that only watches for silence would never fire."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    while True:
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.01)


async def chunked(call: Call, writer: asyncio.StreamWriter) -> None:
    """An honest reply without Content-Length, in chunks of 7 bytes."""
    body = completion([choice(f"sample {call.seed + j}", j) for j in range(call.n)])
    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    for at in range(0, len(body), 7):
        part = body[at : at + 7]
        writer.write(f"{len(part):x}\r\n".encode() + part + b"\r\n")
    writer.write(b"0\r\n\r\n")
    await writer.drain()


async def endless(call: Call, writer: asyncio.StreamWriter) -> None:
    """Chunks without end, as fast as they are taken."""
    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    block = b"%x\r\n" % 2**20 + b" " * 2**20 + b"\r\n"
    while True:
        writer.write(block)
        await writer.drain()
