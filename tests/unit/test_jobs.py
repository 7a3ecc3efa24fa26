"""Long work in threads: told while it goes on, cancelled when asked, remembered when it has ended."""

from __future__ import annotations

import threading
import time

import pytest

from jupyter_containers import jobs as module
from jupyter_containers.errors import BuildError, ConflictError, NotFoundError
from jupyter_containers.jobs import Jobs
from jupyter_containers.workers import Workers


@pytest.fixture
def jobs():
    made = Jobs()
    yield made
    made.close()


def wait(jobs, job_id):
    version = -1
    while not jobs.page(job_id, version).ended:
        threading.Event().wait(0.005)
    return jobs.find(job_id)


class Gate:
    """Work that says that it began, and goes on when it is let."""

    def __init__(self, *, result=None, error=None):
        self.began, self.go = threading.Event(), threading.Event()
        self.result, self.error = result, error

    def __call__(self, control):
        self.began.set()
        while not self.go.wait(0.005):
            control.progress("waiting", 1, 4)
        if self.error:
            raise self.error
        return self.result


def test_from_start_to_end():
    heard = []
    jobs = Jobs(on_change=lambda view: heard.append(view.state))
    gate = Gate(result={"a": 1})
    view = jobs.start("pull", "Pull it", gate)
    gate.began.wait()
    while jobs.find(view.id).percent is None:
        threading.Event().wait(0.005)
    running = jobs.find(view.id)
    assert (running.state, running.phase, running.percent) == ("running", "waiting", 25.0)
    assert jobs.busy
    gate.go.set()
    done = wait(jobs, view.id)
    assert (done.state, done.percent, done.result, done.error) == ("done", 100.0, {"a": 1}, "")
    assert done.started_at <= done.ended_at
    while heard[-1] != "done":
        threading.Event().wait(0.005)
    assert heard == ["queued", "running", "done"]
    assert not jobs.busy
    with pytest.raises(ConflictError, match="has ended"):
        jobs.cancel(view.id)


@pytest.mark.parametrize(
    ("error", "message", "hint"),
    [
        (BuildError("it broke", hint="mend it"), "it broke", "mend it"),
        (ValueError("a defect"), "ValueError: a defect", ""),
    ],
)
def test_failure_is_told(jobs, error, message, hint):
    gate = Gate(error=error)
    gate.go.set()
    view = wait(jobs, jobs.start("pull", "x", gate).id)
    assert (view.state, view.error, view.hint, view.result) == ("failed", message, hint, None)


def test_cancel_at_work_and_in_the_queue(monkeypatch):
    monkeypatch.setattr(module, "_LIMIT", 1)
    jobs = Jobs()
    first, second = Gate(), Gate()
    at_work = jobs.start("pull", "x", first)
    queued = jobs.start("pull", "y", second)
    first.began.wait()
    assert jobs.find(queued.id).state == "queued"
    assert jobs.cancel(queued.id).state == "cancelled"
    jobs.cancel(at_work.id)
    assert wait(jobs, at_work.id).state == "cancelled"
    assert not second.began.is_set()
    assert [view.id for view in jobs.list()] == [queued.id, at_work.id]


def test_one_of_a_word_at_a_time(jobs):
    gate = Gate()
    first = jobs.start("pull", "Pull debian", gate, alone="debian")
    with pytest.raises(ConflictError, match="Pull debian: at work already") as told:
        jobs.start("pull", "Pull debian", gate, alone="debian")
    assert first.id in told.value.hint
    gate.go.set()
    wait(jobs, first.id)
    wait(jobs, jobs.start("pull", "Pull debian", gate, alone="debian").id)


def test_notes_and_versions(jobs):
    def work(control):
        control.say("look here")
        control.say("and here")

    view = wait(jobs, jobs.start("load", "x", work).id)
    assert view.notes == ("look here", "and here")
    assert jobs.page(view.id, view.version).has_news is False
    assert jobs.page(view.id, view.version - 1).has_news


def test_old_ones_are_forgotten(jobs, monkeypatch):
    monkeypatch.setattr(module, "_KEPT", 2)
    ids = [wait(jobs, jobs.start("pull", "x", lambda control: None).id).id for _ in range(4)]
    assert [view.id for view in jobs.list()] == [ids[3], ids[2], ids[1]]
    with pytest.raises(NotFoundError):
        jobs.find(ids[0])


def test_close_ends_all(monkeypatch):
    monkeypatch.setattr(module, "_LIMIT", 1)
    jobs = Jobs()
    views = [jobs.start("pull", "x", Gate()) for _ in range(3)]
    jobs.close()
    assert [jobs.find(view.id).state for view in views] == ["cancelled"] * 3


def test_workers_work_side_by_side_and_no_more():
    workers = Workers(2, name="test")
    go, guard = threading.Event(), threading.Lock()
    counts = {"now": 0, "most": 0, "done": 0}

    def task():
        with guard:
            counts["now"] += 1
            counts["most"] = max(counts["most"], counts["now"])
        go.wait()
        with guard:
            counts["now"] -= 1
            counts["done"] += 1

    tasks = [lambda: task() for _ in range(5)]
    for each in tasks:
        workers.submit(each)
    assert workers.withdraw(tasks[4])
    deadline = time.monotonic() + 10
    while counts["now"] < 2 and time.monotonic() < deadline:
        time.sleep(0.001)
    go.set()
    workers.join(patience=10)
    assert counts == {"now": 0, "most": 2, "done": 4}
    assert not workers.withdraw(tasks[0])
