"""``make demo``: judge 16 real LLMBar items with the embedded 135M model, then look at what came out, beside what GPT-4
said of the same items.

Runs the same commands a user would, and prints each before it runs.
"""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from pathlib import Path

from spct.bench.scoring.curve import GRADES, curve
from spct.bench.scoring.stored import open_stored
from spct.run import RunStore

HERE = Path(__file__).parent
RUN = HERE.parent / "runs" / "demo"
MODEL = "embedded:smollm2-135m"
K = 8


def spct(*arguments: str) -> None:
    """Run one spct command as a user would, and stop the demo if it fails for another reason than missing verdicts."""
    print(f"\n$ spct {shlex.join(arguments)}", flush=True)
    code = subprocess.run([Path(sys.executable).parent / "spct", *arguments], check=False).returncode
    if code not in (0, 1):
        sys.exit(code)


def accuracy_by_k() -> None:
    """Print accuracy over the run's items at every power of two up to K, under both tie rules."""
    stored = open_stored(RUN)
    count = len(stored.loaded.units)
    print(
        "\nAccuracy by number of judgments k (mean over picks of k of the 8 samples, as a run over k deals their orders)\n"
    )
    print("  k   correct  wrong  tied  invalid   accuracy (tie = wrong)   accuracy (tie = 1/#tied)")
    for point in curve(stored.benchmark, stored.loaded, stored.ballots, [1, 2, 4, K]).points:
        correct, wrong, tied, invalid = (count * point.share(grade) for grade in GRADES)
        shared = sum(unit.random for unit in point.units.values()) / count
        print(
            f"{point.k:3d}  {correct:8.2f} {wrong:6.2f} {tied:5.2f} {invalid:8.2f}"
            f"{point.share('correct'):20.1%}{shared:27.1%}"
        )


def main() -> None:
    shutil.rmtree(RUN, ignore_errors=True)
    spct("models", "pull", "smollm2-135m")
    spct(
        "judge",
        str(HERE / "llmbar" / "items.jsonl"),
        "--model",
        MODEL,
        "-k",
        str(K),
        "--max-tokens",
        "160",
        "--out",
        str(RUN),
    )
    store = RunStore.open(RUN)
    confident = max(store.verdict_rows(), key=lambda found: found[1]["confidence"] or 0.0)[1]
    spct("show", str(RUN), confident["id"], "--judgments", "2")
    accuracy_by_k()
    print("\nThe same items as GPT-4 judged them, recorded by the authors of LLMBar in both orders:")
    spct("compare", str(RUN), str(HERE / "llmbar" / "gpt4-cot"), "--common")
    judgments = [judgment for position, _ in store.items() for judgment in store.history(position)]
    invalid = sum(judgment.scores is None for judgment in judgments)
    print(f"\nInvalid judgments: {invalid} of {len(judgments)} ({invalid / len(judgments):.1%})")
    print(
        "\nA 135M model judges near chance (50% on pairs): this shows the machinery, not the quality of a judge.\n"
        "Every sample is kept in runs/demo. Give --model openai:NAME --base-url URL to judge with a real one, or take a\n"
        "larger model on this machine: .venv/bin/spct models list shows some, with the memory they need.\n"
        "See both in the browser: .venv/bin/spct view runs/demo examples/llmbar"
    )


if __name__ == "__main__":
    main()
