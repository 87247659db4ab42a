"""The delegate outlives what a program does with it: sharing, threads, deletion in any order, fork,
no leaks, no spinning.
"""

import gc
import os
import resource
import threading
import time

import int8x
import numpy as np
import pytest
from exactness import difference, reference_outputs, run
from int8x.runtime.interpreter import load_runtime, open_interpreter
from random_graphs import UNCLAIMED, random_graph

RUNTIME = load_runtime("ai_edge_litert")


def load(**options):
    return RUNTIME.load_delegate(int8x.delegate_path(), options)


def open_with(delegates, model):
    return open_interpreter(RUNTIME, model, 1, "reference", delegates)


@pytest.fixture(scope="module")
def graphs():
    """Several graphs with their expected outputs: (case, expected)."""
    cases = [random_graph(seed)[0] for seed in range(2000, 2012)]
    return [(case, reference_outputs(case.model, case.feeds)) for case in cases]


def test_one_delegate_serves_many_interpreters_at_once(graphs):
    delegate = load(num_threads=2)
    interpreters = [open_with([delegate], case.model) for case, _ in graphs]
    for _ in range(2):
        for interpreter, (case, expected) in zip(interpreters, graphs, strict=True):
            assert not difference(expected, run(interpreter, case.feeds)), case.name


def test_many_delegates_of_one_library_do_not_disturb_each_other(graphs):
    settings = [dict(num_threads=n, arch=arch) for n in (1, 2, 4) for arch in ("auto", "reference")]
    opened = [
        (open_with([load(**settings[i % len(settings)])], case.model), case, e)
        for i, (case, e) in enumerate(graphs)
    ]
    for interpreter, case, expected in opened:
        assert not difference(expected, run(interpreter, case.feeds)), case.name


def test_two_delegates_in_one_interpreter_share_the_nodes(graphs):
    for case, expected in graphs:
        interpreter = open_with(
            [load(allow_ops="CONV_2D,ADD"), load(deny_ops="CONV_2D")], case.model
        )
        assert not difference(expected, run(interpreter, case.feeds)), case.name


def test_the_delegate_may_be_deleted_before_the_interpreter(graphs):
    for case, expected in graphs:
        delegate = load(num_threads=2)
        interpreter = open_with([delegate], case.model)
        del delegate
        gc.collect()
        assert not difference(expected, run(interpreter, case.feeds)), case.name


def test_the_delegate_may_be_destroyed_before_the_interpreter(graphs):
    """Garbage collection of a cycle calls __del__ in any order; the kernels live until the
    interpreter frees them.
    """
    for case, expected in graphs:
        delegate = load(num_threads=2)
        interpreter = open_with([delegate], case.model)
        delegate.__del__()
        assert not difference(expected, run(interpreter, case.feeds)), case.name
        del interpreter
        gc.collect()


def test_a_cycle_of_interpreters_and_delegates_is_collected(graphs):
    for case, _ in graphs:
        for _ in range(5):
            cycle = [load(num_threads=2)]
            cycle.append(open_with(cycle, case.model))
            cycle.append(cycle)
            run(cycle[1], case.feeds)
            del cycle
    gc.collect()


def test_the_delegate_may_outlive_its_interpreters(graphs):
    delegate = load(num_threads=2)
    for case, expected in graphs:
        interpreter = open_with([delegate], case.model)
        assert not difference(expected, run(interpreter, case.feeds)), case.name
        del interpreter
        gc.collect()


def in_threads(count, work):
    errors = []
    ready = threading.Barrier(count)

    def guarded(number):
        try:
            ready.wait()
            work(number)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors, errors


def test_eight_threads_with_an_interpreter_each(graphs):
    def work(number):
        for case, expected in graphs:
            interpreter = open_with([load(num_threads=1 + number % 3)], case.model)
            for _ in range(5):
                assert not difference(expected, run(interpreter, case.feeds)), case.name

    in_threads(8, work)


def test_eight_threads_that_share_one_delegate(graphs):
    delegate = load(num_threads=2)
    opened = [[open_with([delegate], case.model) for case, _ in graphs] for _ in range(8)]

    def work(number):
        for interpreter, (case, expected) in zip(opened[number], graphs, strict=True):
            for _ in range(5):
                assert not difference(expected, run(interpreter, case.feeds)), case.name

    in_threads(8, work)


