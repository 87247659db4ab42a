"""The whole road once, on real data: train, fine-tune quantization-aware, export, check, time. `int8x demo` runs it."""
