from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from preimage.recipes import whole_layer
from preimage.recipes.maxima import Maxima
from toys import photo_file

STEM = ("--layer", "stem", "--iterations", 2)
"""The embedded network's first layer: the fastest there is to look into."""


@pytest.fixture
def photos(elsewhere: Path) -> Path:
    folder = elsewhere / "photos"
    folder.mkdir()
    photo_file(folder, 0)
    photo_file(folder, 1)
    return folder


def test_a_channel_becomes_a_result_folder(run, elsewhere):
    answer = run("maximize", *STEM, "--channels", 3, "--out", "out")
    assert answer.code == 0, answer.err
    assert "activation" in answer.out
    assert {p.name for p in (elsewhere / "out").iterdir()} == {
        "canvas.npy",
        "figure.png",
        "image.png",
        "result.json",
        "trace.csv",
    }
    record = json.loads((elsewhere / "out" / "result.json").read_text())
    assert record["task"] == "maximize"
    assert record["objective"]["words"] == "3"
    assert record["warnings"] == []
    with Image.open(elsewhere / "out" / "image.png") as image:
        assert image.size == (3, 3)


def test_the_folder_without_out_is_named_after_what_was_maximized(run, elsewhere):
    run("maximize", *STEM, "--channels", 3)
    assert (elsewhere / "preimage-out" / "3-efficientnet-lite0-stem" / "result.json").is_file()


def test_json_lists_activation_and_ratio_of_each_channel(run):
    results = run("maximize", *STEM, "--channels", "0:2,5", "--json").json["results"]
    assert [r["objective"]["terms"]["channel"] for r in results] == [0, 1, 5]
    for record in results:
        assert record["ratio"] == pytest.approx(record["activation"] / record["M"])


def test_a_class_needs_no_layer(run):
    record = run("maximize", "--label", "Goose", "--iterations", 1, "--json").json
    assert record["representation"]["layer"] == "logits"
    assert record["class"]["label"] == "goose"
    assert record["class"]["index"] == 99


def test_a_class_that_is_named_twice_is_searched_once(run):
    named = ("--label", "goose", "--label", "GOOSE", "--label", 99, "--label", "cheeseb")
    results = run("maximize", *named, "--iterations", 1, "--json").json["results"]
    assert [record["class"]["label"] for record in results] == ["goose", "cheeseburger"]


def test_a_sum_of_classes_is_one_of_class_scores(run):
    words = ("--objective", '"goose" - "black swan"', "--iterations", 1, "--json")
    record = run("maximize", *words).json
    assert record["representation"]["layer"] == "logits"
    assert record["objective"]["words"] == "99 - 100"


@pytest.mark.parametrize(
    ("words", "objective"),
    [
        (("--objective", "2 - 0.5*3@0,1"), "2 - 0.5*3@0,1"),
        (("--channels", "4", "--position", "7,8"), "4@7,8"),
    ],
)
def test_sums_and_positions(run, words, objective):
    assert run("maximize", *STEM, *words, "--json").json["objective"]["words"] == objective


def test_a_direction_from_a_file_and_its_rerun(run, elsewhere):
    np.save("direction.npy", np.arange(32) - 5.0)
    assert run("maximize", *STEM, "--direction", "direction.npy", "--out", "out").code == 0
    first = json.loads((elsewhere / "out" / "result.json").read_text())
    again = run("rerun", "out", "--json").json
    assert again["activation"] == first["activation"]
    assert first["objective"]["terms"] is None


@pytest.mark.parametrize("more", [(), ("--layout", "canvas"), ("--restarts", 2, "--diversity", 1)])
def test_results_are_rerun_from_their_folders(run, elsewhere, more):
    run("maximize", *STEM, "--channels", "1:3", "--seed", 4, "--out", "out", *more)
    folder = sorted(p for p in (elsewhere / "out").iterdir() if p.is_dir())[-1]
    first = json.loads((folder / "result.json").read_text())
    again = run("rerun", folder, "--json").json
    assert again["activation"] == pytest.approx(first["activation"], rel=1e-4)
    assert (again["seed"], again["restart"]) == (4, first["restart"])


def test_a_run_goes_on_where_it_was_left(run, fails, elsewhere):
    words = ("maximize", *STEM, "--resume", "--out", "out", "--channels")
    assert run(*words, "0:2").code == 0
    first = elsewhere / "out" / "0-restart0" / "result.json"
    before = first.stat().st_mtime_ns
    records = run(*words, "0:4", "--json").json["results"]
    assert [r["objective"]["terms"]["channel"] for r in records] == [0, 1, 2, 3]
    assert first.stat().st_mtime_ns == before
    assert (elsewhere / "out" / "figure.png").is_file()
    assert "made with other settings" in fails(1, *words, "0:4", "--iterations", 3)
    assert "made with other seed" in fails(1, *words, "0:4", "--seed", 3)


