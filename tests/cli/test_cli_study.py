"""`preimage study make`, `serve` and `votes`."""

from __future__ import annotations

import socket
import sqlite3
from pathlib import Path

import pytest
from PIL import Image

from preimage.study import Ballots, load_study
from preimage.study.questions import questions_for
from toy_study import setting_folders, write_result


@pytest.fixture
def runs(elsewhere: Path) -> list[Path]:
    return setting_folders(elsewhere / "runs")


def cast(folder: str, subject: str, votes: int) -> None:
    ballots = Ballots(load_study(folder))
    for number in range(votes):
        assert ballots.cast(subject, number, "left")


def test_make_says_what_is_compared_and_what_to_do_next(run, runs):
    answer = run("study", "make", *runs, "--out", "study")
    assert answer.code == 0
    assert answer.err == ""
    assert "settings        paper, best, quick" in answer.out
    assert "2 layers, 3 photos" in answer.out
    assert "11 for each subject" in answer.out
    assert answer.out.endswith("preimage study serve study\n")


def test_make_as_json_names_all_that_was_left_out(run, runs):
    for number in range(1, 13):
        write_result(runs[0] / f"again{number}", "relu1", 7, "cat.jpg", 40, restart=number)
    answer = run("study", "make", *runs, "--out", "study", "--seed", 5, "--json")
    assert answer.code == 0
    assert answer.json["settings"] == ["paper", "best", "quick"]
    assert (answer.json["seed"], answer.json["questions"]) == (5, 11)
    assert len(answer.json["items"]) == 6
    assert len(answer.json["left_out"]) == 12
    assert answer.err.count("preimage: left out ") == 10
    assert "2 more left out" in answer.err
    assert load_study("study").seed == 5


def test_votes_counts_by_layer_and_by_subject(run, runs):
    run("study", "make", *runs, "--out", "study")
    cast("study", "00000000000000aa", 11)
    cast("study", "00000000000000bb", 3)
    asked = questions_for(load_study("study"), "00000000000000aa")[5:]
    answer = run("study", "votes", "study", "--json")
    told = answer.json
    assert (answer.code, told["votes"], told["counted"]) == (0, 14, 6)
    for row in told["rows"]:
        setting = told["settings"].index(row["setting"])
        own = [q for q in asked if load_study("study").items[q.item].layer == row["layer"]]
        assert row["won"] == sum(q.left == setting for q in own)
        assert row["shown"] == sum(setting in (q.left, q.right) for q in own)
        assert row["fraction"] == (row["won"] / row["shown"] if row["shown"] else None)
    assert [s["subject"] for s in told["subjects"]] == ["00000000000000aa", "00000000000000bb"]
    assert [s["counted"] for s in told["subjects"]] == [6, 0]
    assert told["subjects"][0]["left"] == 1.0
    shown = run("study", "votes", "study").out
    assert "14 votes of 2 subjects; 6 counted: all but" in shown
    assert "00000000000000bb" in shown


def test_votes_draws_a_figure(run, fails, runs):
    run("study", "make", *runs, "--out", "study")
    assert "none of 0 votes counts yet" in fails(1, "study", "votes", "study", "--out", "f.png")
    assert not Path("f.png").exists()
    cast("study", "00000000000000aa", 11)
    assert run("study", "votes", "study", "--out", "new/f.png").out.endswith("figure: new/f.png\n")
    assert Image.open("new/f.png").format == "PNG"
    assert "--overwrite" in fails(1, "study", "votes", "study", "--out", "new/f.png")
    assert run("study", "votes", "study", "--out", "new/f.png", "--overwrite").code == 0


def test_votes_of_a_study_that_was_never_served(run, runs):
    run("study", "make", *runs, "--out", "study")
    assert run("study", "votes", "study").out.startswith("0 votes of 0 subjects; 0 counted")


def test_a_subject_planted_in_the_file_reaches_no_terminal_as_it_is(run, runs):
    run("study", "make", *runs, "--out", "study")
    subject = "\x1b[31m<script>[red]"
    cast("study", subject, 6)
    shown = run("study", "votes", "study").out
    assert "\x1b" not in shown
    assert "\\x1b[31m<script>[red]" in shown
    assert run("study", "votes", "study", "--json").json["subjects"][0]["subject"] == subject


def test_bad_folders(run, fails, runs):
    assert "two or more folders to compare, got 0" in fails(2, "study", "make", "--out", "study")
    assert "got 1" in fails(2, "study", "make", runs[0], "--out", "study")
    assert "no such folder" in fails(1, "study", "make", *runs, "none", "--out", "study")
    Path("empty").mkdir()
    assert "empty 0" in fails(1, "study", "make", *runs, "empty", "--out", "study")
    assert "--out" in fails(2, "study", "make", *runs)
    for command in ("serve", "votes"):
        assert "preimage study make" in fails(1, "study", command, "empty")
        assert "preimage study make" in fails(1, "study", command, "none")
    assert "--questions 2: expected 6 to 18" in fails(
        2, "study", "make", *runs, "--out", "study", "--questions", 2
    )
    assert not Path("study").exists()


def test_a_study_is_not_overwritten(run, fails, runs):
    run("study", "make", *runs, "--out", "study")
    assert "--overwrite" in fails(1, "study", "make", *runs, "--out", "study")


def test_a_figure_is_a_png(fails):
    assert ".png was expected" in fails(2, "study", "votes", "study", "--out", "f.svg")
    assert "--out" in fails(2, "study", "votes", "study", "--overwrite")


def test_votes_of_another_study_and_a_damaged_file(run, fails, runs):
    run("study", "make", *runs, "--out", "study")
    cast("study", "00000000000000aa", 6)
    run("study", "make", *runs, "--out", "other", "--seed", 1)
    Path("study/votes.sqlite").rename("other/votes.sqlite")
    assert "another study" in fails(1, "study", "votes", "other")
    Path("study/votes.sqlite").write_bytes(b"x" * 999)
    assert "votes.sqlite" in fails(1, "study", "votes", "study")


def test_a_file_with_tables_of_its_own(run, fails, runs):
    run("study", "make", *runs, "--out", "study")
    connection = sqlite3.connect("study/votes.sqlite")
    connection.execute("CREATE TABLE votes (something)")
    connection.commit()
    connection.close()
    assert "votes.sqlite" in fails(1, "study", "votes", "study")


def test_serve_names_a_port_that_is_taken(run, fails, runs):
    run("study", "make", *runs, "--out", "study")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        message = fails(1, "study", "serve", "study", "--port", port)
    assert f"can't serve on 127.0.0.1, port {port}: address already in use" in message
    assert "--port" in fails(2, "study", "serve", "study", "--port", 70000)
    assert "Choose another --host" in fails(1, "study", "serve", "study", "--host", "192.0.2.1")


def test_serve_says_where_and_ends_with_ctrl_c(run, runs, monkeypatch):
    run("study", "make", *runs, "--out", "study")

    def interrupted(app: object, listening: socket.socket) -> None:
        listening.close()
        raise KeyboardInterrupt

    monkeypatch.setattr("preimage.study.server.run", interrupted)
    answer = run("study", "serve", "study", "--port", 0, "--json")
    assert (answer.code, answer.err) == (0, "")
    assert answer.json["url"].startswith("http://127.0.0.1:")
    assert answer.json["questions"] == 11


def test_a_study_without_all_its_pictures_is_not_served(run, fails, runs):
    run("study", "make", *runs, "--out", "study")
    study = load_study("study")
    study.file_of(study.picture(1, 0)).unlink()
    message = fails(1, "study", "serve", "study", "--port", 0)
    assert "the study lacks 1 of 18" in message
