"""Groups on disk: what is read back is what was put there."""

from pathlib import Path

from spct.data.forms import Candidate
from spct.data.group import Group
from spct.data.pool import Pool
from spct.items.conversation import query_of, response_of
from spct.turns import turns_of

CALL = {"id": "c", "type": "function", "function": {"name": "look", "arguments": "{}"}}
LOOKS = [
    {"role": "assistant", "content": None, "tool_calls": [CALL]},
    {"role": "tool", "tool_call_id": "c", "content": "oak"},
]


def test_conversations_with_tools_come_back_whole(tmp_path: Path):
    query = query_of([{"role": "user", "content": "q", "name": "ann"}, *LOOKS], "x")
    group = Group(query, (response_of(LOOKS, "x", query), "An oak."), ((0, 1),), strength=2, domain="trees")
    pool = Pool(tmp_path / "spool", 0)
    pair = Candidate("pair", (0, 1))
    assert list(pool.add("items", 3, "here", group, [(0, pair)])) == []
    assert list(pool.add("items", 4, "there", group, [(0, pair)])) == [("items", "duplicate")]
    other = Group(query[:1], group.responses, ((0, 1),))
    assert list(pool.add("items", 5, "there", other, [(0, pair)])) == []
    (entry,) = [entry for entry in pool.entries() if pool.stored(entry).row == 3]
    stored = pool.stored(entry)
    assert stored == (3, "here", group) and turns_of(stored.group.responses[0])[0].calls[0].number == 2
    pool.close()
