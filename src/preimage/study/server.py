"""The study as a web app: one page, its pictures, and votes that nobody else can cast.

| request | answer |
|---|---|
| `GET /`, `/study.css`, `/study.js` | the page |
| `GET /pictures/NAME.png` | a picture of the study |
| `GET /study` | `{"id", "questions"}` |
| `POST /subjects` | `{"token"}` of a new subject |
| `GET /question` | the subject's next: `{"number", "questions", "left", "right"}`, or `{"done"}` |
| `POST /votes` | `{"number", "choice"}` in, the next question out |

The last two want the token as `Authorization: Bearer TOKEN`. It stays in the page's own storage,
which pages of other origins can't read.
"""

from __future__ import annotations

import json
import logging
import socket
from collections.abc import Callable, Collection
from importlib import resources
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from preimage.errors import PreimageError
from preimage.files import printable, reason
from preimage.study.manifest import Study
from preimage.study.questions import questions_for
from preimage.study.votes import Ballots

LONGEST_VOTE = 1000
"""Bytes of a request's body."""

PAGE_FILES = {
    "/": ("page.html", "text/html"),
    "/study.css": ("study.css", "text/css"),
    "/study.js": ("study.js", "text/javascript"),
}
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; img-src 'self' data:; style-src 'self'; "
    "script-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def app_of(study: Study, hosts: Collection[str] = ()) -> Starlette:
    """The study's web app.

    Args:
        study: what is asked; votes go to a file in its folder.
        hosts: names under which it may be reached besides this machine's own and IP addresses.

    Raises:
        PreimageError: if a picture is missing, or the votes can't be kept in the study's folder.

    Example:
        >>> from preimage.study import load_study
        >>> app = app_of(load_study("study"))                                # doctest: +SKIP
    """
    _check_pictures(study)
    desk = _Desk(study, Ballots(study))
    routes = [
        *(Route(path, _page_file(*file)) for path, file in PAGE_FILES.items()),
        Route("/pictures/{name}.png", desk.picture),
        Route("/study", desk.about),
        Route("/subjects", desk.enrol, methods=["POST"]),
        Route("/question", desk.question),
        Route("/votes", desk.vote, methods=["POST"]),
    ]
    names = {"localhost", socket.gethostname().lower(), *(host.lower() for host in hosts)}
    return Starlette(
        routes=routes,
        middleware=[Middleware(_Guard, names=names)],
        exception_handlers={PreimageError: _not_kept},
    )


def _check_pictures(study: Study) -> None:
    """Refuse a study whose subjects would be asked about a picture that they can't see."""
    names = [picture for item in study.items for picture in item.pictures]
    files = [study.file_of(name) for name in names]
    lost = [file for file in files if file is not None and not file.is_file()]
    if lost:
        raise PreimageError(
            f"{printable(lost[0])}: no such picture; the study lacks {len(lost)} of {len(files)}: "
            "copy the whole folder, or make it again."
        )


def listen(host: str, port: int) -> socket.socket:
    """A socket to serve on; port 0 is any free one.

    Raises:
        PreimageError: if the address is none of this machine's, or is taken.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except (OSError, OverflowError) as error:
        why = reason(error) if isinstance(error, OSError) else str(error)
        why, _, _ = why.partition(" (while")  # Python names the address once more
        raise PreimageError(
            f"can't serve on {host}, port {port}: {why}. Choose another --host or --port."
        ) from error


def url_of(listening: socket.socket) -> str:
    """The address to give to people; a server on all addresses goes by the machine's name."""
    address, port = listening.getsockname()[:2]
    if ip_address(address).is_unspecified:
        address = socket.gethostname()
    return f"http://[{address}]:{port}/" if ":" in address else f"http://{address}:{port}/"


def run(app: Starlette, listening: socket.socket) -> None:
    """Serve an app until Ctrl-C, which ends it in good order and is then raised.

    Args:
        app: as `app_of` makes it.
        listening: where, as `listen` gives it.

    Raises:
        KeyboardInterrupt: on Ctrl-C.
    """
    # No access log and no addresses: what is kept of a subject is its votes.
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        lifespan="off",
        timeout_graceful_shutdown=2,
    )
    uvicorn.Server(config).run([listening])


