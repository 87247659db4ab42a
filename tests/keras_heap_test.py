"""What a step's first graph has left goes back to the system before the second is traced."""

import re
from pathlib import Path

import keras_nets as nets
import numpy as np
from int8x.keras import QATCallback, heap, qat

X, Y, _, _ = nets.digits(128, 48)
_BLOCK = 1 << 16  # bytes, below what glibc maps by itself
_BLOCKS, _KEPT_OF = 2000, 20


def resident():
    return 1024 * int(re.search(r"VmRSS:\s+(\d+)", Path("/proc/self/status").read_text())[1])


def test_what_is_free_between_what_is_kept_goes_back_to_the_system():
    blocks = [np.ones(_BLOCK, np.uint8) for _ in range(_BLOCKS)]
    kept = blocks[::_KEPT_OF]
    blocks.clear()
    before = resident()
    heap.give_back()
    free = (_BLOCKS - len(kept)) * _BLOCK
    assert before - resident() > free / 2
    assert all(block.all() for block in kept)


def test_what_only_holds_itself_goes_back_too():
    cycle = [np.ones(_BLOCK, np.uint8) for _ in range(_BLOCKS)]
    cycle.append(cycle)
    before = resident()
    del cycle
    heap.give_back()
    assert before - resident() > _BLOCKS * _BLOCK / 2


def test_a_fit_and_a_loop_give_the_memory_of_each_step_that_is_over(monkeypatch):
    nets.seed()
    functions = []
    monkeypatch.setattr(heap, "give_back", lambda: functions.append(model.train_function))
    model = nets.compiled(nets.functional(nets.head), run_eagerly=True)
    model.fit(X, Y, batch_size=16, verbose=0, callbacks=[QATCallback(ranges="lsq")])
    assert functions == [None] * 3  # before the first step, when learning begins, when all freezes
    with qat(model, steps=4) as training:
        step = training.step(lambda: model(X[:16], training=True))
        for _ in range(4):
            step()
    assert len(functions) == 5  # at the first step, and when all freezes
