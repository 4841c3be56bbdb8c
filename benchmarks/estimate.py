"""What ``spct judge --estimate --pilot`` says against what the run then uses: tokens and time, within 20%?

    python -m benchmarks.estimate
    python -m benchmarks.estimate --items 60 --max-tokens 300

On the embedded 135M model and on llama.cpp's own server. Run it on an idle machine: a trial beside other work estimates a run
beside other work.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.live.servers import llamacpp_server

WORDS = "the a river stone light walks under old green house and then over quiet field bird sings long road home again".split()
PLACES = 8


def write_items(path: Path, number: int) -> None:
    """Pairs whose answers are of 10 to 80 words, so that items differ."""
    draw = random.Random(5)
    rows = [
        {
            "prompt": f"Tell of scene {i}.",
            "responses": [" ".join(draw.choices(WORDS, k=draw.randint(10, 80))) for _ in "ab"],
        }
        for i in range(number)
    ]
    path.write_text("\n".join(map(json.dumps, rows)) + "\n")


def judge(folder: Path, options: Sequence[str]) -> str:
    """What the command prints on both streams."""
    code = "from spct.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "judge", "items.jsonl", *options],
        capture_output=True,
        text=True,
        cwd=folder,
        check=False,
    )
    if done.returncode not in (0, 1):
        raise SystemExit(done.stderr)
    return done.stdout + done.stderr


def seconds(told: str) -> float:
    """Seconds of "1 min 5 s"."""
    units = {"h": 3600, "min": 60, "s": 1}
    return sum(float(number) * units[unit] for number, unit in re.findall(r"([\d.]+) (h|min|s)\b", told))


def compare(name: str, folder: Path, options: Sequence[str]) -> None:
    told = judge(folder, [*options, "--estimate", "--pilot", str(2 * PLACES)])
    facts = {line[:12].strip(): line[12:] for line in told.splitlines() if line[:1] != " "}
    used = judge(folder, [*options, "--out", name])
    (tokens,) = re.findall(r"^tokens +([\d,]+) in.*? ([\d,]+) out", used, re.MULTILINE)
    done = re.findall(r"^done: .*, (\d[^,]*)$", used, re.MULTILINE)
    spent = [int(number.replace(",", "")) for number in tokens] + [seconds(done[-1])]
    estimate = [float(re.findall(r"[\d,]+", facts[fact])[0].replace(",", "")) for fact in ("tokens in", "tokens out")]
    print(f"{name}: {facts['time']}")
    estimate.append(seconds(facts["time"].partition(",")[0]))
    for what, estimated, actual in zip(("tokens in", "tokens out", "seconds"), estimate, spent, strict=True):
        print(
            f"  {what:10} estimated {estimated:10,.0f}  used {actual:10,.0f}  {100 * (estimated / actual - 1):+.0f}%",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=48)
    parser.add_argument("--max-tokens", type=int, default=100)
    options = parser.parse_args()
    shared = ["-k", "2", "--max-tokens", str(options.max_tokens), "--concurrency", str(PLACES)]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_items(folder / "items.jsonl", options.items)
        compare("embedded", folder, ["--model", "embedded:smollm2-135m", *shared])
        with llamacpp_server(folder / "server.log") as server:
            compare("llamacpp-server", folder, ["--model", "openai:smollm2", "--base-url", server.base_url, *shared])


if __name__ == "__main__":
    main()
