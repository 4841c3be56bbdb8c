"""Best of n in plain Python: sample elsewhere, choose here.

python examples/best_of_n.py                                # in process, with the rehearsal judge
python examples/best_of_n.py --url http://127.0.0.1:8000    # by a running spct serve
python examples/best_of_n.py --model openai:gpt-4o-mini
"""

import argparse
from pathlib import Path

from spct import GRM
from spct.adapters.best_of_n import best_of_n

REHEARSAL = f"scripted:{Path(__file__).parent / 'letter_judge.py'}:judge"

parser = argparse.ArgumentParser()
parser.add_argument("--url", help="the address of a running spct serve")
parser.add_argument("--model", default=REHEARSAL, help="an engine to judge with in this process")
options = parser.parse_args()

best = best_of_n(
    options.url or GRM(options.model, k=4),
    "Write a line about trees.",
    ["Oaks last long.", "Trees need deep beds.", "A tall pin oak stands still."],
)
print(f"{best.response!r} (mean scores {best.rewards}, confidence {best.confidence})")
