"""Preference sources by kind. To add one: a file with a class that follows ``source.Source``, a line below, a row in
``tests/data/sources/test_contract.py``.
"""

from __future__ import annotations

from pathlib import Path
from typing import cast

from spct.bench.suites.assembly import SUFFIXES
from spct.data.sources.source import Source, SourceAbout
from spct.errors import InputError
from spct.hub import fetch_data
from spct.loading import Family
from spct.weights import cache_dir

SOURCES = {
    "helpsteer2": "spct.data.sources.helpsteer2:HelpSteer2",
    "helpsteer3": "spct.data.sources.helpsteer3:HelpSteer3",
    "ultrafeedback": "spct.data.sources.ultrafeedback:UltraFeedback",
    "offsetbias": "spct.data.sources.offsetbias:OffsetBias",
    "skywork": "spct.data.sources.skywork:Skywork",
    "hh-rlhf": "spct.data.sources.hh_rlhf:HHRLHF",
    "finegrained": "spct.data.sources.finegrained:FineGrainedRLHF",
    "gsm8k": "spct.data.sources.gsm8k:GSM8K",
    "math": "spct.data.sources.math:MATH",
    "rmb": "spct.data.sources.rmb:RMBSource",
    "items": "spct.data.sources.items:ItemsSource",
}


_FAMILY = Family("source kind", Source, SOURCES, named=False)


def load_source(kind: str) -> Source:
    """The source of that kind, or the ``module:Class`` of your own. Raises InputError."""
    return cast(Source, _FAMILY.find(kind).make())


def fetch_source(
    about: SourceAbout,
    repo: str | None,
    revision: str | None = None,
    *,
    cache: Path | None = None,
    endpoint: str | None = None,
) -> Path:
    """A directory with the files of the data set ``repo``. ``endpoint`` is another hub's address. Raises InputError."""
    if repo is None:
        raise InputError(f"{about.title} is not on the hub; give the path of its files")
    patterns = [f"*{suffix}" for suffix in SUFFIXES] if about.files == ("*",) else about.files
    folder = (cache or cache_dir() / "data") / repo.replace("/", "--") / (revision or "main")
    return fetch_data(about.title, repo, folder, patterns, revision=revision, endpoint=endpoint)