def test_a_run_does_not_take_another_search_for_its_own(run, fails, elsewhere):
    words = ("maximize", "--iterations", 2, "--resume", "--out", "out")
    assert run(*words, "--layer", "block01", "--channels", "0:2").code == 0
    other = (*words, "--layer", "block02", "--channels", "0:2")
    assert "made with other representation" in fails(1, *other)
    (kept,) = (elsewhere / "out").glob("0-restart0/result.json")
    record = json.loads(kept.read_text())
    kept.write_text(json.dumps(record | {"M": record["M"] * 1.01}))
    same = (*words, "--layer", "block01", "--channels", "0:2")
    assert "give the --photos it was made with" in fails(1, *same)
    kept.write_text(json.dumps(record | {"M": record["M"] * 1.00001}))
    assert run(*same).code == 0
    on_canvas = (*words, "--layer", "block01", "--channels", "0:2", "--layout", "canvas")
    assert "made with other layout" in fails(1, *on_canvas)


def test_objectives_whose_words_are_alike_are_each_searched(run, elsewhere):
    words = ("maximize", *STEM, "--resume", "--out", "out")
    for name, index in (("a", 3), ("b", 4)):
        np.save(f"{name}.npy", np.eye(32)[index])
        assert run(*words, "--direction", f"{name}.npy").code == 0
    found = [run(*words, "--direction", f"{name}.npy", "--json").json for name in "ab"]
    assert found[0]["activation"] != found[1]["activation"]
    for objective in ("12@3,4", "12 - 3*4", "12 - 3 - 4"):
        record = run(*words, "--objective", objective, "--json").json
        assert record["objective"]["words"] == objective
    assert len([path for path in (elsewhere / "out").iterdir() if path.is_dir()]) == 5


def test_a_run_that_ended_between_restarts_goes_on(run, elsewhere):
    words = ("maximize", *STEM, "--resume", "--out", "out", "--channels", 1, "--restarts", 2)
    assert run(*words).code == 0
    kept = (elsewhere / "out" / "1-restart0" / "result.json").read_bytes()
    shutil.rmtree(elsewhere / "out" / "1-restart1")
    assert len(run(*words, "--json").json["results"]) == 2
    assert (elsewhere / "out" / "1-restart0" / "result.json").read_bytes() == kept


def test_a_place_that_can_hold_no_results_is_refused_before_the_search(fails, monkeypatch):
    Path("out").touch()
    monkeypatch.setattr(whole_layer, "maximize", lambda *_, **__: pytest.fail("searched"))
    words = ("maximize", *STEM, "--resume", "--out", "out", "--channels", 1)
    assert "out can't be written" in fails(1, *words)


def test_an_interrupted_run_says_where_its_results_are(run, monkeypatch):
    def interrupted(*words: object, **options: object) -> None:
        raise KeyboardInterrupt

    words = ("maximize", *STEM, "--resume", "--out", "out", "--channels")
    assert run(*words, "0:2").code == 0
    monkeypatch.setattr(whole_layer, "maximize", interrupted)
    answer = run(*words, "0:4")
    assert answer.code == 130
    assert answer.err == (
        "preimage: interrupted; results that were found are in out: run it again to go on.\n"
    )


def test_the_time_on_a_shared_canvas_is_the_sum_of_shares(run):
    words = ("maximize", "--layer", "stem", "--channels", "0:3", "--layout", "canvas")
    for iterations, told in ((1, "1 iteration"), (2, "2 iterations")):
        answer = run(*words, "--iterations", iterations)
        assert re.search(rf"\nall together: [0-9.]+ s, {told} each, cpu\n", answer.out)


def test_going_on_needs_a_folder(fails):
    assert "--resume goes with --out" in fails(2, "maximize", *STEM, "--channels", 1, "--resume")


def test_a_film(run, elsewhere):
    run("maximize", *STEM, "--channels", "1:3", "--movie", "film.gif", "--out", "out")
    with Image.open(elsewhere / "film.gif") as film:
        assert film.n_frames == 3


def test_stats_are_measured_once_and_used(run, photos):
    words = ("--layer", "stem", "--photos", photos, "--json")
    measured = run("stats", *words).json
    assert (measured["images"], len(measured["largest"])) == (2, 32)
    assert run("stats", *words).json == measured
    record = run("maximize", *STEM, "--photos", photos, "--channels", 3, "--json").json
    assert record["M"] == pytest.approx(measured["largest"][3])


def test_what_is_no_photo_is_passed_over_and_named(run, photos):
    (photos / "broken.png").write_bytes((photos / "photo0.png").read_bytes()[:200])
    (photos / "notes.txt").write_text("no photo")
    named = "preimage: 2 files were passed over: broken.png (the image is damaged"
    for _ in ("measured", "read"):
        answer = run("stats", "--layer", "stem", "--photos", photos, "--json")
        assert (answer.code, answer.json["images"]) == (0, 2)
        assert [file["name"] for file in answer.json["unusable"]] == ["broken.png", "notes.txt"]
        assert answer.err.startswith(named)
    answer = run("maximize", *STEM, "--photos", photos, "--channels", 3, "--json")
    assert answer.code == 0
    assert answer.err.startswith(named)


