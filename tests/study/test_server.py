"""The web app: questions, votes, resuming, and what it refuses."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from typing import Any

import pytest

from preimage.errors import PreimageError
from preimage.study import Ballots, Study
from preimage.study.questions import questions_for
from preimage.study.server import PAGE_FILES, app_of, listen, url_of

testclient = pytest.importorskip("starlette.testclient")

ADDRESS = "http://127.0.0.1:8000"


@pytest.fixture
def client(study: Study) -> Any:
    return testclient.TestClient(app_of(study), base_url=ADDRESS)


def enrolled(client: Any) -> dict[str, str]:
    """Headers of a new subject."""
    answer = client.post("/subjects", headers={"Origin": ADDRESS})
    assert answer.status_code == 200
    return {"Origin": ADDRESS, "Authorization": f"Bearer {answer.json()['token']}"}


def id_of(headers: dict[str, str]) -> str:
    return headers["Authorization"].split()[1].partition(".")[0]


def vote(client: Any, headers: dict[str, str], number: object, choice: object = "left") -> Any:
    return client.post("/votes", headers=headers, json={"number": number, "choice": choice})


def test_a_subject_sees_its_questions_in_turn(client, study: Study):
    headers = enrolled(client)
    asked = questions_for(study, id_of(headers))
    shown = client.get("/question", headers=headers).json()
    for number, question in enumerate(asked):
        assert shown == {
            "number": number,
            "questions": 11,
            "left": f"/pictures/{study.picture(question.item, question.left)}.png",
            "right": f"/pictures/{study.picture(question.item, question.right)}.png",
        }
        answer = vote(client, headers, number, "right")
        assert answer.status_code == 200
        shown = answer.json()
    assert shown == {"done": True, "questions": 11}
    assert client.get("/question", headers=headers).json() == shown
    votes = Ballots(study).all()
    assert [v.question for v in votes] == list(asked)
    assert [v.choice for v in votes] == [question.right for question in asked]


def test_a_reload_goes_on_where_it_was_also_after_a_restart(client, study: Study):
    headers = enrolled(client)
    for number in range(3):
        vote(client, headers, number)
    before = client.get("/question", headers=headers).json()
    assert before["number"] == 3
    again = testclient.TestClient(app_of(study), base_url=ADDRESS)
    assert again.get("/question", headers=headers).json() == before


def test_looking_leaves_nothing_behind(client, study: Study):
    for _ in range(3):
        client.get("/question", headers=enrolled(client))
    assert Ballots(study).all() == []


def test_a_repeated_vote_is_refused_and_counted_once(client, study: Study):
    headers = enrolled(client)
    assert vote(client, headers, 0).status_code == 200
    assert vote(client, headers, 0).status_code == 409
    assert vote(client, headers, 0, "right").status_code == 409
    assert vote(client, headers, 5).status_code == 409
    assert len(Ballots(study).all()) == 1


def test_a_vote_after_the_last_is_refused(client, study: Study):
    headers = enrolled(client)
    for number in range(study.questions):
        vote(client, headers, number)
    assert vote(client, headers, study.questions).status_code == 409


MARKUP = "<script>alert(1)</script>"


@pytest.mark.parametrize(
    "authorization",
    [
        None, "", "Bearer", "Bearer ", "Bearer x", f"Bearer {MARKUP}.{'0' * 64}",
        f"Bearer 0123456789abcdef.{'0' * 64}", "Basic {token}", "Bearer {id}", "Bearer {token}0",
        "Bearer 0000000000000000.{seal}", "Bearer {id}'.{seal}",
    ],
)  # fmt: skip
def test_forged_subjects_are_refused(client, study: Study, authorization: str | None):
    token = enrolled(client)["Authorization"].split()[1]
    subject, _, seal = token.partition(".")
    headers = {"Origin": ADDRESS}
    if authorization is not None:
        words = authorization.replace("{token}", token).replace("{id}", subject)
        headers["Authorization"] = words.replace("{seal}", seal)
    for answer in (vote(client, headers, 0), client.get("/question", headers=headers)):
        assert answer.status_code == 403
        assert "script" not in answer.text
        assert answer.headers["content-type"].startswith("text/plain")
        assert answer.headers["x-content-type-options"] == "nosniff"
    assert Ballots(study).all() == []


@pytest.mark.parametrize(
    "origin",
    [
        None, "", "null", "http://evil.example", "http://127.0.0.1:8001", "http://127.0.0.1",
        "http://127.0.0.1:8000.evil.example", "ftp://127.0.0.1:8000", "http://[", "127.0.0.1:8000",
    ],
)  # fmt: skip
def test_votes_from_another_origin_are_refused(client, study: Study, origin: str | None):
    headers = enrolled(client)
    del headers["Origin"]
    if origin is not None:
        headers["Origin"] = origin
    assert vote(client, headers, 0).status_code == 403
    assert client.post("/subjects", headers={"Origin": origin or ""}).status_code == 403
    assert Ballots(study).all() == []


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:8000", 200), ("localhost:8000", 200), ("LOCALHOST", 200), ("[::1]:80", 200),
        ("192.168.1.7:8000", 200), ("study.example:443", 200), ("evil.example", 403), ("", 403),
        ("evil.example:8000", 403), ("127.0.0.1.evil.example", 403), ("[", 403),
    ],
)  # fmt: skip
def test_only_this_machines_names_are_answered(study: Study, host: str, status: int):
    client = testclient.TestClient(app_of(study, ["Study.example"]), base_url=ADDRESS)
    for path in ("/", "/study"):
        assert client.get(path, headers={"Host": host}).status_code == status


def test_a_name_that_points_here_can_not_vote(client, study: Study):
    headers = enrolled(client) | {"Host": "evil.example", "Origin": "http://evil.example"}
    assert vote(client, headers, 0).status_code == 403


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"[]", b"null", b'"left"', b"[" * 900, b"\xff", b'{"number": 0}',
        b'{"number": "0", "choice": "left"}', b'{"number": true, "choice": "left"}',
        b'{"number": 0.0, "choice": "left"}', b'{"number": 0, "choice": 1}',
        b'{"number": 0, "choice": "<b>"}', b'{"number": 0, "choice": ["left"]}',
    ],
)  # fmt: skip
def test_what_is_no_vote_is_refused(client, study: Study, body: bytes):
    answer = client.post("/votes", headers=enrolled(client), content=body)
    assert answer.status_code == 400
    assert Ballots(study).all() == []


def test_numbers_no_database_could_hold(client):
    headers = enrolled(client)
    assert vote(client, headers, 10**30).status_code == 409
    assert vote(client, headers, -1).status_code == 409


def test_a_body_longer_than_any_vote_is_not_read(client):
    text = json.dumps({"number": 0, "choice": "left", "more": "x" * 5000})
    assert client.post("/votes", headers=enrolled(client), content=text).status_code == 413


def test_votes_that_can_not_be_kept_are_not_acknowledged(client, study: Study, caplog):
    headers = enrolled(client)
    (study.folder / "votes.sqlite").write_bytes(b"x" * 999)
    answer = vote(client, headers, 0)
    assert answer.status_code == 503
    assert "can't be kept" in answer.text
    assert "votes.sqlite" in caplog.text


def test_pictures_are_served_by_name(client, study: Study):
    for name in study.items[0].pictures:
        answer = client.get(f"/pictures/{name}.png")
        assert answer.headers["content-type"] == "image/png"
        file = study.file_of(name)
        assert file is not None
        assert answer.content == file.read_bytes()


@pytest.mark.parametrize(
    "name",
    [
        "0" * 32 + ".png", "../study.json", "..%2Fstudy.json", "..%2f..%2fsecret.png",
        "%2e%2e%2fvotes.sqlite", "..%5Cstudy.json", "%00.png", ".png", "", "/etc/passwd",
        "....//study.json",
    ],
)  # fmt: skip
def test_nothing_else_is_served(client, study: Study, name: str):
    (study.folder.parent / "secret.png").write_bytes(b"secret")
    answer = client.get(f"/pictures/{name}")
    assert answer.status_code == 404
    for path in ("/study.json", "/votes.sqlite", "/votes", "/subjects"):
        assert client.get(path).status_code in (404, 405)


class Sources(HTMLParser):
    """Addresses a page asks for, and anything a strict content policy would stop."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.inline: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.addresses += [v for k, v in attrs if k in ("src", "href") and v and v != "data:,"]
        self.inline += [k for k in given if k.startswith("on") or k == "style"]
        self.inline += [tag] if tag == "style" or (tag == "script" and "src" not in given) else []


def test_the_page_needs_only_its_own_files(client):
    answer = client.get("/")
    assert answer.headers["content-type"].startswith("text/html")
    page = Sources()
    page.feed(answer.text)
    assert set(page.addresses) == set(PAGE_FILES) - {"/"}
    assert page.inline == []
    for address in page.addresses:
        assert client.get(address).status_code == 200
    assert "innerHTML" not in client.get("/study.js").text
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["cache-control"] == "no-store"
    assert "set-cookie" not in answer.headers


def test_listening():
    first = listen("127.0.0.1", 0)
    port = first.getsockname()[1]
    assert url_of(first) == f"http://127.0.0.1:{port}/"
    with pytest.raises(PreimageError, match=rf"127.0.0.1, port {port}: address already in use\. "):
        listen("127.0.0.1", port)
    first.close()
    everywhere = listen("0.0.0.0", 0)
    assert "0.0.0.0" not in url_of(everywhere)
    everywhere.close()
    with pytest.raises(PreimageError, match="Choose another --host"):
        listen("192.0.2.1", 0)
