"""The routes of `aigc serve`. Each error is {"detail": one line}."""

import logging
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse, RedirectResponse
from starlette.exceptions import HTTPException as NoRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from aigc.core.errors import AigcError, is_out_of_memory
from aigc.core.version import VERSION
from aigc.model.card import CARD_SHA256
from aigc.serving import body, forms
from aigc.serving.drawer import Drawer
from aigc.serving.metrics import Counts
from aigc.serving.orders import shown
from aigc.serving.waiting import Full, Queue

PAGE = Path(__file__).with_name("docs.html")
MOST_BYTES = 64 << 10  # of a body
MOST_BYTES_WITH_PICTURES = 64 << 20
SAID = "aigc.said"  # of a request's scope: what its line in the log says beside path and status
log = logging.getLogger("aigc.serving")


def create(drawer: Drawer, queue: Queue, most: int) -> FastAPI:
    """The application. most: pictures of one order."""
    method, card, counts = drawer.method, drawer.card, Counts(drawer, queue)
    kind = body.kind_of(method, card, most)
    parse = body.parser(kind, method, card, most)
    most_bytes = MOST_BYTES_WITH_PICTURES if method.translates else MOST_BYTES
    app = FastAPI(title=f"aigc serve: {card.method}", version=VERSION, docs_url=None, redoc_url=None,
                  description="Pictures of a trained model, as PNG files that name it: those of "
                              "`aigc generate`, byte for byte.")
    app.add_middleware(Noted, counts=counts)
    app.add_exception_handler(NoRoute, _refused)
    app.add_exception_handler(AigcError, _bad)

    @app.post("/generate", summary="pictures", response_class=Response, responses=_responses(),
              openapi_extra={"requestBody": {"content": {"application/json": {"schema": _schema(kind)}}}})
    async def generate(request: Request) -> Response:
        form = forms.wanted(request.headers.get("accept", ""))
        if form is None:
            raise HTTPException(406, f"answers are {forms.JSON}, {forms.PNG} or {forms.ZIP}")
        order = parse(await _read(request, most_bytes))
        request.scope[SAID] = f"n={shown(order.count)} seed={shown(order.seed)} "
        drawer.check(order, most)  # a bad request does not wait
        if form == forms.PNG and order.count != 1:
            raise HTTPException(406, f"{forms.PNG} is one picture, {order.count} were asked for; "
                                     f"accept {forms.JSON} or {forms.ZIP}")
        answer = await _result(queue, lambda: forms.content(form, card, drawer.files(order, most)))
        counts.pictures += order.count
        return Response(answer, media_type=form)

    @app.get("/healthz", summary="whether it answers", response_class=PlainTextResponse)
    async def healthz() -> str:
        return "ok\n"

    @app.get("/model", summary="the model's card, and what can be asked of it")
    async def model() -> dict[str, Any]:
        can = {"translates": method.translates, "class": method.conditional or method.translates,
               "settings": {name: card.config[name] for name in method.sampling_settings}, "most": most,
               "arithmetic": drawer.switches.arithmetic}
        return {**asdict(card), CARD_SHA256: card.sha256, "serves": can}

    @app.get("/metrics", summary="metrics in Prometheus' text format", response_class=PlainTextResponse)
    async def metrics() -> Response:
        try:
            return PlainTextResponse(counts.text(), media_type="text/plain; version=0.0.4; charset=utf-8")
        except ImportError:
            raise HTTPException(501, "/metrics needs prometheus-client; pip install -e .[serve]") from None

    @app.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        return HTMLResponse(PAGE.read_text(encoding="utf-8"))

    @app.get("/", include_in_schema=False)
    async def root() -> RedirectResponse:
        return RedirectResponse("docs")

    return app


async def _result(queue: Queue, work: Callable[[], bytes]) -> bytes:
    try:
        return await queue.result(work)
    except Full as full:
        raise HTTPException(429, f"{queue.most} requests are waiting, which is the most; try again in "
                                 f"{full.seconds} s", {"Retry-After": str(full.seconds)}) from None
    except (RuntimeError, MemoryError) as error:
        if isinstance(error, RuntimeError) and not is_out_of_memory(error):
            raise
        raise HTTPException(503, "out of memory; ask for fewer pictures at once") from None


async def _read(request: Request, most: int) -> bytes:
    content = bytearray()
    async for chunk in request.stream():
        content += chunk
        if len(content) > most:
            raise HTTPException(413, f"the body is longer than {most} bytes")
    return bytes(content)


def _bad(_: Request, error: Exception) -> Response:
    return JSONResponse({"detail": " ".join(str(error).split())}, 422)  # one line, whatever was sent


def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, NoRoute)
    detail = "no such path; /docs lists those that there are" if error.status_code == 404 else error.detail
    return JSONResponse({"detail": detail}, error.status_code, error.headers)


def _schema(kind: Any) -> dict[str, Any]:
    schema: dict[str, Any] = kind.model_json_schema()
    return schema


def _responses() -> dict[int | str, dict[str, Any]]:
    detail = {"application/json": {"schema": {"properties": {"detail": {"type": "string"}}}}}
    said = {406: "another form, or one PNG of several pictures", 413: "too long a body",
            422: "a bad request: one line says what", 429: "the queue is full: see Retry-After"}
    of_json: dict[str, Any] = {"type": "object", "properties": {
        "texts": {"type": "object", "description": "texts of all these PNG files: model, seed, settings"},
        "pictures": {"type": "array", "items": {"type": "object", "properties": {
            "index": {"type": "integer"}, "label": {"type": "integer"}, "class": {"type": ["string", "null"]},
            "name": {"type": "string", "description": "of the file that `aigc generate` writes"},
            "png": {"type": "string", "format": "byte"}}}}}}
    binary = {"schema": {"type": "string", "format": "binary"}}
    return {200: {"description": "the pictures, in the form that Accept names", "content": {
                forms.JSON: {"schema": of_json}, forms.PNG: binary, forms.ZIP: binary}},
            **{status: {"description": text, "content": detail} for status, text in said.items()}}


class Noted:
    """Counts each answer, and writes its line into the log."""

    def __init__(self, app: ASGIApp, counts: Counts) -> None:
        self.app, self.counts = app, counts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started, status = time.perf_counter(), 500

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, noted)
        finally:
            seconds = time.perf_counter() - started
            route: Callable[..., object] | None = scope.get("route")
            self.counts.answered(getattr(route, "path", "other"), status, seconds)
            client = (scope.get("client") or ("-", 0))[0]
            path = scope.get("raw_path", b"").decode("ascii", "replace")
            log.info("%s %s %s %s %s%.0f ms", client, scope["method"], path, status, scope.get(SAID, ""),
                     seconds * 1000)
