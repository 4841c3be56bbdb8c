import contextlib

import pytest

from spct.errors import InputError, RunError
from spct.run import RunStore
from spct.run.connection import FILE
from spct.types import Item, Message
from spct.view.index import Index, query_of
from spct.view.index.query import facets, find, neighbours
from view.runs import ITEMS, make_run

MANY = [Item(f"i{n}", (Message("user", f"query {n}"),), ("a", "b"), extra={"parity": n % 2}) for n in range(230)]


@pytest.fixture
async def index(tmp_path):
    await make_run(tmp_path / "run")
    return Index(tmp_path / "run", tmp_path / "cache")


def found(index, *pairs):
    index.update(60)
    with index.reading() as db:
        return [row["id"] for row in find(db, query_of(pairs)).rows]


@pytest.mark.parametrize(
    ("pairs", "ids"),
    [
        ([], ["prime", "capital", "river", "greeting", "broken", "hostile", "long"]),
        ([("show", "wrong")], ["river", "long"]),
        ([("show", "wrong"), ("show", "tied")], ["river", "greeting", "long"]),
        ([("show", "wrong"), ("show", "sure-wrong")], ["river"]),
        ([("show", "none")], ["broken"]),
        ([("show", "invalid")], ["broken"]),
        ([("show", "unsure")], ["greeting"]),
        ([("show", "flipped"), ("show", "tied")], ["greeting"]),
        ([("x.domain", "facts")], ["capital", "river"]),
        ([("x.domain", "facts"), ("show", "wrong")], ["river"]),
        ([("q", "vienna")], ["river"]),  # of the query
        ([("q", "danu")], ["river"]),  # the begin of a word, of a response
        ([("q", "dan")], []),  # too few letters for a begin
        ([("q", "brevity vienna")], ["river"]),  # of a judgment and of the query
        ([("q", '"nothing but 1"')], ["prime"]),
        ([("q", '"but nothing 1"')], []),
        ([("q", "NEAR( * OR \" ' ;--")], []),
        ([("q", "capital"), ("sort", "-id")], ["capital"]),
        ([("sort", "-confidence")], ["prime", "capital", "river", "hostile", "long", "greeting", "broken"]),
        ([("sort", "id")], ["broken", "capital", "greeting", "hostile", "long", "prime", "river"]),
        ([("page", "2")], []),
    ],
)
def test_what_is_asked_for_is_found(index, pairs, ids):
    assert found(index, *pairs) == ids


@pytest.mark.parametrize(
    ("pair", "message"),
    [
        (("show", "worng"), "got 'worng'; expected some of correct"),
        (("sort", "-colour"), "sort=-colour: expected one of position, id"),
        (("page", "0"), "page=0: expected a number from 1"),
        (("page", "x"), "page=x: expected a number from 1"),
    ],
)
def test_an_address_with_something_unknown_is_refused(pair, message):
    with pytest.raises(InputError) as error:
        query_of([pair])
    assert message in str(error.value)


def test_an_address_says_what_was_asked(index):
    pairs = [("show", "wrong"), ("x.a b", "c&d"), ("q", "ü"), ("against", "other"), ("sort", "-id"), ("page", "3")]
    query = query_of(pairs)
    assert query.address(page=3) == "show=wrong&x.a+b=c%26d&q=%C3%BC&against=other&sort=-id&page=3"
    assert query.sorted_by("id").endswith("sort=id")
    assert query.sorted_by("n").endswith("sort=n")


async def test_pages_neighbours_and_shared_keys(tmp_path):
    await make_run(tmp_path / "run", MANY, k=1)
    index = Index(tmp_path / "run", tmp_path / "cache")
    last = found(index, ("page", "3"), ("sort", "-position"))
    assert (len(last), last[0], last[-1]) == (30, "i29", "i0")
    with index.reading() as db:
        assert [(facet.key, facet.values) for facet in facets(db)] == [("parity", [("0", 115), ("1", 115)])]
        beside = neighbours(db, query_of([("x.parity", "1"), ("sort", "-position")]), 227)
        assert (beside.place, beside.count, beside.before, beside.after) == (2, 115, 229, 225)
        outside = neighbours(db, query_of([("x.parity", "1")]), 228)
        assert (outside.place, outside.before, outside.after) == (None, None, 1)


async def test_a_growing_run_is_followed(tmp_path):
    await make_run(tmp_path / "run", ITEMS[:2])
    index = Index(tmp_path / "run", tmp_path / "cache")
    assert found(index) == ["prime", "capital"]
    with contextlib.closing(RunStore.open(tmp_path / "run", write=True)) as store:
        store.add_item(2, ITEMS[2])
        store.flush()
        assert found(index, ("q", "vienna")) == ["river"]
        assert found(index, ("show", "unfinished")) == ["river"]
        row = store.verdict_row(1)
        store.put_verdict(1, {**row, "best": 0, "means": [9.0, 1.0]})
        store.flush()
        assert found(index, ("show", "wrong")) == ["capital"]


async def test_a_deleted_run_is_an_error_and_another_in_its_place_is_another(tmp_path):
    await make_run(tmp_path / "run", ITEMS[:2])
    index = Index(tmp_path / "run", tmp_path / "cache")
    assert found(index) == ["prime", "capital"]
    (tmp_path / "run" / FILE).rename(tmp_path / "old")
    for name in (f"{FILE}-wal", f"{FILE}-shm"):
        (tmp_path / "run" / name).unlink(missing_ok=True)
    with pytest.raises(RunError, match="holds no run"):
        index.update()
    await make_run(tmp_path / "run", ITEMS[2:4])
    assert found(index) == ["river", "greeting"]
    assert found(index, ("q", "prime")) == []


async def test_an_index_of_garbage_is_made_again(tmp_path):
    await make_run(tmp_path / "run", ITEMS[:1])
    index = Index(tmp_path / "run", tmp_path / "cache")
    assert found(index) == ["prime"]
    (file,) = (path for path in (tmp_path / "cache").iterdir() if path.suffix == ".sqlite")
    file.write_bytes(b"not a database, but long enough to look at" * 100)
    assert found(Index(tmp_path / "run", tmp_path / "cache")) == ["prime"]


async def test_what_takes_long_goes_on_in_the_background(tmp_path):
    await make_run(tmp_path / "run", MANY, k=1)
    index = Index(tmp_path / "run", tmp_path / "cache")
    index.update(0.0)  # one part of the work, and the rest in a thread
    index._thread.join()
    with index.reading() as db:
        progress = index.progress(db)
    assert (progress.items, progress.cells, progress.worded, progress.complete) == (230, 230, 230, True)
    index.close()


async def test_the_run_is_not_written_to(tmp_path):
    await make_run(tmp_path / "run", ITEMS[:2])
    files = [tmp_path / "run" / name for name in (FILE, "settings.json")]
    before = [file.read_bytes() for file in files]
    assert found(Index(tmp_path / "run", tmp_path / "cache")) == ["prime", "capital"]
    assert [file.read_bytes() for file in files] == before
