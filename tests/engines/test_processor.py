"""What of /proc/cpuinfo and the environment tells one processor's arithmetic from another's."""

from spct.engines.processor import Processor, read_processor, this_processor

XEON = """processor\t: 0
model name\t: Intel(R) Xeon(R) Platinum 8481C
flags\t\t: fpu sse2 avx2 avx512_bf16 amx_tile amx_bf16 rdpid

processor\t: 1
model name\t: another
flags\t\t: fpu
"""
ARM = """processor\t: 0
Features\t: fp asimd crc32 sve bf16 i8mm
CPU implementer\t: 0x41
CPU part\t: 0xd40
"""


def test_the_first_processor_s_name_and_vector_instructions() -> None:
    assert read_processor(XEON, {}) == Processor(
        "Intel(R) Xeon(R) Platinum 8481C", ("amx_bf16", "amx_tile", "avx2", "avx512_bf16")
    )
    assert read_processor(ARM, {}) == Processor("0x41 0xd40", ("asimd", "bf16", "i8mm", "sve"))
    assert read_processor("", {}) == Processor("")


def test_forbidden_instructions_make_it_another_processor() -> None:
    limited = read_processor(XEON, {"ONEDNN_MAX_CPU_ISA": "AVX2", "DNNL_MAX_CPU_ISA": "", "PATH": "/bin"})
    assert limited.limits == ("ONEDNN_MAX_CPU_ISA=AVX2",)
    assert limited != read_processor(XEON, {})


def test_this_one_has_a_name() -> None:
    assert this_processor().name
