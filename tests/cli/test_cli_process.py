"""What only a process of its own can show: signals, pipes, streams and exit codes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

LATEST = 60
"""Seconds that a command may take to start, on a busy machine."""


def start(*words: object, before: str = "") -> subprocess.Popen[str]:
    """A command line in a process of its own, after some lines of Python."""
    # A suite that runs in the background ignores Ctrl-C, and so would what it starts.
    heeding = "import signal, sys\nsignal.signal(signal.SIGINT, signal.default_int_handler)"
    program = f"{heeding}\n{before}\nfrom preimage.cli.main import main\nsys.exit(main())"
    return subprocess.Popen(
        [sys.executable, "-c", program, *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def interrupt(process: subprocess.Popen[str], sign: Path) -> None:
    """Ctrl-C once the sign is there; nothing may be left."""
    deadline = time.monotonic() + LATEST
    while not sign.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=LATEST)
    assert err == "preimage: interrupted; nothing was written.\n"
    assert (process.returncode, out) == (130, "")
    assert list(Path.cwd().iterdir()) == []


def test_ctrl_c_while_pytorch_is_loaded(photo, tmp_path):
    sign = tmp_path / "loading"
    before = f"""
from pathlib import Path
from preimage.cli import running
load = running.import_module
running.import_module = lambda name: (Path({str(sign)!r}).touch(), load(name))
"""
    words = ("invert", photo, "--layer", "stem", "--iterations", 100_000)
    interrupt(start(*words, before=before), sign)


def test_ctrl_c_during_a_search(photo, tmp_path):
    sign = tmp_path / "searching"
    before = f"""
from contextlib import nullcontext
from pathlib import Path
from preimage.cli import console
console.watching = lambda label: nullcontext((lambda snapshot: Path({str(sign)!r}).touch(),))
"""
    words = ("invert", photo, "--layer", "stem", "--iterations", 100_000, "--movie", "a.gif")
    interrupt(start(*words, before=before), sign)


def test_a_reader_that_leaves_is_no_error():
    process = start("--help")
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    assert process.wait(timeout=LATEST) in (0, 1)
    assert process.stderr.read() == ""
    process.stderr.close()


def test_exit_codes_reach_the_shell(photo):
    process = start("invert", photo, "--layer", "no-such")
    out, err = process.communicate(timeout=LATEST)
    assert (process.returncode, out) == (2, "")
    assert err.startswith("preimage: efficientnet-lite0 has no layer 'no-such'")


def test_python_m_preimage_is_the_command():
    words = [sys.executable, "-m", "preimage", "invert", "no-such.jpg", "--layer", "no-such"]
    answer = subprocess.run(words, capture_output=True, text=True, timeout=LATEST, check=False)
    assert (answer.returncode, answer.stdout) == (2, "")
    assert answer.stderr.startswith("preimage: efficientnet-lite0 has no layer 'no-such'")


def test_no_progress_bar_where_nobody_watches(photo):
    process = start("invert", photo, "--layer", "stem", "--iterations", 2, "--json")
    out, err = process.communicate(timeout=LATEST)
    assert (process.returncode, err) == (0, "")
    assert out.startswith("{")
