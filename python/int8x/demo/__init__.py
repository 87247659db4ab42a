"""The whole road once, on real data: train, fine-tune, export, check, time (`int8x demo`)."""
