"""`preimage compare` on the embedded network, as small as it can be."""

from __future__ import annotations

from pathlib import Path

import pytest

MODEL = "efficientnet-lite0"


@pytest.fixture
def words(real_photos):
    return (
        "compare", "--models", MODEL, "--photos", real_photos, "--count", 1, "--out", "out",
        "--iterations", 2,
    )  # fmt: skip


def test_curves_strips_and_rows(run, words):
    answer = run(*words, "--layers-per-model", 2, "--json")
    assert answer.code == 0
    rows = answer.json["rows"]
    assert [row["layer"] for row in rows] == ["stem", "block16"]
    assert [row["depth"] for row in rows] == pytest.approx([1 / 21, 17 / 21])
    assert {row["model"] for row in rows} == {MODEL}
    assert all(0 <= row["similarity"] <= 1 for row in rows)
    assert all(row["class_consistency"] in (0, 1) for row in rows)
    assert answer.json["settings"]["layers"] == {MODEL: ["stem", "block16"]}
    assert {path.name for path in Path("out/compare").iterdir()} == {
        "report.json", "rows.csv", "cases.csv", "compare.png", "compare.svg",
    }  # fmt: skip
    assert len([p for p in Path("out/cases").iterdir() if p.name[0] != "."]) == 2
    assert "1 photo in place of 10" in answer.err
    again = run(*words, "--layers-per-model", 2, "--json")
    assert again.json == answer.json  # times too: the cases were read


def test_wrong_use(fails, words, real_photos):
    assert "'alexnt'" in fails(2, *words, "--models", f"{MODEL},alexnt")
    message = fails(2, *words, "--models", f"{MODEL},{MODEL}")
    assert f"{MODEL} is named twice" in message
    assert "alexnet.torchvision is named twice" in fails(
        2, *words, "--models", "alexnet,alexnet.torchvision"
    )
    assert "hog has no layers" in fails(2, *words, "--models", "hog")
    assert "one comma between them" in fails(2, *words, "--models", "alexnet,,hog")
    assert "--layers-per-model" in fails(2, *words, "--layers-per-model", 1)
    assert "compare needs a folder of photos: give --photos DIR" in fails(2, "compare")
    message = fails(1, *words, "--count", 7)
    assert f"{real_photos}: expected 7 photos, found 6" in message
