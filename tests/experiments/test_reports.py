"""Reports read back: whole ones, damaged ones, those of another version."""

from __future__ import annotations

import pytest

from preimage import PreimageError
from preimage.experiments.reports import reports_in
from toy_reports import write_report

ROW = {"model": "toy", "count": 1, "relative_error": 0.5}


def test_reports_in_the_order_of_the_catalogue(tmp_path):
    for name in ("compare", "figure9", "table2"):
        write_report(tmp_path, name)
    (tmp_path / "cases").mkdir()
    reports = reports_in(tmp_path)
    assert [each.experiment.name for each in reports.found] == ["table2", "figure9", "compare"]
    assert reports.skipped == ()
    figure9 = reports.found[1]
    assert figure9.table == [("conv1", "1", "1", "5.0 %", "1")]
    assert [path.name for path in figure9.figures] == ["figure9.png", "photos.png"]


@pytest.mark.parametrize(
    ("parts", "why"),
    [
        ({"settings": {"versions": {"preimage": "0.0.0"}}}, "made by preimage 0.0.0, and this is"),
        ({"settings": {}}, "made by preimage an unknown version, and this is"),
        ({"settings": {"versions": "all"}}, "made by preimage an unknown version"),
        ({"name": "figure10"}, "is no report of figure9: run it again"),
        ({"rows": [1]}, "is no report of figure9"),
        ({"rows": {"a": 1}}, "is no report of figure9"),
        ({"rows": [{**ROW, "relative_error": "half"}]}, "is no report of figure9"),
        ({"rows": [{**ROW, "layer": ["conv1"]}]}, "is no report of figure9"),
        ({"rows": [{**ROW, "relative_error": float("nan")}]}, "is no report of figure9"),
        ({"rows": [{**ROW, "colour": 1}]}, "is no report of figure9"),
        ({"notes": [None]}, "is no report of figure9"),
        ({"paper": None}, "is no report of figure9"),
    ],
)
def test_a_report_that_cannot_be_used_is_named(tmp_path, parts, why):
    write_report(tmp_path, "table2")
    write_report(tmp_path, "figure9", **parts)
    reports = reports_in(tmp_path)
    assert [each.experiment.name for each in reports.found] == ["table2"]
    ((name, reason),) = reports.skipped
    assert name == "figure9"
    assert why in reason
    assert "\n" not in reason


def test_text_that_is_no_report(tmp_path):
    write_report(tmp_path, "table2")
    for name, content in (("figure3", b"{"), ("figure6", b"\xff\xfe"), ("figure7", b"[" * 9999)):
        folder = write_report(tmp_path, name)
        (folder / "report.json").write_bytes(content)
    skipped = dict(reports_in(tmp_path).skipped)
    assert set(skipped) == {"figure3", "figure6", "figure7"}
    assert all("is damaged" in why for why in skipped.values())


def test_nothing_to_show(tmp_path):
    with pytest.raises(PreimageError, match="no such folder"):
        reports_in(tmp_path / "nowhere")
    with pytest.raises(PreimageError, match="holds no report that can be shown: make some with"):
        reports_in(tmp_path)
    folder = write_report(tmp_path)
    (folder / "report.json").write_text("{}")
    with pytest.raises(PreimageError, match=r"left out:\nfigure9: its report\.json is no report"):
        reports_in(tmp_path)
