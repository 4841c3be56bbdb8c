"""NeMo Gym's reward: the ``/verify`` and ``/compare`` of a resources server, with a judge behind them.

    python examples/nemo_reward.py             # sends a group of rollouts through both
    python examples/nemo_reward.py --port 9000 # serves them; needs the extra "serve"

In a resources server of Gym itself (app.py) the same object is one line in ``verify``:

    async def verify(self, body):
        return BaseVerifyResponse(**await REWARD.verify(body.model_dump(mode="json", by_alias=True)))
"""

from __future__ import annotations

import argparse
import asyncio
import os
from pathlib import Path
from typing import Any

from spct import GRM
from spct.adapters.nemo import GymReward

REHEARSAL = f"scripted:{Path(__file__).parent / 'letter_judge.py'}:judge"
ANSWERS = ("beech", "eel", "I do not know", "elm tree")

REWARD = GymReward(os.environ.get("SPCT_URL") or GRM(REHEARSAL, k=4), group_size=len(ANSWERS))


def response_object(answer: str) -> dict[str, Any]:
    """An answer as an object of the Responses API."""
    content = [{"type": "output_text", "text": answer, "annotations": []}]
    return {"id": "r", "output": [{"type": "message", "role": "assistant", "content": content}]}


async def rehearse() -> None:
    turns = [{"role": "user", "content": "Name a tree."}]
    bodies = [
        {
            "responses_create_params": {"input": turns},
            "response": response_object(answer),
            "_ng_group_id": "run-1/task-7",
            "_ng_rollout_index": i,
        }
        for i, answer in enumerate(ANSWERS)
    ]
    verified = await asyncio.gather(*map(REWARD.verify, bodies))
    print("/verify:", [round(answer["reward"], 2) for answer in verified])
    group = {"conversation_history": turns, "response_objs": [response_object(answer) for answer in ANSWERS]}
    print("/compare:", await REWARD.compare(group))
    await REWARD.source.aclose()


def serve(port: int) -> None:
    import uvicorn
    from fastapi import Body, FastAPI

    app = FastAPI()

    @app.post("/verify")
    async def verify(body: dict[str, Any] = Body()) -> dict[str, Any]:  # noqa: B008
        return await REWARD.verify(body)

    @app.post("/compare")
    async def compare(body: dict[str, Any] = Body()) -> dict[str, Any]:  # noqa: B008
        return await REWARD.compare(body)

    uvicorn.run(app, host="127.0.0.1", port=port)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, help="serve instead of rehearsing")
    options = parser.parse_args()
    if options.port:
        serve(options.port)
    else:
        asyncio.run(rehearse())
