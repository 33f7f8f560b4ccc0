from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from threadpoolctl import threadpool_limits

from preimage.experiments.catalogue import EXPERIMENTS
from preimage.search.result import load_record

LATEST = 120


@pytest.fixture
def words(real_photos, small_dictionary) -> tuple[Any, ...]:
    """A table of one photo, in seconds."""
    return (
        "reproduce", "table2", "--photos", real_photos, "--count", 1, "--iterations", 2,
        "--dictionary", small_dictionary, "--preset", "best", "--out", "out",
    )  # fmt: skip


@pytest.fixture
def one_thread() -> Iterator[None]:
    """One thread in this process too, however many the caller gives it: sums round by threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    with threadpool_limits(1):
        yield
    torch.set_num_threads(before)


def test_list(run):
    answer = run("reproduce", "--list")
    assert (answer.code, answer.err) == (0, "")
    assert all(experiment.name in answer.out for experiment in EXPERIMENTS)
    listed = run("reproduce", "--list", "--json").json["experiments"]
    assert [entry["name"] for entry in listed] == [experiment.name for experiment in EXPERIMENTS]
    (table2,) = (entry for entry in listed if entry["name"] == "table2")
    assert table2["count"] == {"quick": 8, "paper": 100}
    assert table2["quick_leaves_out"] == "8 photos in place of 100"


def test_list_of_one_experiment_and_of_none(run, fails):
    listed = run("reproduce", "table2", "--list", "--json").json["experiments"]
    assert [entry["name"] for entry in listed] == ["table2"]
    assert "table2" in fails(2, "reproduce", "tabel2", "--list")


def test_a_table_on_screen(run, words):
    answer = run(*words)
    assert answer.code == 0
    lines = answer.out.splitlines()
    assert lines[-1] == "report: out/table2"
    hoggle = next(line for line in lines if line.lstrip().startswith("HOGgle"))
    assert "60.1 %" in hoggle
    assert "preimage: HOGgle's dictionary: 32 atoms from 3 photos, given with" in answer.err
    assert "scale quick: 1 photo in place of 100" in answer.err


def test_json(run, words):
    report = run(*words, "--json").json
    assert report["name"] == "table2"
    assert len(report["rows"]) == 4
    assert report["rows"][0]["paper"] == 0.601


def test_wrong_use(fails, real_photos, small_dictionary):
    message = fails(2, "reproduce")
    assert "expected the name of an experiment: table1, table2, " in message
    assert "no experiment 'tabel2'; did you mean: table2" in fails(2, "reproduce", "tabel2")
    assert "give --photos DIR" in fails(2, "reproduce", "table2")
    table = ("reproduce", "table2", "--photos", real_photos)
    assert "has no use for --layers" in fails(2, *table, "--layers", "relu3")
    assert "one comma between them" in fails(2, *table, "--layers", "relu3,,relu4")
    assert "there is no preset 'bset'" in fails(2, *table, "--preset", "bset", "--count", 1)
    message = fails(1, *table, "--count", 7, "--dictionary", small_dictionary, "--out", "few")
    assert not Path("few").exists()
    assert (
        f"{real_photos}: expected 7 photos, found 6: give a larger folder or --count 6." in message
    )
    assert "no such file" in fails(1, "reproduce", "table2", "--photos", "nowhere")
    Path("file").touch()
    assert "file can't be written" in fails(1, *table, "--count", 1, "--out", "file")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--layers", "nosuch"), "alexnet.torchvision has no layer 'nosuch'"),
        (("--model", "nosuch"), "unknown model 'nosuch'"),
        (("--preset", "nosuch", "--model", "efficientnet-lite0"), "there is no preset 'nosuch'"),
    ],
)
def test_wrong_use_leaves_nothing(fails, real_photos, words, message):
    figure6 = ("reproduce", "figure6", "--photos", real_photos, "--count", 1, "--out", "new/out")
    assert message in fails(2, *figure6, *words)
    assert list(Path.cwd().iterdir()) == []


PROGRAM = """
import signal, sys
# A suite that runs in the background ignores Ctrl-C, and so would what it starts.
signal.signal(signal.SIGINT, signal.default_int_handler)
{before}
from preimage.cli.main import main
sys.exit(main())
"""
KILLED = """
import os, signal
from preimage.search import Result
write, saved = Result.write_into, []
def killed(self, folder):
    saved.append(folder)
    write(self, folder)
    if len(saved) == 3:
        (folder / "result.json").unlink()
        os.kill(os.getpid(), signal.SIGKILL)
Result.write_into = killed
"""
SLOW = """
import time
from pathlib import Path
from preimage.search import Result
write, saved = Result.write_into, []
def slow(self, folder):
    saved.append(folder)
    if len(saved) == 3:
        Path("saving").touch()
        time.sleep(60)
    write(self, folder)
Result.write_into = slow
"""


def start(before: str, *words: Any) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM.format(before=before), *map(str, words)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip


def cases(out: str) -> dict[str, float]:
    """Finished cases with the times of their records."""
    return {
        path.name: (path / "result.json").stat().st_mtime_ns
        for path in Path(out, "cases").iterdir()
        if path.name[0] != "."
    }


def timeless(report: Any) -> Any:
    return [{name: row[name] for name in row if name != "seconds"} for row in report["rows"]]


def test_killed_while_it_saves_and_run_again(run, one_thread, words):
    process = start(KILLED, *words)
    process.communicate(timeout=LATEST)
    assert process.returncode == -signal.SIGKILL
    before = cases("out")
    assert len(before) == 2
    assert not Path("out", "table2").exists()
    assert len([p for p in Path("out", "cases").iterdir() if p.name.count(".") == 2]) == 1
    went_on = run(*words, "--json")
    after = cases("out")
    assert len(after) == 4
    assert {name: after[name] for name in before} == before
    assert [p.name for p in Path("out", "cases").iterdir() if p.name[0] == "."] == [".lock"]
    whole = run(*words[:-1], "whole", "--json")
    assert timeless(went_on.json) == timeless(whole.json)
    for name in after:
        for file in ("canvas.npy", "image.png", "trace.csv"):
            one, other = (Path(out, "cases", name, file).read_bytes() for out in ("out", "whole"))
            assert one == other


def test_ctrl_c_says_that_it_can_go_on(words):
    process = start(SLOW, *words)
    deadline = time.monotonic() + LATEST
    while not Path("saving").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=LATEST)
    assert (process.returncode, out) == (130, "")
    assert err == (
        "preimage: interrupted; cases that were finished are in out: run it again to go on.\n"
    )
    assert len(cases("out")) == 2
    assert [p.name for p in Path("out", "cases").iterdir() if p.name[0] == "."] == [".lock"]


def test_a_damaged_case_is_named(run, fails, words):
    run(*words)
    name = next(iter(cases("out")))
    Path("out", "cases", name, "result.json").write_text("{}")
    message = fails(1, *words)
    assert f"out/cases/{name}/result.json has schema None" in message
    assert f"remove out/cases/{name} and run again." in message
    for path in sorted(Path("out", "cases", name).iterdir()):
        path.unlink()
    Path("out", "cases", name).rmdir()
    assert run(*words).code == 0
    assert load_record(Path("out", "cases", name))["case"]["id"] == name
