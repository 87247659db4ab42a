"""Compiler flags by the name of a source file. CMakeLists.txt and tools/checks read this table too, line by line.

A file called after an instruction set, its CPU family first, is compiled with that set and only for that family:
delegate/kernels/gemm/x86_avx2.cc, or x86_avx2_*.cc when one file would grow too long. Every other file is plain C++.
"""

INSTRUCTION_SETS = {
    "x86_avx2": "-mavx2 -mfma",
    "x86_avxvnni": "-mavx2 -mfma -mavxvnni",
    "x86_avx512vnni": "-mavx2 -mfma -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512vnni",
    "x86_avx512vbmi": "-mavx2 -mfma -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512vnni -mavx512vbmi",
    "x86_avx512amx": "-mavx2 -mfma -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512vnni -mamx-tile -mamx-int8",
    "arm64_neon": "",
    "arm64_neondot": "-march=armv8.2-a+dotprod",
    "arm64_neoni8mm": "-march=armv8.2-a+dotprod+i8mm",
}

def instruction_set_of(file):
    """The instruction set that a file is named after ("x86_avx2"), or None."""
    words = file.split("/")[-1].rsplit(".", 1)[0].split("_")
    candidate = "_".join(words[:2])
    return candidate if candidate in INSTRUCTION_SETS else None
