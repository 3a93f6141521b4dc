"""`aigc serve` as clients see it: a process of its own, over HTTP."""

import base64
import io
import json
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from aigc.core.runtime import RuntimeConfig
from aigc.model.card import WEIGHTS
from aigc.provenance import drawing
from projects import ROOT, environment_of
from small import small_model
from stores import CODE

SWITCHES = RuntimeConfig(arithmetic="portable", threads=1)
READY_SECONDS = 60


@dataclass
class Served:
    process: "subprocess.Popen[str]"
    client: httpx.Client
    log: Path

    def post(self, content: object, accept: str = "*/*") -> httpx.Response:
        body = content if isinstance(content, (str, bytes)) else json.dumps(content)
        return self.client.post("/generate", content=body, headers={"Accept": accept})

    def pictures(self, **content: object) -> dict[str, bytes]:
        """Name -> PNG of what is asked for."""
        answer = self.post(content)
        assert answer.status_code == 200, answer.text
        return {one["name"]: base64.b64decode(one["png"]) for one in answer.json()["pictures"]}


def command(*words: object) -> list[str]:
    return [sys.executable, "-m", "aigc", "serve", *map(str, words)]


@contextmanager
def serving(home: Path, *words: object) -> Iterator[Served]:
    """`aigc serve` on a free port, ended as a user ends it."""
    log = home / f"{Path(words[0]).name}-{len(words)}.log"
    with log.open("w") as stderr:
        process = subprocess.Popen(command(*words, "--port", 0), cwd=home, stdout=subprocess.PIPE, text=True,
                                   stderr=stderr, env=environment_of(**CODE))
    assert process.stdout
    try:
        address = re.search(r"http://\S+", process.stdout.readline())
        assert address, log.read_text()
        with httpx.Client(base_url=address[0], timeout=READY_SECONDS) as client:
            yield Served(process, client, log)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        assert process.wait(READY_SECONDS) == 0
        process.stdout.close()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("home")
    for name in ("params.yaml", "dvc.yaml"):
        shutil.copy(ROOT / name, folder)
    small_model(folder / "models", "flow")
    small_model(folder / "models", "cyclegan", classes=2)
    return folder


@pytest.fixture(scope="module")
def flow(home: Path) -> Iterator[Served]:
    with serving(home, "flow") as served:
        yield served


