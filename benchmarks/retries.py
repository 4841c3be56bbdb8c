"""What failures without a Retry-After cost: 40 items, k = 8.

    python -m benchmarks.retries [--runs 20] [--latency-ms 20]

The server, in a process of its own, answers every 4th request with 429 and every 7th with 500. Every run judges other items with an
engine of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import re
from multiprocessing.connection import Connection
from time import perf_counter

import orjson

from spct import GRM, Item, Message
from spct.engines import load_engine
from spct.engines.scripted import judgment_text

ITEMS = 40
K = 8


async def serve(port: Connection, latency_s: float) -> None:
    count = 0

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal count
        while head := await next_head(reader):
            length = re.search(rb"content-length: *(\d+)", head, re.IGNORECASE)
            body = orjson.loads(await reader.readexactly(int(length[1]))) if length else None
            status, reply = 200, {"data": [{"id": "m"}]}
            if body is not None:
                count += 1
                number = count
                await asyncio.sleep(latency_s)
                status = 429 if number % 4 == 0 else 500 if number % 7 == 0 else 200
                reply = completion(body) if status == 200 else {"error": {"message": "no"}}
            raw = orjson.dumps(reply)
            writer.write(b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n" % (status, len(raw)) + raw)
            await writer.drain()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port.send(server.sockets[0].getsockname()[1])
    await server.serve_forever()


async def next_head(reader: asyncio.StreamReader) -> bytes:
    """The head of the next request, empty once the client has gone."""
    try:
        return await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        return b""


def completion(body: dict) -> dict:
    texts = [judgment_text([8, 3], f"a critique of its own, {body['seed'] + j}") for j in range(body.get("n", 1))]
    return {"choices": [{"message": {"content": text}, "finish_reason": "stop"} for text in texts]}


def run_server(port: Connection, latency_s: float) -> None:
    asyncio.run(serve(port, latency_s))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--latency-ms", type=float, default=20.0)
    options = parser.parse_args()
    ours, theirs = multiprocessing.Pipe()
    server = multiprocessing.Process(target=run_server, args=(theirs, options.latency_ms / 1000), daemon=True)
    server.start()
    base_url = f"http://127.0.0.1:{ours.recv()}/v1"
    seconds, lost = [], 0
    for run in range(options.runs):
        items = [Item(f"{n}", (Message("user", f"Question {run} {n}?"),), (f"a{n}", f"b{n}")) for n in range(ITEMS)]
        with GRM(load_engine("openai:m", base_url=base_url), k=K) as grm:
            begun = perf_counter()
            verdicts = list(grm.judge_many(items))
            seconds.append(perf_counter() - begun)
        lost += sum(verdict.error is not None for verdict in verdicts)
    server.terminate()
    seconds.sort()
    print(
        f"{options.runs} runs of {ITEMS} items, k = {K}: median {seconds[len(seconds) // 2]:.2f} s, "
        f"{seconds[0]:.2f} to {seconds[-1]:.2f}; {lost} of {ITEMS * options.runs} items without a verdict"
    )


if __name__ == "__main__":
    main()
