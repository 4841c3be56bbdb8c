import orjson
import pytest

from spct.cluster.files import input_files, read_files
from spct.errors import InputError
from spct.items import read_items, reading_of

pytest.importorskip("pyarrow")


def write(path, *rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"\n".join(map(orjson.dumps, rows)))
    return path


def row(text, **more):
    return {"prompt": text, "responses": ["a", "b"], **more}


@pytest.fixture
def folder(tmp_path):
    write(tmp_path / "b.jsonl", row("1"))
    write(tmp_path / "a.jsonl", row("2"), row("1"))
    write(tmp_path / "deep" / "c.jsonl", row("3"))
    write(tmp_path / "_tmp" / "d.jsonl", row("4"))
    write(tmp_path / ".crc", row("5"))
    return tmp_path


def test_a_folder_is_its_files_by_name_without_what_is_hidden(folder):
    assert [file.name for file in input_files(str(folder))] == [
        f"{folder}/a.jsonl",
        f"{folder}/b.jsonl",
        f"{folder}/deep/c.jsonl",
    ]


@pytest.mark.parametrize(
    "pattern, found", [("*.jsonl", "a b deep/c"), ("[ab].jsonl", "a b"), ("?.jsonl", "a b"), ("d*/*", "deep/c")]
)
@pytest.mark.parametrize("scheme", ["", "file://"])
def test_a_pattern_takes_what_matches(folder, scheme, pattern, found):
    names = [f"{scheme}{folder}/{name}.jsonl" for name in found.split()]
    assert [file.name for file in input_files(f"{scheme}{folder}/{pattern}")] == names


def test_one_file_is_itself(folder):
    (file,) = input_files(str(folder / "b.jsonl"))
    assert (file.name, file.size) == (str(folder / "b.jsonl"), (folder / "b.jsonl").stat().st_size)
    assert list(read_files([file])) == list(read_items(folder / "b.jsonl"))


@pytest.mark.parametrize("source", ["none.jsonl", "*.csv", "none/*.jsonl"])
def test_no_file_is_an_error(folder, source):
    with pytest.raises(InputError, match="there is no such file; expected a file, a folder of files, or a pattern"):
        input_files(str(folder / source))


def test_an_unknown_file_system_is_an_error():
    with pytest.raises(InputError, match="nowhere://x: cannot be listed"):
        input_files("nowhere://x")


def test_several_files_are_read_as_one(folder):
    whole = write(folder / "whole.txt", row("2"), row("1"), row("1"), row("3"))
    assert list(read_files(input_files(f"{folder}/*.jsonl"))) == list(read_items(whole))


def test_an_id_that_two_files_give_is_an_error(tmp_path):
    for name in "ab":
        write(tmp_path / f"{name}.jsonl", row(name, id="mine"))
    with pytest.raises(InputError, match=r"b\.jsonl: got the id 'mine' a second time"):
        list(read_files(input_files(str(tmp_path))))


def test_columns_and_bad_rows_are_as_in_one_file(tmp_path):
    write(tmp_path / "a.jsonl", row("1", truth=1))
    write(tmp_path / "b.jsonl", {"prompt": "2"}, row("3", truth=0))
    bad = []
    reading = reading_of(["best=truth"])
    items = list(read_files(input_files(str(tmp_path)), skip_bad=True, on_bad=bad.append, reading=reading))
    assert [(item.messages[0].content, item.best) for item in items] == [("1", 1), ("3", 0)]
    assert [str(error).partition(": ")[0] for error in bad] == [f"{tmp_path}/b.jsonl, line 1"]
