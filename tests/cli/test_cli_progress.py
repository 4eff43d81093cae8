"""What a user sees while runs go on: lines in a pipe, bars on a terminal."""

import io
import os
import pty
import re
import subprocess
import sys
from types import SimpleNamespace

import pytest
from benches import Bench
from commands import environment, finish, start
from rich import console
from specs import tiny_spec

from vaebench.cli import progress
from vaebench.cli.progress import LiveReporter, PlainReporter, make_reporter
from vaebench.execution.session import RETRAIN_NOTE


@pytest.fixture
def works(tmp_path):
    return list(Bench(tmp_path, tiny_spec()).plan().work.values())


@pytest.fixture
def clock(monkeypatch):
    """A clock that the test sets."""
    time = SimpleNamespace(now=100.0, monotonic=lambda: time.now)
    monkeypatch.setattr(progress, "time", time)
    return time


def tell(reporter, works, clock):
    """Two runs at once: one with a lost worker and an end, one that fails."""
    one, two, three, _ = works
    with reporter:
        reporter.run_started(one, 1, 4, None)
        reporter.run_started(two, 2, 4, RETRAIN_NOTE)
        for epoch in range(1, 5):
            clock.now += 8
            reporter.epoch_done(one, epoch, {"loss": 10.0 + epoch, "kl": 0.125})
        reporter.run_again(two, "its worker was killed (SIGKILL)")
        reporter.evaluating(one, "reconstruction")
        reporter.run_done(one, "done", None)
        reporter.run_done(two, "failed", "RuntimeError: [x] is no tag")
        reporter.run_started(three, 3, 4, None)
        reporter.run_done(three, "busy", "another process works on it")


def test_lines_in_a_pipe_name_the_run_that_they_are_about(works, clock, capsys):
    tell(PlainReporter(), works, clock)
    one, two, three, _ = (work.run.sentence for work in works)
    assert capsys.readouterr().err.splitlines() == [
        f"[1/4] {one}",
        f"[2/4] {two} ({RETRAIN_NOTE})",
        "[1/4] epoch 2/4: loss 12.00, kl 0.12",  # every fifteen seconds
        "[1/4] epoch 4/4: loss 14.00, kl 0.12",
        "[2/4] goes on in a new worker: its worker was killed (SIGKILL)",
        "[1/4] done in 32 s",
        "[2/4] failed in 32 s: RuntimeError: [x] is no tag",
        f"[3/4] {three}",
        "[3/4] busy in 0 s: another process works on it",
    ]


def test_bars_on_a_terminal_show_each_run_at_work(works, clock, monkeypatch):
    """Every frame is drawn; square brackets are no markup, and no line is broken."""
    screen = io.StringIO()
    terminal = console.Console(file=screen, force_terminal=True, width=90, color_system="standard")
    monkeypatch.setattr(console, "Console", lambda **options: terminal)
    reporter = LiveReporter()
    update = reporter.epoch_done

    def drawn(*arguments):
        update(*arguments)
        reporter.bar.refresh()

    reporter.epoch_done = drawn
    tell(reporter, works, clock)
    shown = plain_text(screen.getvalue())
    one, two, three, _ = (work.run.sentence for work in works)
    lines = [line for line in shown if not re.search("━", line)]
    assert lines == [
        f"[2/4] {two} ({RETRAIN_NOTE})",
        "[2/4] goes on in a new worker: its worker was killed (SIGKILL)",
        f"[1/4] done in 32 s: {one}",
        f"[2/4] failed in 32 s: {two}: RuntimeError: [x] is no tag",
        f"[3/4] busy in 0 s: {three}: another process works on it",
    ]
    assert any(re.match(r"\[1/4\] igp.vae seed 0 ━.* 3/4 loss 13.00 ", line) for line in shown)
    assert any(re.match(r"\[2/4\] igp.vae seed 1 ━.* 0/4 ", line) for line in shown)
    assert re.match(r"runs ━.* 2/4 ", shown[-1])  # a run of another process is not done


def plain_text(screen):
    """The lines without control sequences, empty ones left out."""
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", screen).replace("\r", "\n")
    return [line.rstrip() + " " if "━" in line else line for line in text.split("\n") if line]


def test_a_terminal_has_bars_and_a_pipe_has_lines(monkeypatch):
    for terminal, kind in ((True, LiveReporter), (False, PlainReporter)):
        monkeypatch.setattr(
            sys, "stderr", SimpleNamespace(isatty=lambda terminal=terminal: terminal)
        )
        assert type(make_reporter()) is kind


@pytest.fixture
def quick(tmp_path):
    spec = tiny_spec()
    spec["groups"]["G"]["data"]["limit"] = 60
    bench = Bench(tmp_path, spec)
    return bench.path


def test_a_quick_table_in_a_pipe_prints_a_start_and_an_end_a_run(quick, tmp_path):
    code, out, err = finish(start("run", quick, "--jobs", "2", "--device", "cpu", cwd=tmp_path))
    assert (code, out) == (0, "")
    slow = re.compile(r"\[./4\] epoch ./4: loss ")  # told where a run takes many seconds
    first, *lines, last = (line for line in err.splitlines() if not slow.match(line))
    assert first == "4 runs, 0 finished before"
    assert last == "wrote results/tiny.paper.digits-28x28.csv"
    for number in range(1, 5):
        own = [line for line in lines if line.startswith(f"[{number}/4] ")]
        assert len(own) == 2
        assert re.fullmatch(r"\[./4\] igp\.vae\(.*\)/digits-28x28/seed=[01]", own[0])
        assert re.fullmatch(r"\[./4\] done in \d+ s", own[1])
    assert len(lines) == 8


def test_a_quick_table_on_a_real_terminal(quick, tmp_path):
    """A pseudo terminal of 100 columns, two runs at once."""
    here, there = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "vaebench", "run", quick, "--jobs", "2", "--device", "cpu"],
        **{"cwd": tmp_path, "stdin": there, "stdout": there, "stderr": there},
        env=environment(TERM="xterm", COLUMNS="100"),
    )
    os.close(there)
    screen = b""
    try:
        while part := os.read(here, 65536):
            screen += part
    except OSError:  # the other end is closed
        pass
    os.close(here)
    assert process.wait() == 0
    shown = plain_text(screen.decode())
    assert not any("\\[" in line for line in shown)
    assert shown[0] == "4 runs, 0 finished before"
    assert shown[-1] == "wrote results/tiny.paper.digits-28x28.csv"
    assert re.match(r"runs ━+ 4/4", shown[-2])
    ends = [line for line in shown if re.match(r"\[\d/4\] done in \d+ s: igp\.vae\(", line)]
    assert len(ends) == 4
