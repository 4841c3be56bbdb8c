"""Ids of every family: what they find, and the one set of messages for what they do not."""

import sys
from pathlib import Path
from typing import Any, Protocol

import pytest

from spct.bench.importers import import_recorded
from spct.bench.suites import load_benchmark
from spct.classifiers import load_pairs, load_scorer
from spct.data.sources import load_source
from spct.engines import engine_options, load_engine
from spct.errors import EngineError, InputError
from spct.judges import load_judge
from spct.loading import Family
from spct.meta import load_meta

OWN = """
from spct.errors import EngineError

class Bell:
    def __init__(self, name, *, loud=False):
        self.name, self.loud = name, loud

    @property
    def pitch(self):
        raise RuntimeError("not yet")  # known once started

    def ring(self): ...

class Mute:
    def __init__(self, name): ...

def bad(name):
    return 1 / 0

def unsound(name):
    raise EngineError("cracked")

number = 3
"""


class Rings(Protocol):
    @property
    def pitch(self) -> int: ...

    def ring(self) -> None: ...


BELLS = Family("bell", Rings, {"path": "pathlib:PurePath", "any": "builtins:int"}, nameless=frozenset({"any"}))
FORMS = "expected KIND:NAME with KIND one of path, any (any need no name), or module:Class:NAME of your own"


@pytest.fixture
def own(tmp_path: Path) -> str:
    file = tmp_path / "own bells.py"
    file.write_text(OWN)
    return str(file)


def test_a_class_of_ones_own_in_a_file_or_a_module(own, tmp_path, monkeypatch):
    bell = BELLS.find(f"{own}:Bell:big:ben").make(loud=True)
    assert (bell.name, bell.loud) == ("big:ben", True)
    assert BELLS.find(f"{own}:Bell").make().name == ""
    (tmp_path / "towers.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    assert BELLS.find("towers:Bell:x").make().name == "x"
    assert BELLS.find("towers:Bell:x").options == {"loud"}


@pytest.mark.parametrize(
    ("id", "words"),
    [
        ("gong", f"bell 'gong': {FORMS}"),
        ("gong:big", f"bell 'gong:big': {FORMS}"),
        ("path", f"bell 'path': {FORMS}"),
        ("path:", f"bell 'path:': {FORMS}"),
        ("path: ", f"bell 'path: ': {FORMS}"),
        (":x", f"bell ':x': {FORMS}"),
        ("", f"bell '': {FORMS}"),
        ("gong:big:b", "cannot import gong:big: ModuleNotFoundError: No module named 'gong'; expected KIND:NAME"),
        ("no.such:Bell:b", "cannot import no.such:Bell: ModuleNotFoundError: No module named 'no'; expected KIND"),
        ("os.path:Bell:b", "cannot import os.path:Bell: AttributeError: module 'posixpath' has no attribute 'Bell'"),
        (".x:Bell:b", "cannot import .x:Bell: TypeError: the 'package' argument is required"),
        ("::b", "cannot import ::"),
        ("OWN:Bel:b", "has no attribute 'Bel'"),
        ("OWN.py:Bell:b", "FileNotFoundError"),
        ("OWN:number:b", "cannot be called: 3 is not a callable object"),
        ("builtins:dict:b", "cannot be called: no signature found"),
        ("os.path:join:b", "bell 'os.path:join:b' gives a str, which lacks pitch, ring; expected KIND:NAME"),
        ("OWN:Mute:b", "gives a Mute, which lacks pitch, ring"),
        ("OWN:bad:b", "cannot be made: ZeroDivisionError: division by zero"),
        ("path:x", "bell 'path:x' gives a PurePosixPath, which lacks pitch, ring"),
    ],
)
def test_what_an_id_cannot_be(id, words, own):
    with pytest.raises(InputError) as caught:
        BELLS.find(id.replace("OWN.py", "nowhere.py").replace("OWN", own)).make()
    assert words in str(caught.value)


@pytest.mark.parametrize("id", ["gong", "os.path", "os.path:", ":join", "os.path:join:x", ""])
def test_ids_of_a_family_without_names(id):
    with pytest.raises(InputError) as caught:
        Family("bell", Rings, {"path": "pathlib:PurePath"}, named=False).find(id)
    words = "" if id == ":join" else "expected one of path, or module:Class of your own"
    assert str(caught.value).startswith(f"bell {id!r}: {words}")


def test_options_that_are_not_taken(own):
    with pytest.raises(InputError, match=r"bell '.*:b' takes no pitch, size; it takes loud$"):
        BELLS.find(f"{own}:Bell:b").make(size=3, pitch=2, loud=True)
    with pytest.raises(InputError, match="takes no size; it takes no options$"):
        BELLS.find(f"{own}:Mute:b").make(size=3)


def test_errors_of_ours_pass_as_they_are(own):
    with pytest.raises(EngineError, match="^cracked$"):
        BELLS.find(f"{own}:unsound:b").make()


@pytest.mark.parametrize("text, said", [("1 / 0", "ZeroDivisionError: division by zero"),
                                        ("import sys; sys.exit(3)", "SystemExit: 3")])  # fmt: skip
def test_a_module_that_fails_is_named_and_not_kept(text, said, tmp_path):
    (tmp_path / "broken.py").write_text(text)
    for _ in range(2):
        with pytest.raises(InputError, match=rf"cannot import .*broken\.py:Bell: {said}"):
            BELLS.find(f"{tmp_path}/broken.py:Bell:b")
    assert "spct_own_broken" not in sys.modules


def import_it(kind: str) -> Any:
    return import_recorded(kind, Path("a"), Path("b"))


@pytest.mark.parametrize(
    ("load", "noun", "forms"),
    [
        (load_engine, "model", "expected KIND:NAME with KIND one of openai, .*, or module:Class:NAME of your own"),
        (engine_options, "model", "expected KIND:NAME with KIND one of openai, .*, or module:Class:NAME of your own"),
        (load_scorer, "model", "expected KIND:NAME with KIND one of classifier, .*, or module:Class:NAME of your own"),
        (load_pairs, "model", "expected KIND:NAME with KIND one of classifier, or module:Class:NAME of your own"),
        (load_meta, "meta", "expected .*llm, oracle, random .oracle and random need no name., or module:Class:NAME"),
        (load_judge, "judge", "expected one of grm, .*, or module:Class of your own"),
        (load_benchmark, "benchmark", "expected one of rewardbench, .*, or module:Class of your own"),
        (load_source, "source kind", "expected one of helpsteer2, .*, or module:Class of your own"),
        (import_it, "recording kind", "expected one of rewardbench2-k8, .*, or module:Class of your own"),
    ],
)
def test_every_family_says_what_it_takes(load, noun, forms):
    with pytest.raises(InputError, match=f"^{noun} 'nonsense': {forms}"):
        load("nonsense")


@pytest.mark.parametrize("load", [load_engine, load_scorer, load_pairs, load_meta])
def test_what_follows_no_contract_is_told_before_it_is_used(load):
    with pytest.raises(InputError, match=r"'os\.path:join:x' gives a str, which lacks .*\bstart\b"):
        load("os.path:join:x")
