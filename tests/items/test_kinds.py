"""Files that hold no rows are named."""

import gzip
import io
import tarfile
import zipfile

import pytest

from spct.errors import InputError
from spct.items import read_items
from spct.items.kinds import WRONG


def zipped(**files: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, data in files.items():
            archive.writestr(name.replace("_", "/"), data)
    return stream.getvalue()


def tarred() -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("items.jsonl"))
    return stream.getvalue()


KINDS = [
    (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "got a Git LFS pointer"),
    (b"/annex/objects/MD5E-s1--0.parquet\n", "got a git-annex pointer"),
    (b"%PDF-1.7\n", "got a PDF"),
    (b"{\\rtf1\\ansi", "got a rich text document"),
    (b"SQLite format 3\x00", "see spct show, which takes its directory"),
    (tarred(), "got a tar archive; expected the file in it"),
    (gzip.compress(tarred()), "got a tar archive"),
    (zipped(a=b"x", b=b"y"), "got a zip archive of a, b; expected the file in it"),
    (zipped(word_document=b"x"), "got a text document"),
    (zipped(mimetype=b"application/vnd.oasis.opendocument.text"), "got a text document"),
    (zipped(a=b"x" * 100)[:40], "got a damaged workbook or archive"),
    (b"\n <!DOCTYPE html><html>", "got a web page"),
    (b"<html>\n", "got a web page"),
    (gzip.compress(b"%PDF-1.7"), "got a PDF"),
    (gzip.compress(b"PAR1"), "got Parquet inside a compressed file"),
    (gzip.compress(b"ARROW1\x00\x00"), "got Arrow inside a compressed file"),
]


@pytest.mark.parametrize(("data", "expected"), KINDS, ids=range(len(KINDS)))
def test_wrong_kinds_are_named(data, expected) -> None:
    with pytest.raises(InputError) as caught:
        list(read_items(io.BytesIO(data)))
    assert expected in str(caught.value)


@pytest.mark.parametrize(("start", "kind", "expected"), WRONG)
def test_each_kind_is_known_by_its_first_bytes(start, kind, expected) -> None:
    with pytest.raises(InputError) as caught:
        list(read_items(io.BytesIO(start + b"...")))
    assert str(caught.value) == f"input: got {kind}; expected {expected}"


def test_damaged_workbooks() -> None:
    pytest.importorskip("python_calamine")
    for data in (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1...", zipped(xl_workbook=b"no")):
        with pytest.raises(InputError, match="input: not readable as a workbook"):
            list(read_items(io.BytesIO(data)))


@pytest.mark.parametrize(
    ("name", "format"), [("x.jsonl", "invalid JSON"), ("x.csv", "found no query"), ("x.csv.gz", "found no")]
)
def test_a_name_decides_for_text_that_could_be_either(tmp_path, name, format) -> None:
    path = tmp_path / name
    path.write_bytes(b'"a", "b"\n"c", "d"\n' if name.endswith("jsonl") else b"a\nb\n")
    with pytest.raises(InputError, match=format):
        list(read_items(path))
