"""Commands run inside this process where that is enough: it saves PyTorch's import each time."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from preimage.cli.main import main


@dataclass(frozen=True)
class Answer:
    """What a command left: its exit code and both streams."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Run = Callable[..., Answer]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder and an empty cache."""
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("PREIMAGE_HOME", str(tmp_path / "home"))
    return folder


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Type a command line, without the word `preimage`."""

    def typed(*words: object) -> Answer:
        code = main([str(word) for word in words])
        captured = capsys.readouterr()
        return Answer(code, captured.out, captured.err)

    return typed


@pytest.fixture
def fails(run: Run) -> Callable[..., str]:
    """Type a command line that must fail as it should; gives the message."""

    def typed(code: int, *words: object) -> str:
        answer = run(*words)
        assert answer.code == code, answer
        assert answer.out == ""
        lines = answer.err.rstrip("\n").split("\n")
        assert lines[0].startswith("preimage: ")
        assert len(lines) <= 2
        return answer.err

    return typed