class _Desk:
    """Where subjects get their questions and leave their votes."""

    def __init__(self, study: Study, ballots: Ballots) -> None:
        self.study = study
        self.ballots = ballots

    async def about(self, request: Request) -> Response:
        return JSONResponse({"id": self.study.digest, "questions": self.study.questions})

    async def picture(self, request: Request) -> Response:
        # Looked up in the manifest: no part of the address becomes part of a path.
        file = self.study.file_of(request.path_params["name"])
        if file is None or not file.is_file():
            return _refusal(404, "the study has no such picture")
        return FileResponse(file, headers={"Cache-Control": "private, max-age=86400, immutable"})

    async def enrol(self, request: Request) -> Response:
        return JSONResponse({"token": self.ballots.new_token()})

    async def question(self, request: Request) -> Response:
        subject = self._subject(request)
        if subject is None:
            return _refusal(403, "this token was not issued by this study")
        return await run_in_threadpool(self._next, subject)

    async def vote(self, request: Request) -> Response:
        subject = self._subject(request)
        if subject is None:
            return _refusal(403, "this token was not issued by this study")
        body = await _body(request)
        if body is None:
            return _refusal(413, f"a vote has at most {LONGEST_VOTE} bytes")
        vote = _vote(body)
        if vote is None:
            return _refusal(400, 'expected {"number": N, "choice": "left" or "right"}')
        return await run_in_threadpool(self._cast, subject, *vote)

    def _cast(self, subject: str, number: int, choice: str) -> Response:
        if not self.ballots.cast(subject, number, choice):
            return _refusal(409, "this is not the answer to the subject's next question")
        return self._next(subject)

    def _next(self, subject: str) -> Response:
        number, questions = self.ballots.count(subject), questions_for(self.study, subject)
        if number >= len(questions):
            return JSONResponse({"done": True, "questions": len(questions)})
        asked = questions[number]
        sides = {
            side: f"/pictures/{self.study.picture(asked.item, setting)}.png"
            for side, setting in (("left", asked.left), ("right", asked.right))
        }
        return JSONResponse({"number": number, "questions": len(questions), **sides})

    def _subject(self, request: Request) -> str | None:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        return self.ballots.subject_of(token) if scheme.lower() == "bearer" else None


class _Guard:
    """Refuse what comes by way of another site, and tell browsers what this one may do.

    A name that someone else points at this machine (DNS rebinding) fails the check of the host; a
    page elsewhere that posts here fails that of the origin.
    """

    def __init__(self, app: ASGIApp, names: Collection[str]) -> None:
        self.app = app
        self.names = names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        wrong = self._wrong(scope["method"], Headers(scope=scope))
        app = self.app if wrong is None else _refusal(403, wrong)

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(HEADERS)
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        await app(scope, receive, send_guarded)

    def _wrong(self, method: str, headers: Headers) -> str | None:
        host = headers.get("host", "")
        if not self._known(host):
            return "the study is not served under this name; its host can allow it with --name"
        if method not in ("GET", "HEAD") and not _same_origin(headers.get("origin", ""), host):
            return "votes are taken from the study's own page only"
        return None

    def _known(self, host: str) -> bool:
        try:
            name = urlsplit(f"//{host}").hostname or ""
            return name.lower() in self.names or bool(ip_address(name))
        except ValueError:
            return False


def _same_origin(origin: str, host: str) -> bool:
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    # Behind a proxy the page may be on https although this server is not.
    return parts.scheme in ("http", "https") and parts.netloc == host


def _page_file(name: str, media_type: str) -> Callable[[Request], Any]:
    content = resources.files("preimage.study").joinpath(name).read_bytes()

    async def endpoint(request: Request) -> Response:
        return Response(content, media_type=media_type)

    return endpoint


async def _body(request: Request) -> bytes | None:
    """The request's body, or None if it is longer than any vote."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > LONGEST_VOTE:
            return None
    return body


def _vote(body: bytes) -> tuple[int, str] | None:
    """Number and choice, or None if the body is no vote."""
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        return None
    if not isinstance(content, dict):
        return None
    number, choice = content.get("number"), content.get("choice")
    if type(number) is not int or choice not in ("left", "right"):
        return None
    return number, choice


async def _not_kept(request: Request, error: Exception) -> Response:
    """The disk is full, or the file damaged: the subject may try again, the host must know."""
    logging.getLogger("uvicorn.error").error("%s", error)
    return _refusal(503, "the votes can't be kept at the moment")


def _refusal(status: int, why: str) -> PlainTextResponse:
    return PlainTextResponse(why + "\n", status)
