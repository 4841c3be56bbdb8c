import gzip

import orjson
import pytest

from spct.cluster.cut import cut, items_in, kept_cut
from spct.errors import ResumeRefusedError, RunError
from spct.items import parse_item

PIXEL = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


def items(count):
    return [
        parse_item({"prompt": f"q{n}", "responses": ["a", "b"], "best": n % 2, "more": n}, where="here")
        for n in range(count)
    ]


def test_shards_hold_the_items_in_order(tmp_path):
    made = cut(items(7), tmp_path, 3, {})
    assert [(shard.number, shard.begin, shard.count) for shard in made.shards] == [(0, 0, 3), (1, 3, 3), (2, 6, 1)]
    assert (made.items, made.shards[1].name) == (7, "000001")
    assert [item for shard in made.shards for item in items_in(made.read(shard), "here")] == items(7)


def test_an_image_travels_whole(tmp_path):
    content = [{"type": "text", "text": "what is it?"}, {"type": "image_url", "image_url": {"url": PIXEL}}]
    item = parse_item({"messages": [{"role": "user", "content": content}], "responses": ["a", "b"]}, where="here")
    made = cut([item], tmp_path, 3, {})
    assert list(items_in(made.read(made.shards[0]), "here")) == [item]


def test_a_second_start_trusts_the_manifest(tmp_path):
    facts = {"files": [{"name": "a", "size": 3}], "limit": None, "map": ("a=b",)}
    assert kept_cut(tmp_path, facts) is None
    made = cut(items(5), tmp_path, 2, facts)
    kept = kept_cut(tmp_path, facts)
    assert (kept.id, kept.shards, kept.items) == (made.id, made.shards, 5)


def test_other_input_is_refused_by_what_differs(tmp_path):
    cut(items(5), tmp_path, 2, {"limit": None, "size": 3})
    with pytest.raises(ResumeRefusedError, match="size: 3 when it was cut, 4 now"):
        kept_cut(tmp_path, {"limit": None, "size": 4})


@pytest.mark.parametrize("text", ["", "[]", '{"id": 1}', '{"id": "x", "facts": {}, "shards": [[1]]}'])
def test_a_damaged_manifest_is_an_error(tmp_path, text):
    (tmp_path / "shards").mkdir()
    (tmp_path / "shards" / "cut.json").write_text(text)
    with pytest.raises(RunError, match=r"cut\.json"):
        kept_cut(tmp_path, {})


def test_a_shard_that_changed_is_an_error(tmp_path):
    made = cut(items(2), tmp_path, 2, {})
    made.file(made.shards[0]).write_bytes(gzip.compress(orjson.dumps({"prompt": "x", "responses": ["a"]})))
    with pytest.raises(RunError, match="is damaged; delete"):
        made.read(made.shards[0])


def test_a_disk_that_cannot_be_written_is_an_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="expected a directory"):
        cut(items(2), tmp_path / "file", 2, {})
