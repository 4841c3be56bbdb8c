"""prime-rl's rewards on verifiers' own classes: ``python -m benchmarks.verifiers_trace``, in an environment that has both.

    python3.13 -m venv rl && rl/bin/pip install verifiers '.[client]'

A trace of verifiers, made of its own messages and nodes, is read and judged by ``spct.adapters.prime_rl``, and by a function
that verifiers itself plugs into a task by its path. No model runs: the judge is scripted.
"""

from __future__ import annotations

import asyncio
from importlib.metadata import version
from typing import Any

from verifiers.v1.graph import MessageNode
from verifiers.v1.task import TaskData
from verifiers.v1.trace import Trace
from verifiers.v1.types import AssistantMessage, SystemMessage, ToolCall, ToolMessage, UserMessage
from verifiers.v1.utils.loaders import plugged_fn

from spct import GRM
from spct.adapters.prime_rl import parts_of, reward_by
from spct.engines import SampleRequest
from spct.engines.scripted import ScriptedEngine, judgment_text


def judge(request: SampleRequest, j: int) -> str:
    """More for a response the more tools it called."""
    parts = request.messages[-1].content.split("[Begin response ")[1:]
    return judgment_text([min(10, 1 + 3 * part.count("[Call ")) for part in parts])


spct = reward_by(GRM(ScriptedEngine(judge), k=2), group_size=2)


def trace(*said: Any) -> Any:
    """A trace whose policy said the given messages after a system's and a user's turn."""
    asked = [SystemMessage(content="Use tools."), UserMessage(content="How warm is it in Oslo?")]
    nodes = [
        MessageNode(message=message, parent=i - 1 if i else None, sampled=isinstance(message, AssistantMessage))
        for i, message in enumerate([*asked, *said])
    ]
    data = TaskData(prompt="How warm is it in Oslo?", system_prompt="Use tools.")
    made = Trace.model_construct(id=f"trace-{len(said)}", nodes=nodes, calls=[], mm_token_type_id_map={})
    object.__setattr__(made, "task", data)
    return made


async def main() -> None:
    call = ToolCall(id="c", name="weather", arguments='{"city": "Oslo"}')
    called = trace(
        AssistantMessage(tool_calls=[call], reasoning_content="A tool knows."),
        ToolMessage(tool_call_id="c", content="4 degrees"),
        AssistantMessage(content="It is 4 degrees."),
    )
    guessed = trace(AssistantMessage(content="Warm, I guess."))
    query, response = parts_of(called)
    assert [turn.role for turn in query] == ["system", "user"] and "4 degrees" in response and "knows" not in response
    plugged = plugged_fn(f"{__file__}:spct")
    rewards = await asyncio.gather(*[plugged(None, one) for one in (called, guessed)])
    assert rewards == [4.0, 1.0], rewards
    print(f"verifiers {version('verifiers')}: two traces of a prompt, one with a tool call: rewards 4.0 and 1.0")


if __name__ == "__main__":
    asyncio.run(main())
