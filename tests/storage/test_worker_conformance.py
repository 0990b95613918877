"""One suite for every Worker."""

from __future__ import annotations

import queue
import threading

import pytest

from raftkv.storage.worker import InlineWorker, ThreadWorker


class Loop:
    """Runs posted callbacks when told to; posting is safe from any thread."""

    def __init__(self):
        self.posted = queue.SimpleQueue()

    def run(self, count):
        for _ in range(count):
            self.posted.get(timeout=10)()


@pytest.fixture
def loop():
    return Loop()


@pytest.fixture(params=[ThreadWorker, InlineWorker])
def worker(request, loop):
    return request.param("wal", loop.posted.put)


def close(worker, loop):
    done = []
    worker.close(lambda: done.append(True))
    assert done == []
    loop.run(1)
    assert done == [True]


def test_jobs_run_in_order_and_report_through_the_loop(worker, loop):
    """One at a time, each once; never a report from inside submit."""
    ran, reported = [], []
    for i in range(50):
        worker.submit(lambda i=i: ran.append(i) or i, lambda result, error: reported.append((result, error)))
    assert reported == []
    loop.run(50)
    assert ran == list(range(50)) and reported == [(i, None) for i in range(50)]
    close(worker, loop)


@pytest.mark.parametrize("error", [OSError(5, "disk"), AssertionError("bug"), KeyboardInterrupt()])
def test_job_that_raised_reports_its_exception_and_the_next_one_runs(worker, loop, error):
    """Failures belong to the one who waits; also those that are not Exceptions."""

    def fail():
        raise error

    reported = []
    worker.submit(fail, lambda *outcome: reported.append(outcome))
    worker.submit(lambda: 7, lambda *outcome: reported.append(outcome))
    loop.run(2)
    assert reported == [(None, error), (7, None)]
    close(worker, loop)


def test_close_lets_queued_jobs_finish_and_ends_submission(worker, loop):
    """A write handed over always runs to its end (design §4 rule 4)."""
    ran, order = [], []
    for i in range(10):
        worker.submit(lambda i=i: ran.append(i), lambda *_: order.append("job"))
    worker.close(lambda: order.append("closed"))
    with pytest.raises(AssertionError):
        worker.submit(lambda: None, lambda *_: None)
    loop.run(11)
    assert ran == list(range(10)) and order == ["job"] * 10 + ["closed"]


def test_thread_worker_runs_jobs_on_its_own_named_thread(loop):
    worker = ThreadWorker("m1-wal", loop.posted.put)
    names = []
    worker.submit(lambda: threading.current_thread().name, lambda result, _: names.append(result))
    loop.run(1)
    assert names == ["m1-wal"]
    close(worker, loop)
    assert worker.join(10)


def test_thread_worker_runs_queued_jobs_though_the_loop_is_closed():
    """Nobody is left to be told; the writes still happen."""
    ran, gate = [], threading.Event()

    def post(callback):
        raise RuntimeError("Event loop is closed")

    worker = ThreadWorker("wal", post)
    worker.submit(lambda: gate.wait(10), lambda *_: None)
    worker.submit(lambda: ran.append(1), lambda *_: None)
    worker.close(lambda: None)
    gate.set()
    assert worker.join(10) and ran == [1]
