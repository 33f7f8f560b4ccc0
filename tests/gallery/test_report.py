"""The page of all reports: whole, self-contained, and safe whatever the reports hold."""

from __future__ import annotations

import base64
import re
from html.parser import HTMLParser

import pytest

from preimage import PreimageError
from preimage.experiments.reports import REPORTED
from preimage.gallery.report import make_report
from toy_reports import write_report


class Page(HTMLParser):
    """What a browser would find in it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags, self.links, self.ids = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        for name, value in attributes:
            if name in ("src", "href"):
                self.links.append(value)
            if name == "id":
                self.ids.append(value)


@pytest.fixture
def out(tmp_path):
    write_report(tmp_path, "figure9")
    write_report(tmp_path, "table2")
    return tmp_path


def test_every_experiment_is_named_with_its_verdicts(out):
    made = make_report(out)
    text = made.page.read_text()
    assert made.page == out / "report" / "index.html"
    for experiment in REPORTED:
        assert f">{experiment.name}<" in text
    assert Page(text).ids == ["table2", "figure9", "machines"]
    assert made.counts["agrees"] == 1
    assert "toy conv1 5.0 %" in text
    assert "It fades." in text
    assert "nearly exactly invertible" in text
    assert "scale quick: less" in text
    assert text.count("Not run yet.") == len(REPORTED) - 2


def test_it_needs_no_other_file_and_no_network(out):
    text = make_report(out).page.read_text()
    links = Page(text).links
    assert links
    assert all(link.startswith(("#", "data:image/")) for link in links)
    assert not re.search(r"https?://|@import|url\(", text)
    assert "script" not in Page(text).tags
    drawing = next(link for link in links if link.startswith("data:image/svg+xml;base64,"))
    assert b"<svg" in base64.b64decode(drawing.partition(",")[2])


def test_the_folder_of_figures(out):
    made = make_report(out)
    assert {path.name for path in made.figures.iterdir()} == {
        "figure9.svg", "figure9-photos.png", "table2.svg", "table2-photos.png",
    }  # fmt: skip


def test_markup_stays_text(tmp_path):
    bad = "<img src=http://evil/x onerror=alert(1)>"
    row = {"model": bad, "layer": bad, "preset": bad, "relative_error": 0.5, "count": 1}
    write_report(
        tmp_path, rows=[row], question=bad, notes=[bad], paper={"source": bad, "pictures": bad},
        settings={
            "versions": {"preimage": __import__("preimage").__version__, bad: bad},
            "photos": bad, "passed_over": {bad: bad}, "machine": {"cpu": bad},
        },
    )  # fmt: skip
    text = make_report(tmp_path).page.read_text()
    assert "<img src=http" not in text
    assert text.count("&lt;img src=http") >= 8
    assert all(link.startswith(("#", "data:")) for link in Page(text).links)


def test_damaged_figures_leave_the_rows(tmp_path):
    folder = write_report(tmp_path)
    (folder / "figure9.svg").write_text("<svg")
    (folder / "photos.png").write_bytes(b"no picture")
    text = make_report(tmp_path).page.read_text()
    assert text.count("data:image/jpeg") == 1
    assert "data:image/svg" not in text
    assert "<td>5.0 %</td>" in text


def test_photos_in_a_drawing_are_not_turned_dark(tmp_path):
    folder = write_report(tmp_path)
    svg = (folder / "figure9.svg").read_text().replace("</svg>", "<image/></svg>")
    (folder / "figure9.svg").write_text(svg)
    assert "data:image/svg" not in make_report(tmp_path).page.read_text()


def test_reports_are_not_replaced_by_the_page_about_them(out):
    one = next(out.rglob("report.json")).parent
    for place in (out, one):
        with pytest.raises(PreimageError, match="is asked about: choose another --out"):
            make_report(out, place, overwrite=True)
    assert (one / "report.json").is_file()


def test_where_the_page_goes(out, tmp_path):
    make_report(out)
    make_report(out)  # its own place is replaced
    place = tmp_path / "elsewhere"
    place.mkdir()
    (place / "mine.txt").touch()
    with pytest.raises(PreimageError, match="is not empty"):
        make_report(out, place)
    assert [path.name for path in place.iterdir()] == ["mine.txt"]
    with pytest.raises(PreimageError, match=r"mine.txt, which preimage has not written"):
        make_report(out, place, overwrite=True)
    (place / "mine.txt").rename(place / "index.html")
    assert make_report(out, place, overwrite=True).page.is_file()
    assert {path.name for path in place.iterdir()} == {"index.html", "figures"}
