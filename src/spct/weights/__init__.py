"""Model files: what is known by name, how it gets here, and in which encoding an engine reads it.

Every failure is a WeightsError with one sentence: what was found, what was expected, how to go on.
"""

from spct.weights.cache import cache_dir
from spct.weights.catalogue import CATALOGUE, KnownModel
from spct.weights.gguf_header import GGUFHeader, file_encoding, read_header
from spct.weights.lora import Lora, merged, read_lora
from spct.weights.recoding import Recoding, recode
from spct.weights.resolve import ModelFile, Progress, cached, pull, resolve

__all__ = [
    "CATALOGUE",
    "GGUFHeader",
    "KnownModel",
    "Lora",
    "ModelFile",
    "Progress",
    "Recoding",
    "cache_dir",
    "cached",
    "file_encoding",
    "merged",
    "pull",
    "read_header",
    "read_lora",
    "recode",
    "resolve",
]
