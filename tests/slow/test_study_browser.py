"""The study in a real browser, against a real server that is killed (`make test-slow`)."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from preimage.study import Study, cast_votes, make_study
from preimage.study.questions import questions_for
from toy_study import setting_folders

pytestmark = pytest.mark.slow

playwright = pytest.importorskip("playwright.sync_api")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
QUESTIONS = 10
PREIMAGE = (sys.executable, "-c", "from preimage.cli.main import main; raise SystemExit(main())")


class Server:
    """`preimage study serve` as a process of its own, always on the same port."""

    def __init__(self, study: Study) -> None:
        self.study, self.port, self.url = study, 0, ""
        self.start()

    def start(self) -> None:
        words = (*PREIMAGE, "study", "serve", self.study.folder, "--port", self.port, "--json")
        self.process = subprocess.Popen(
            [str(word) for word in words], stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        lines = iter(self.process.stdout.readline, "}\n")
        self.url = json.loads("".join(lines) + "}")["url"]
        self.port = int(self.url.rstrip("/").rpartition(":")[2])

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    if CHROMIUM is None:
        pytest.skip("no Chromium here")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    folders = setting_folders(tmp_path / "runs")
    running = Server(make_study(tmp_path / "study", folders, questions=QUESTIONS).study)
    yield running
    running.kill()


def expect_question(page: Any, number: int) -> None:
    """Wait until the question with this number, from 1, is on the screen and both pictures are."""
    playwright.expect(page.locator("#place")).to_have_text(f"{number} of {QUESTIONS}")
    playwright.expect(page.locator("#pair")).not_to_have_class("pair busy")
    for side in ("left", "right"):
        assert page.locator(f"#{side}-picture").evaluate("p => p.complete && p.naturalWidth") > 0


def begin(page: Any, url: str) -> None:
    page.goto(url)
    page.locator("#start").click()
    expect_question(page, 1)


def test_ten_votes_a_reload_and_a_killed_server(chromium, server: Server, tmp_path: Path):
    page = chromium.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    begin(page, server.url)
    for number, key in enumerate(["ArrowLeft", "ArrowRight", "ArrowRight"], start=1):
        page.keyboard.press(key)
        expect_question(page, number + 1)

    shown = page.locator("#left-picture").get_attribute("src")
    page.reload()
    expect_question(page, 4)
    assert page.locator("#left-picture").get_attribute("src") == shown
    page.locator("#left").click()
    expect_question(page, 5)
    page.locator("#right").click()
    expect_question(page, 6)

    server.kill()
    assert len(cast_votes(server.study)) == 5
    page.keyboard.press("ArrowLeft")
    playwright.expect(page.locator("#trouble")).to_contain_text("could not be saved")
    server.start()
    page.keyboard.press("ArrowLeft")
    expect_question(page, 7)
    playwright.expect(page.locator("#trouble")).to_be_hidden()
    server.kill()
    server.start()
    for number in (7, 8, 9):
        page.keyboard.press("ArrowRight")
        expect_question(page, number + 1)
    page.keyboard.press("ArrowLeft")
    playwright.expect(page.locator("#done")).to_be_visible()
    page.keyboard.press("ArrowLeft")
    page.reload()
    playwright.expect(page.locator("#done")).to_be_visible()
    assert errors == []

    votes = cast_votes(server.study)
    sides = "lrrlrlrrrl"
    asked = questions_for(server.study, votes[0].subject)
    assert {vote.subject for vote in votes} == {votes[0].subject}
    assert [(vote.number, vote.question) for vote in votes] == list(enumerate(asked))
    chosen = [q.left if side == "l" else q.right for q, side in zip(asked, sides, strict=True)]
    assert [vote.choice for vote in votes] == chosen

    words = [
        *PREIMAGE,
        "study",
        "votes",
        server.study.folder,
        "--out",
        tmp_path / "f.png",
        "--json",
    ]
    told = subprocess.run([str(w) for w in words], check=True, capture_output=True, text=True)
    counted = json.loads(told.stdout)
    assert (counted["votes"], counted["counted"]) == (10, 5)
    assert sum(row["won"] for row in counted["rows"]) == 5
    assert Image.open(tmp_path / "f.png").width > 500


def test_touch_on_a_phone_in_the_dark(chromium, server: Server):
    context = chromium.new_context(
        viewport={"width": 360, "height": 640}, has_touch=True, is_mobile=True, color_scheme="dark"
    )
    page = context.new_page()
    page.goto(server.url)
    page.locator("#start").tap()
    expect_question(page, 1)
    sizes = "[document.documentElement.scrollWidth, document.documentElement.scrollHeight]"
    assert page.evaluate(sizes) == [360, 640]  # both pictures on one screen, nothing to scroll
    boxes = [page.locator(f"#{side}").bounding_box() for side in ("left", "right")]
    assert boxes[1]["y"] > boxes[0]["y"] + boxes[0]["height"]
    assert min(box["width"] for box in boxes) > 200
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert sum(int(n) for n in background.strip("rgb()").split(",")) < 100
    for number, side in enumerate(("left", "right", "right"), start=1):
        page.locator(f"#{side}").tap()
        expect_question(page, number + 1)
    (first, second, third) = cast_votes(server.study)
    assert (first.choice, second.choice) == (first.question.left, second.question.right)
    assert third.choice == third.question.right
    context.close()


def test_two_tabs_and_a_held_key_do_not_double_a_vote(chromium, server: Server):
    context = chromium.new_context()
    first = context.new_page()
    begin(first, server.url)
    first.keyboard.press("ArrowLeft")
    expect_question(first, 2)
    second = context.new_page()
    second.goto(server.url)
    expect_question(second, 2)
    first.keyboard.press("ArrowLeft")
    expect_question(first, 3)
    second.keyboard.press("ArrowRight")  # the question was answered in the other tab
    expect_question(second, 3)
    assert [vote.number for vote in cast_votes(server.study)] == [0, 1]
    for _ in range(5):
        second.keyboard.down("ArrowLeft")  # repeats while it is held
    expect_question(second, 4)
    second.keyboard.up("ArrowLeft")
    assert [vote.number for vote in cast_votes(server.study)] == [0, 1, 2]
    context.close()


def test_another_sites_page_can_not_vote(chromium, server: Server, tmp_path: Path):
    context = chromium.new_context()
    page = context.new_page()
    begin(page, server.url)
    token = page.evaluate("Object.values(localStorage)[0]")
    other = context.new_page()
    (tmp_path / "evil.html").write_text("<p>another origin</p>")
    other.goto((tmp_path / "evil.html").as_uri())
    attack = """async ([url, token, mode]) => {
      const headers = mode === "cors" ? {Authorization: `Bearer ${token}`} : {};
      try {
        const body = JSON.stringify({number: 0, choice: "left"});
        const answer = await fetch(url + "votes", {method: "POST", headers, body, mode});
        return answer.type + answer.status;
      } catch (error) { return "stopped"; }
    }"""
    assert other.evaluate(attack, [server.url, token, "cors"]) == "stopped"
    assert other.evaluate(attack, [server.url, token, "no-cors"]) in ("opaque0", "stopped")
    assert cast_votes(server.study) == []
    context.close()


def test_a_stranger_token_is_replaced(chromium, server: Server):
    context = chromium.new_context()
    page = context.new_page()
    begin(page, server.url)
    page.keyboard.press("ArrowLeft")
    expect_question(page, 2)
    forge = "for (const key of Object.keys(localStorage)) localStorage[key] = '<b>x</b>.0'"
    page.evaluate(forge)
    page.reload()
    playwright.expect(page.locator("#welcome")).to_be_visible()
    page.locator("#start").click()
    expect_question(page, 1)
    assert page.locator("b", has_text="x").count() == 0
    context.close()


def test_ctrl_c_ends_the_server_in_good_order(server: Server):
    server.process.send_signal(signal.SIGINT)
    assert server.process.wait(20) == 0
