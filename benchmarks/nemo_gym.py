"""The real NeMo Gym with our rewards: ``python -m benchmarks.nemo_gym``, in an environment of its own that has both.

    python3.13 -m venv gym && gym/bin/pip install nemo-gym '.[client]'

A resources server of Gym's own class answers its ``/verify`` by ``GymReward``: a group of rollouts whose responses call tools
gets the rewards of one joint judgment, and a rollout that cannot be judged becomes a masked row, not an error 500. Nothing is
downloaded and no model runs: the judge is scripted.
"""

from __future__ import annotations

import asyncio
from importlib.metadata import version
from typing import Any
from unittest.mock import MagicMock

import httpx
from nemo_gym.base_resources_server import (
    BaseResourcesServerConfig,
    BaseVerifyRequest,
    BaseVerifyResponse,
    SimpleResourcesServer,
)
from nemo_gym.server_utils import ServerClient

from spct import GRM
from spct.adapters.nemo import GymReward
from spct.engines import SampleRequest
from spct.engines.scripted import ScriptedEngine, judgment_text
from spct.errors import ReplyError

ASKED: list[str] = []


def judge(request: SampleRequest, j: int) -> str | Exception:
    """More for a response the more tools it called; a judge that is gone where one says so."""
    prompt = request.messages[-1].content
    ASKED.append(prompt)
    if "gone" in prompt:
        return ReplyError("the judge's server answers 500")
    parts = prompt.split("[Begin response ")[1:]
    return judgment_text([min(10, 1 + 3 * part.count("[Call ")) for part in parts])


REWARD = GymReward(GRM(ScriptedEngine(judge), k=2, retries=0), group_size=2)


class SpctServer(SimpleResourcesServer):
    """Gym's server with our reward."""

    async def verify(self, body: BaseVerifyRequest) -> BaseVerifyResponse:
        return BaseVerifyResponse(**await REWARD.verify(body.model_dump(mode="json", by_alias=True)))


def rollout(prompt: str, *output: dict[str, Any]) -> dict[str, Any]:
    """The body of a request for ``/verify``."""
    said = {"id": "r", "created_at": 0, "model": "policy", "object": "response", "output": list(output)}
    more = {"parallel_tool_calls": True, "tool_choice": "auto", "tools": []}
    return {"responses_create_params": {"input": [{"role": "user", "content": prompt}]}, "response": said | more}


def message(text: str) -> dict[str, Any]:
    content = [{"type": "output_text", "text": text, "annotations": []}]
    return {"type": "message", "id": "m", "role": "assistant", "status": "completed", "content": content}


CALL = {
    "type": "function_call",
    "call_id": "c",
    "name": "weather",
    "arguments": '{"city": "Oslo"}',
    "status": "completed",
}
OUTPUT = {"type": "function_call_output", "call_id": "c", "output": "4 degrees"}


async def main() -> None:
    config = BaseResourcesServerConfig(host="127.0.0.1", port=1, entrypoint="app.py", name="spct")
    server = SpctServer(config=config, server_client=MagicMock(spec=ServerClient))
    transport = httpx.ASGITransport(server.setup_webserver())
    async with httpx.AsyncClient(transport=transport, base_url="http://gym") as client:

        async def verified(*bodies: dict[str, Any]) -> list[dict[str, Any]]:
            answers = await asyncio.gather(*[client.post("/verify", json=body) for body in bodies])
            for answer in answers:
                assert answer.status_code == 200, (answer.status_code, answer.text[:300])
            return [answer.json() for answer in answers]

        group = await verified(
            rollout("How warm is it in Oslo?", CALL, OUTPUT, message("4 degrees.")),
            rollout("How warm is it in Oslo?", message("Warm, I guess.")),
        )
        assert [row["reward"] for row in group] == [4.0, 1.0], group
        assert '{"city": "Oslo"}' in ASKED[0] and "4 degrees" in ASKED[0]
        print(f"nemo-gym {version('nemo-gym')}: a group of two, one with a tool call: rewards 4.0 and 1.0")
        lost = await verified(rollout("gone", message("a")), rollout("gone", message("b")))
        for row in lost:
            assert (row["reward"], row["mask_sample"], row["_ng_failure_class"]) == (0.0, True, "judge_failed"), row
            assert "answers 500" in row["_ng_failure_judge_error"], row
        print(f"a judge that fails: masked by Gym itself, {lost[0]['_ng_failure_judge_error']!r}")


if __name__ == "__main__":
    asyncio.run(main())
