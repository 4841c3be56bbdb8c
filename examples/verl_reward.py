"""verl with a judge in process: a reward file of one's own. For most runs the configuration alone does it (docs/adapters.md).

    reward.custom_reward_function.path=examples/verl_reward.py
    reward.custom_reward_function.name=compute_score
    reward.num_workers=1

One worker, because only a judge that sees a whole group can judge it jointly; several workers need ``spct serve``. Run as
a script it makes the calls that verl makes, for two groups of four rollouts.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from spct import GRM
from spct.adapters.verl import compute_score_by

REHEARSAL = f"scripted:{Path(__file__).parent / 'letter_judge.py'}:judge"

compute_score = compute_score_by(
    GRM(os.environ.get("SPCT_MODEL", REHEARSAL), k=4), group_size=int(os.environ.get("GROUP_SIZE", "4"))
)


async def main() -> None:
    rollouts = [
        (question, answer)
        for question in ("Name a tree.", "Name a fish.")
        for answer in ("beech", "eel", "I do not know", "elm tree")
    ]
    results = await asyncio.gather(
        *[
            compute_score(
                data_source="names", solution_str=answer, ground_truth="", extra_info={"question": question, "index": i}
            )
            for i, (question, answer) in enumerate(rollouts)
        ]
    )
    for (question, answer), result in zip(rollouts, results, strict=True):
        print(f"{question} {answer!r}: {result}")


if __name__ == "__main__":
    asyncio.run(main())
