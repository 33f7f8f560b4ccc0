from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

import pytest

from preimage.gallery import tour
from preimage.search.result import load_record


class Links(HTMLParser):
    """What a page asks for, and its open tags."""

    def __init__(self) -> None:
        super().__init__()
        self.wanted: list[str] = []
        self.ids: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.wanted += [values[key] or "" for key in ("src", "href") if key in values]
        self.ids |= {values["id"] or ""} if "id" in values else set()


@pytest.fixture
def brief(monkeypatch):
    monkeypatch.setattr(tour, "ITERATIONS", 2)
    monkeypatch.setattr(tour, "CLASS_ITERATIONS", 2)


def test_one_page_that_needs_nothing_else(run, brief):
    answer = run("demo")
    page = Path("demo/index.html")
    assert (answer.code, answer.out) == (0, f"Open {page} in a browser.\n")
    links = Links()
    links.feed(page.read_text(encoding="utf-8"))
    assert all(want.startswith(("data:image/png;base64,", "#")) for want in links.wanted)
    assert {want[1:] for want in links.wanted if want[0] == "#"} <= links.ids
    for stop in tour.STOPS:
        record = load_record(Path("demo", stop.layer))
        assert stop.layer in links.ids
        assert record["iterations"] == 2
        assert f"{100 * record['relative_error']:.0f} %" in page.read_text(encoding="utf-8")
    imagined = load_record(Path("demo", tour.CLASS))
    assert (imagined["task"], imagined["class"]["label"]) == ("maximize", "cheeseburger")
    probability = f"{100 * imagined['class']['probability']:.0f} %"
    assert f'<dd class="big">{probability}</dd>' in page.read_text(encoding="utf-8")


def test_a_tour_that_fails_leaves_nothing(run, brief, monkeypatch):
    monkeypatch.setattr(tour, "page_of", lambda *results: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run("demo", "--json")
    assert list(Path.cwd().iterdir()) == []


def test_a_class_that_is_no_longer_among_the_first_five():
    def score(index: int, probability: float) -> dict[str, object]:
        return {"index": index, "label": str(index), "probability": probability}

    classes = {
        "reference": [score(1, 0.5), score(2, 0.2)],
        "result": [score(2, 0.9), score(3, 0.04)],
    }
    said = [shown["said"] for shown in tour._classes(classes)]
    assert said == ["< 4 %", "90 %"]
