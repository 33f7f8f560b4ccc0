from __future__ import annotations

from pathlib import Path

from toy_reports import write_report


def test_a_page_and_what_was_left_out(run, elsewhere):
    write_report(elsewhere / "out", "figure9")
    write_report(elsewhere / "out", "figure3", settings={"versions": {"preimage": "9.9"}})
    answer = run("report", "out")
    assert answer.code == 0
    assert "preimage: left out figure3: made by preimage 9.9, and this is" in answer.err
    assert "shown           figure9" in answer.out
    assert "verdicts        1 agrees" in answer.out
    assert answer.out.endswith("Open out/report/index.html in a browser.\n")
    assert (
        "figure3</b> is left out: made by preimage 9.9" in Path("out/report/index.html").read_text()
    )
    told = run("report", "out", "--out", "page", "--json").json
    assert told["page"] == "page/index.html"
    assert told["experiments"] == ["figure9"]
    assert told["verdicts"] == {"agrees": 1, "better": 0, "differs": 0, "not measured": 0}
    assert told["left_out"][0]["name"] == "figure3"


def test_the_default_is_where_reproduce_writes(run, elsewhere):
    write_report(elsewhere / "preimage-out" / "reproduce", "figure9")
    assert run("report").code == 0
    assert Path("preimage-out/reproduce/report/index.html").is_file()


def test_wrong_use(fails, elsewhere):
    assert "nowhere: no such folder" in fails(1, "report", "nowhere")
    Path("empty").mkdir()
    message = fails(1, "report", "empty")
    assert "empty holds no report that can be shown: make some with" in message
    assert list(Path("empty").iterdir()) == []
    assert "give --out DIR too" in fails(2, "report", "empty", "--overwrite")
    write_report(elsewhere / "out")
    assert "out is asked about: choose another" in fails(1, "report", "out", "--out", "out")