def test_stats_as_words(run, photos):
    out = run("stats", "--layer", "stem", "--photos", photos).out
    assert "32 channels over 2 photos" in out
    (photos / "photo1.png").unlink()
    assert "32 channels over 1 photo\n" in run("stats", "--layer", "stem", "--photos", photos).out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--layer", "stem"), "expected one of --channels, --label, --objective and --direction"),
        (("--channels", "1", "--label", "goose"), "got 2"),
        (("--label", "goose", "--position", "1,1"), "--position goes with --channels"),
        (("--layer", "stem", "--channels", "40"), "channel 40 is out of range: this layer has cha"),
        (("--layer", "stem", "--channels", "5:5"), "expected channels as 12, 3,7,12 or 0:64"),
        (("--layer", "stem", "--channels", "x"), "expected channels as 12, 3,7,12 or 0:64"),
        (("--layer", "stem", "--channels", "1", "--position", "3"), "expected ROW,COLUMN"),
        (("--label", "gose"), "there is no class 'gose'; did you mean: goose"),
        (("--label", "snake"), "may be thunder snake (52)"),
        (("--label", "1000"), "channel 1000 is out of range"),
        (("--layer", "block05", "--label", "goose"), "this layer has no class scores"),
        (("--layer", "stem", "--objective", "1 -"), "can't be read"),
        (("--channels", "1"), "needs a --layer; known: "),
        (("--model", "hog", "--channels", "1"), "has no channels to maximize"),
        (("--label", "goose", "--preset", "olahh"), "did you mean: olah"),
        (("--label", "goose", "--diversity", "1"), "at least 2 restarts"),
        (("--label", "goose", "--layout", "canvas"), "needs cells that see a part of the image"),
    ],
)
def test_wrong_use(fails, words, message):
    assert message in fails(2, "maximize", "--iterations", 1, *words)


def test_folders_without_photos(fails, elsewhere):
    (elsewhere / "empty").mkdir()
    (elsewhere / "broken").mkdir()
    (elsewhere / "broken" / "x.png").write_bytes(b"no photo")
    for command in (("stats",), ("maximize", "--channels", 1)):
        words = (*command, "--layer", "stem", "--photos")
        assert "expected a folder of photos, got one without files" in fails(1, *words, "empty")
        assert "expected a folder of photos (no such file" in fails(1, *words, "nowhere")
        message = fails(1, *words, "broken")
        assert message.startswith("preimage: broken: expected photos; 1 file was passed over: x.pn")


def test_a_dead_channel_is_said(fails, elsewhere, monkeypatch):
    def dead(representation):
        return Maxima("x", "stem", None, "photos", 9, "", (0.0,) * 32)

    monkeypatch.setattr("preimage.recipes.maximization.known_maxima", dead)
    message = fails(1, "maximize", "--layer", "stem", "--channels", 1)
    assert "is dead: its largest activation over 9 photos is 0" in message


def test_all_dead_channels_are_said_before_a_long_run(run, fails, elsewhere, monkeypatch):
    largest = tuple(float(channel not in (9, 20, 21)) for channel in range(32))
    maxima = Maxima("x", "stem", None, "photos", 9, "", largest)
    monkeypatch.setattr(whole_layer, "known_maxima", lambda representation: maxima)
    words = ("maximize", *STEM, "--resume", "--out", "out", "--channels")
    message = fails(1, *words, "0:32")
    assert "9, 20, 21 of efficientnet-lite0:stem are dead" in message
    assert not (elsewhere / "out").exists()
    assert run(*words, "8,10").code == 0


def test_a_direction_of_another_layer(fails):
    np.save("direction.npy", np.ones(7))
    message = fails(1, "maximize", "--layer", "stem", "--direction", "direction.npy")
    assert "has shape [32]" in message


def test_a_table_has_no_columns_that_are_the_same_in_every_row(run):
    words = ("maximize", *STEM, "--channels", "0:3", "--layout", "canvas")
    table = run(*words).out.splitlines()
    assert table[2].split() == ["image", "activation"]
    assert table[4].startswith(" channel 0")
    assert table[4].rstrip().endswith(" x photos' largest")
    restarts = run(*words, "--restarts", 2).out.splitlines()
    assert restarts[2].split() == ["image", "restart", "activation", "energy"]


def test_the_folder_without_out_has_single_dashes_inside_alone(run, elsewhere):
    run("maximize", *STEM, "--objective", "-3 - 0.5*4")
    run("maximize", *STEM, "--objective", "3 - 0.5*4")
    names = sorted(path.name for path in (elsewhere / "preimage-out").iterdir())
    assert names == [f"3-0.5-4-efficientnet-lite0-stem{end}" for end in ("", "-2")]