@pytest.fixture
def generated(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """What `aigc generate` writes, name -> bytes, without the contact sheet."""
    monkeypatch.chdir(home)
    calls = iter(range(1000))

    def generate(method: str, n: int | None, seed: int = 0, wanted: str | None = None,
                 sources: tuple[Path, ...] = (), **settings: str) -> dict[str, bytes]:
        out = tmp_path / str(next(calls))
        drawing.write_pictures(method, None, n, seed, out, wanted, SWITCHES, settings, sources)
        return {path.name: path.read_bytes() for path in out.iterdir() if "-sheet" not in path.name}

    return generate


def test_pictures_are_the_bytes_of_generate_in_every_form(flow: Served, generated) -> None:
    for asked, expected in (
        ({"n": 130, "seed": 5, "solver": "euler"}, generated("flow", 130, 5, solver="euler")),
        ({"n": 3, "seed": 2**32 - 1, "class": "kind 7"}, generated("flow", 3, 2**32 - 1, "kind 7")),
        ({"n": 2, "class": 7, "steps": 2, "guidance": 2, "solver": "euler"},
         generated("flow", 2, 0, "7", steps="2", guidance="2.0", solver="euler")),
    ):
        assert flow.pictures(**asked) == expected
    one = generated("flow", 1, 3)
    answer = flow.post({"seed": 3}, "image/png")
    assert answer.headers["content-type"] == "image/png" and [answer.content] == list(one.values())
    answer = flow.post({"n": 2, "seed": 3}, "application/zip")
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        found = {name: archive.read(name) for name in archive.namelist()}
    assert len(found) == 2 and found.items() > one.items()


def test_the_answer_has_the_texts_and_the_class_of_each_picture(flow: Served) -> None:
    answer = flow.post({"n": 2, "seed": 1, "steps": 3}).json()
    assert answer["texts"]["method"] == "flow" and answer["texts"]["sampler"] == "steps=3"
    assert [(one["index"], one["label"], one["class"]) for one in answer["pictures"]] == [
        (0, 0, "kind 0"), (1, 1, "kind 1")]


def test_clients_at_once_get_the_pictures_that_each_asked_for(flow: Served, generated) -> None:
    kinds = [{"n": n, "seed": seed, "class": name, "steps": steps}
             for n, seed, name, steps in ((3, 1, None, 1), (130, 1, None, 1), (3, 2, None, 1),
                                          (3, 1, "kind 3", 1), (3, 1, None, 2))]
    expected = [generated("flow", kind["n"], kind["seed"], kind["class"], steps=str(kind["steps"]))
                for kind in kinds]
    with ThreadPoolExecutor(16) as clients:
        found = list(clients.map(lambda index: flow.pictures(**kinds[index % len(kinds)]), range(40)))
    assert all(found[index] == expected[index % len(kinds)] for index in range(40))


@pytest.mark.parametrize(("body", "status", "says"), [
    ({"n": 0}, 422, r"n must be between 1 and 256, found 0"),
    ({"n": -1}, 422, r"n must be between 1 and 256, found -1"),
    ({"n": 10**9}, 422, r"n must be between 1 and 256, found 1000000000"),
    ('{"n": 1' + "0" * 4000 + "}", 422, r"n must be between 1 and 256, found 10{56}\.\.\."),
    ('{"n": 1' + "0" * 5000 + "}", 422, r".*number out of range at line 1 column 4308"),
    ({"seed": -1}, 422, r"seed must be between 0 and 4294967295, found -1"),
    ({"seed": 2**32}, 422, r"seed must be between 0 and 4294967295, found 4294967296"),
    ({"n": "3"}, 422, r"n: Input should be a valid integer, found '3'"),
    ({"n": True}, 422, r"n: Input should be a valid integer, found True"),
    ({"class": "kind 77"}, 422, r"class: no class `kind 77`; did you mean `kind 7`\?"),
    ({"class": 10}, 422, r"class: no class `10`; known here: .*"),
    ({"class": "a\n b"}, 422, r"class: no class `a b`; known here: .*"),
    ({"class": [1]}, 422, r"class: Input should be a valid string, found \[1\]"),
    ({"guidence": 2}, 422, r"unknown field `guidence`; did you mean `guidance`\?"),
    ({"a\nb": 2}, 422, r"unknown field `a\\nb`; known here: class, guidance, n, seed, solver, steps"),
    ({"steps": 0}, 422, r"steps: Input should be greater than 0, found 0"),
    ({"solver": "rk4"}, 422, r"solver: Input should be 'euler', 'midpoint' or 'heun', found 'rk4'"),
    ({"sources": []}, 422, r"unknown field `sources`; .*"),
    ('{"guidance": NaN}', 422, r"guidance: Input should be a finite number, found nan"),
    ("{", 422, r'the body must be a JSON object, such as \{"seed": 1\}: Invalid JSON: .*'),
    ("[1]", 422, r"the body must be a JSON object, .*"),
    (b"\xff\xfe", 422, r"the body must be a JSON object, .*"),
    (" " * 70_000, 413, r"the body is longer than 65536 bytes"),
], ids=lambda value: repr(value)[:24])
def test_a_bad_request_gets_one_line(flow: Served, body: object, status: int, says: str) -> None:
    answer = flow.post(body)
    assert answer.status_code == status
    assert re.fullmatch(says, answer.json()["detail"])


def test_what_cannot_be_answered_in_the_wanted_form_is_said(flow: Served) -> None:
    for accept, asked in (("image/png", {"n": 2}), ("text/html", {})):
        answer = flow.post(asked, accept)
        assert answer.status_code == 406 and "application/json" in answer.json()["detail"]
    assert flow.client.get("/x").json() == {"detail": "no such path; /docs lists those that there are"}
    assert flow.client.get("/generate").status_code == 405


def test_the_other_paths_tell_of_the_model_and_need_no_network(flow: Served, home: Path) -> None:
    assert flow.client.get("/healthz").text == "ok\n"
    card = json.loads((home / "models" / "flow" / "config.json").read_text())
    found = flow.client.get("/model").json()
    assert found["card_sha256"] == card["card_sha256"] and found["classes"] == card["classes"]
    assert found["serves"]["settings"] == {name: card["config"][name]
                                           for name in ("steps", "guidance", "solver")}
    schema = flow.client.get("/openapi.json").json()["paths"]["/generate"]["post"]["requestBody"]
    assert {"n", "class", "seed", "guidance", "steps", "solver"} == set(
        schema["content"]["application/json"]["schema"]["properties"])
    page = flow.client.get("/", follow_redirects=True)
    assert page.url.path == "/docs" and "//" not in page.text.replace("<!--", "")


def test_prometheus_reads_what_was_answered(flow: Served) -> None:
    parser = pytest.importorskip("prometheus_client.parser")
    read = {}
    for text in (flow.client.get("/metrics").text, flow.pictures(n=3, seed=77), flow.pictures(n=2, seed=77),
                 flow.client.get("/metrics").text):
        if isinstance(text, str):
            before, read = read, {(sample.name, *sorted(sample.labels.values())): sample.value
                                  for family in parser.text_string_to_metric_families(text)
                                  for sample in family.samples}
    rise = {key: value - before.get(key, 0.0) for key, value in read.items()}
    assert rise["aigc_pictures_total",] == 5
    assert rise["aigc_answers_total", "/generate", "200"] == 2 == rise["aigc_generate_seconds_count",]
    assert rise["aigc_blocks_total", "model"] == 1 == rise["aigc_blocks_total", "memory"]
    assert read["process_resident_memory_bytes",] > 1e6


def test_a_line_in_the_log_says_what_was_asked_and_answered(flow: Served) -> None:
    flow.pictures(n=2, seed=4242)
    flow.client.get("/a%0Ab")
    deadline = time.monotonic() + READY_SECONDS
    while "/a%0Ab" not in flow.log.read_text() and time.monotonic() < deadline:
        time.sleep(0.01)  # the line follows the answer
    lines = flow.log.read_text().splitlines()
    assert re.search(r"127\.0\.0\.1 POST /generate 200 n=2 seed=4242 \d+ ms$", lines[-2])
    assert re.search(r"127\.0\.0\.1 GET /a%0Ab 404 \d+ ms$", lines[-1])


def test_a_full_queue_refuses_and_sigterm_ends_when_all_that_was_accepted_is_answered(home: Path) -> None:
    slow, quick = {"n": 256, "solver": "heun"}, {"steps": 1, "solver": "euler"}
    with serving(home, "models/flow", "--queue", 2, "--quiet") as served:
        answers: dict[int, httpx.Response] = {}

        def ask(steps: int) -> None:
            while (answer := served.post({**slow, "steps": steps})).status_code == 429:
                time.sleep(0.01)  # a quick one has its place
            answers[steps] = answer

        clients = [threading.Thread(target=ask, args=(steps,)) for steps in (21, 22)]
        for client in clients:
            client.start()
        deadline = time.monotonic() + READY_SECONDS
        while (refused := served.post(quick)).status_code != 429 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert refused.status_code == 429 and int(refused.headers["Retry-After"]) >= 1
        assert re.fullmatch(r"2 requests are waiting, which is the most; try again in \d+ s",
                            refused.json()["detail"])
        assert served.client.get("/healthz").status_code == 200 and not answers
        served.process.send_signal(signal.SIGTERM)
        for client in clients:
            client.join()
        assert [len(answer.json()["pictures"]) for answer in answers.values()] == [256, 256]
        assert served.process.wait(READY_SECONDS) == 0
        assert served.process.stdout.read().splitlines()[-1] == "ended; every accepted request has its answer"
        assert served.log.read_text() == ""


def test_a_method_that_translates_takes_pictures(home: Path, tmp_path: Path, generated) -> None:
    paths = tuple(tmp_path / f"{index}.png" for index in range(2))
    for index, path in enumerate(paths):
        noise = np.random.default_rng(index).integers(0, 256, (20, 16), np.uint8)
        Image.fromarray(noise).save(path)
    sources = [base64.b64encode(path.read_bytes()).decode() for path in paths]
    with serving(home, "cyclegan") as served:
        found = served.pictures(sources=sources, **{"class": "kind 1"})
        assert found == generated("cyclegan", None, 0, "kind 1", paths)
        for body, says in (
            ({}, "field `sources` is missing"),
            ({"sources": sources}, "field `class` is missing"),
            ({"sources": [], "class": 1}, "sources must be 1 to 256 pictures, found 0"),
            ({"sources": sources, "class": 2}, "class: no class `2`; known here: kind 0, kind 1"),
            ({"sources": ["?"], "class": 1}, "source 0: not base64 (Only base64 data is allowed)"),
            ({"sources": [sources[0], "d29yZHM="], "class": 1}, "source 1: no PNG"),
            ({"sources": sources, "class": 1, "n": 2}, "unknown field `n`; known here: class, seed, sources"),
        ):
            answer = served.post(body)
            assert answer.status_code == 422 and answer.json()["detail"].startswith(says), answer.text


def test_what_cannot_be_served_is_one_line(home: Path, tmp_path: Path, aigc) -> None:
    shutil.copytree(home / "models" / "flow", tmp_path / "damaged")
    damaged = tmp_path / "damaged" / WEIGHTS
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"x")
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        for words, says in (
            (("flwo",), "unknown method `flwo`; did you mean `flow`?"),
            (("gan",), "models/gan: no model yet; "),
            (("a/b",), "a/b: missing; a model is its folder, a run id, models:/… or runs:/…"),
            ((tmp_path,), f"{tmp_path}: no model, it has no config.json"),
            ((tmp_path / "damaged",), f"{damaged}: sha256 is "),
            (("flow", "--port", taken), f"--port {taken}: cannot be had (Address already in use)"),
            (("flow", "--port", 99999), "--port must be between 0 and 65535, found 99999"),
            (("flow", "--host", "nowhere.invalid"), "--host nowhere.invalid --port 8000: no such address"),
            (("flow", "--max-n", 0), "--max-n must be between 1 and 10000, found 0"),
            (("flow", "--queue", -1), "--queue must be between 1 and 10000, found -1"),
            (("flow", "--cache", -1), "--cache must be between 0 and "),
        ):
            port = () if "--port" in words or "--host" in words else ("--port", 0)
            done = aigc(home, "serve", *words, *port, check=False)
            assert done.returncode == 1 and done.stdout == "", words
            assert done.stderr.startswith(f"error: {says}") and done.stderr.count("\n") == 1, done.stderr
