"""The rubric of the documents, in a folder of its own with the schema that it names."""

from pathlib import Path

from spct.rubrics import Rubric

REPLY = """\
name: support-reply
criteria:
  - id: correct
    ask: "Is every statement about the product right?"
    weight: 3
    kind: scale
    scale: [1, 5]
    anchors: {1: "wrong on the main point", 5: "all right"}
    gate: 3
  - {id: jargon, ask: "Does it use words that a customer would not know?", weight: -1, kind: yes-no}
  - {id: tone, ask: "How does it address the customer?", weight: 1, kind: choice, choices: {warm: 1, neutral: 0.5, cold: 0}}
  - {id: short, weight: 1, check: {max_words: 120}}
  - {id: valid, weight: 2, check: {json_schema: reply.schema.json}, gate: true}
pass: 0.7
"""
SCHEMA = '{"type": "object", "required": ["reply"], "properties": {"reply": {"type": "string"}}}'


def written(folder: Path, text: str = REPLY) -> Path:
    """The file of a rubric, beside the schema."""
    (folder / "reply.schema.json").write_text(SCHEMA)
    path = folder / "rubric.yaml"
    path.write_text(text)
    return path


def rubric(folder: Path, text: str = REPLY) -> Rubric:
    return Rubric.load(written(folder, text))


def of(*criteria: dict, threshold: float | None = None) -> Rubric:
    """A rubric of these rows; what a row leaves out is a yes-no question of weight 1."""
    rows = [{"weight": 1, "kind": "check" if "check" in row else "yes-no", "ask": f"Is it {row['id']}?"} | row
            for row in criteria]  # fmt: skip
    return Rubric.of_row({"name": "a rubric", "criteria": rows, "pass": threshold})
