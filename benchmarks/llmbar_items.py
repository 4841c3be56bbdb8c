"""LLMBar's files as items: python benchmarks/llmbar_items.py Dataset/LLMBar/Natural/dataset.json ... > natural.jsonl"""

import json
import sys
from pathlib import Path

for file in map(Path, sys.argv[1:]):
    for place, row in enumerate(json.loads(file.read_text("utf-8"))):
        responses = [row["output_1"], row["output_2"]]
        item = {"id": f"{file.parent.name.lower()}-{place}", "prompt": row["input"], "responses": responses}
        print(json.dumps({**item, "best": row["label"] - 1}))