def test_threads_may_open_interpreters_on_a_shared_delegate(graphs):
    delegate = load(num_threads=2)

    def work(_):
        for case, expected in graphs:
            interpreter = open_with([delegate], case.model)
            assert not difference(expected, run(interpreter, case.feeds)), case.name

    in_threads(8, work)


def test_a_forked_child_computes_the_same(graphs):
    opened = [
        (int8x.Interpreter(case.model, 4, resolver="reference"), case, expected)
        for case, expected in graphs
    ]
    for interpreter, case, _ in opened:
        run(interpreter, case.feeds)
    child = os.fork()
    if child == 0:
        wrong = any(
            difference(expected, run(interpreter, case.feeds))
            for interpreter, case, expected in opened
        )
        os._exit(1 if wrong else 0)
    deadline = time.monotonic() + 30
    status = None
    while status is None and time.monotonic() < deadline:
        finished, code = os.waitpid(child, os.WNOHANG)
        status = code if finished else None
        time.sleep(0.01)
    if status is None:
        os.kill(child, 9)
        os.waitpid(child, 0)
    assert status == 0
    for interpreter, case, expected in opened:
        assert not difference(expected, run(interpreter, case.feeds)), case.name


def test_an_idle_pool_uses_no_processor(graphs):
    opened = [(int8x.Interpreter(case.model, 4, resolver="reference"), case) for case, _ in graphs]
    for interpreter, case in opened:
        run(interpreter, case.feeds)
    time.sleep(0.05)
    before = time.process_time()
    time.sleep(0.5)
    assert time.process_time() - before < 0.05


def test_ten_thousand_delegates_made_and_closed_leak_no_memory(graphs):
    case, expected = min(graphs, key=lambda graph: len(graph[0].model))

    def peak_after(rounds):
        for _ in range(rounds):
            interpreter = open_with([load(num_threads=1)], case.model)
            outputs = run(interpreter, case.feeds)
        assert not difference(expected, outputs)
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    settled = peak_after(1000)
    assert peak_after(9000) - settled < 2048  # KiB: under a quarter KiB each


def test_closing_interpreters_that_had_threads_leaks_no_memory(graphs):
    def peak_after(rounds):
        for _ in range(rounds):
            for case, _ in graphs:
                run(int8x.Interpreter(case.model, 2, resolver="reference"), case.feeds)
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    settled = peak_after(5)
    assert peak_after(30) - settled < 4096  # KiB: 360 interpreters leave less than 4 MiB


def test_closing_interpreters_leaves_no_threads(graphs):
    def threads():
        return len(os.listdir("/proc/self/task"))

    before = threads()
    for case, _ in graphs:
        run(int8x.Interpreter(case.model, 4, resolver="reference"), case.feeds)
    gc.collect()
    assert threads() <= before


def test_repeated_allocation_changes_nothing(graphs):
    for case, expected in graphs:
        interpreter = int8x.Interpreter(case.model, 2, resolver="reference")
        claims = interpreter.claims
        for _ in range(3):
            interpreter.allocate_tensors()
            assert not difference(expected, run(interpreter, case.feeds)), case.name
        assert interpreter.claims == claims


def test_all_tensors_can_be_kept_readable():
    case, operators = random_graph(2001)
    kept = RUNTIME.interpreter(
        model_content=case.model,
        experimental_preserve_all_tensors=True,
        experimental_delegates=[load()],
        experimental_op_resolver_type=RUNTIME.resolver_type.BUILTIN_REF,
    )
    reference = RUNTIME.interpreter(
        model_content=case.model,
        experimental_preserve_all_tensors=True,
        experimental_op_resolver_type=RUNTIME.resolver_type.BUILTIN_REF,
    )
    for interpreter in (kept, reference):
        interpreter.allocate_tensors()
        run(interpreter, case.feeds)
    for detail in reference.get_tensor_details():
        if detail["name"]:
            np.testing.assert_array_equal(
                kept.get_tensor(detail["index"]),
                reference.get_tensor(detail["index"]),
                detail["name"],
            )
    assert operators.count(UNCLAIMED) < len(operators)
