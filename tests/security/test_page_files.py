"""No visitor of the running page reads, writes or fetches a file through it."""

import base64
import csv
import io
import json
import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
from page_visitor import PageVisitor
from running_server import RunningServer, running_server, running_space
from tiny_serving import LINES, SCRIPT, save_tiny_model

from emonet.hub.push_space import write_space

SECRET = "kolibri"
OPEN_ROUTES = {
    ("GET", "/"),
    ("HEAD", "/"),
    ("GET", "/config"),
    ("GET", "/gradio_api/info"),
    ("GET", "/assets/{path:path}"),
    ("GET", "/static/{path:path}"),
    ("GET", "/theme.css"),
    ("GET", "/manifest.json"),
    ("GET", "/favicon.ico"),
    ("GET", "/gradio_api/heartbeat/{session_hash}"),
    ("GET", "/gradio_api/queue/data"),
    ("POST", "/gradio_api/queue/join"),
    ("POST", "/gradio_api/cancel"),
}


class Attacked:
    """A running page, and files that must neither leave its machine nor get into it.

    Attributes:
        cache: Where Gradio stores files; it must stay empty.
        fetched: Requests of the server to another web server; it must stay empty.
    """

    def __init__(
        self, server: RunningServer, folder: Path, cache: Path, elsewhere: HTTPServer, fetched: list[str]
    ):
        self.server, self.folder, self.cache, self.fetched = server, folder, cache, fetched
        self.elsewhere = f"http://127.0.0.1:{elsewhere.server_port}"

    def visitor(self, seconds: float = 20.0) -> PageVisitor:
        return PageVisitor(self.server.url, seconds)

    def files(self) -> dict[str, str]:
        """Return what a forged event may name."""
        return {
            "a script": str(self.folder / "secret.txt"),
            "a table": str(self.folder / "secret.csv"),
            "not a script": str(self.folder / "secret.key"),
            "a link": str(self.folder / "link.txt"),
            "a relative path": os.path.relpath(self.folder / "secret.txt"),
            "a folder": str(self.folder),
            "the environment": "/proc/self/environ",
            "a pipe": str(self.folder / "pipe"),
            "no end": "/dev/zero",
            "a page": f"{self.elsewhere}/page.txt",
            "Gradio's own route": f"/gradio_api/file={self.folder / 'secret.txt'}",
        }

    def assert_unharmed(self) -> None:
        assert not self.fetched, "nothing is fetched"
        assert not [path for path in self.cache.rglob("*") if not path.is_dir()], "nothing is written"
        status, _, answer = self.visitor().ask("GET", "/v1/health")
        assert status == 200 and b'"ok"' in answer, "the server answers as before"


@pytest.fixture(scope="module", params=["serve", "space"])
def attacked(request: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Attacked]:
    folder, cache = tmp_path_factory.mktemp("secrets"), tmp_path_factory.mktemp("cache")
    (folder / "secret.txt").write_text(f"Ann: {SECRET}\n")
    (folder / "secret.csv").write_text(f"speaker,text\nAnn,{SECRET}\n")
    (folder / "secret.key").write_text(f"{SECRET}\n")
    (folder / "link.txt").symlink_to(folder / "secret.txt")
    os.mkfifo(folder / "pipe")
    fetched: list[str] = []

    class Elsewhere(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            fetched.append(self.path)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(f"Ann: {SECRET}\n".encode())

        do_HEAD = do_GET

    with HTTPServer(("127.0.0.1", 0), Elsewhere) as elsewhere:
        threading.Thread(target=elsewhere.serve_forever, daemon=True).start()
        model = save_tiny_model(tmp_path_factory.mktemp("model") / "run")
        environment = {"GRADIO_TEMP_DIR": str(cache), "EMONET_TEST_SECRET": SECRET}
        if request.param == "serve":
            running = running_server(model, env=environment)
        else:
            running = running_space(
                write_space(str(model), tmp_path_factory.mktemp("space") / "space"), environment
            )
        with running as server:
            yield Attacked(server, folder, cache, elsewhere, fetched)
        elsewhere.shutdown()


def forms_of(path: str) -> list[Any]:
    """Return the forms in which an event can name a file."""
    meta = {"_type": "gradio.FileData"}
    file = {"path": path, "meta": meta}
    return [
        file,
        {**file, "url": path, "orig_name": "script.txt", "size": 20},
        {**file, "is_stream": True},
        [file],
        {"value": file, "__type__": "update"},
        {"files": [[file]]},
        {"path": path},
    ]


def test_no_event_takes_a_file(attacked: Attacked) -> None:
    events = [event for event in attacked.visitor().config()["dependencies"] if event["backend_fn"]]
    assert len(events) >= 10
    files = attacked.files()
    attempts = [(what, forms_of(path)[0]) for what, path in files.items()]
    attempts += [("a script", form) for form in forms_of(files["a script"])[1:]]
    for event in events:
        for what, form in attempts:
            visitor = attacked.visitor()
            inputs = [form] * len(event["inputs"])
            body = {"fn_index": event["id"], "session_hash": visitor.session}
            forged = [{**body, "data": [None] * len(inputs), "event_data": form}]
            if inputs:
                forged.append({**body, "data": inputs, "event_data": None})
            for attempt in forged:
                status, answer = visitor.join(attempt)
                if status == 200:
                    answer = str(list(visitor.messages()))
                assert SECRET not in answer, f"event {event['id']} revealed {what}"
                assert status in (400, 422), f"event {event['id']} accepted {what}"
    attacked.assert_unharmed()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"null",
        b"{}",
        b"[" * 100_000,
        b"\xff\xfe",
        b'{"data": [NaN',
        b'{"data": {}, "fn_index": 0, "session_hash": "a"}',
        b'{"data": [], "fn_index": "0", "session_hash": "a"}',
        b'{"data": [], "fn_index": true, "session_hash": "a"}',
        b'{"data": [], "fn_index": 10000, "session_hash": "a"}',
        b'{"data": [], "fn_index": -1, "session_hash": "a"}',
        b'{"data": [], "fn_index": 0, "session_hash": "../a"}',
        b'{"data": [], "fn_index": 0}',
        b'{"data": [], "fn_index": 0, "session_hash": "a", "batched": true}',
        b'{"data": [], "fn_index": 0, "session_hash": "a", "event_data": [1]}',
    ],
    ids=range(16),
)
def test_an_event_that_no_page_sends_is_refused(attacked: Attacked, body: bytes) -> None:
    visitor = attacked.visitor()
    status, _, answer = visitor.ask(
        "POST", "/gradio_api/queue/join", body, {"content-type": "application/json"}
    )
    assert status == 400 and b"detail" in answer
    attacked.assert_unharmed()


def test_an_event_from_another_site_is_refused(attacked: Attacked) -> None:
    """A browser sends this header with requests of another site's page."""
    headers = {"content-type": "application/json", "sec-fetch-site": "cross-site"}
    status, _, _ = attacked.visitor().ask("POST", "/gradio_api/queue/join", b"{}", headers)
    assert status == 403


def routes_of_gradio() -> set[tuple[str, str]]:
    """Return every method and path of Gradio's application, whatever its version."""
    with gr.Blocks() as blocks:
        gr.Textbox()
    blocks.config = blocks.get_config_file()
    found: set[tuple[str, str]] = set()

    def walk(routes: Any) -> None:
        for route in routes:
            path = getattr(route, "path", None)
            if path is not None and getattr(route, "methods", None):
                found.update((method, path) for method in route.methods)
            for inner in (
                getattr(route, "routes", None),
                getattr(getattr(route, "original_router", None), "routes", None),
            ):
                if inner:
                    walk(inner)

    walk(gr.routes.App.create_app(blocks).routes)
    return found


def filled(path: str, value: str) -> str:
    """Fill all parameters of a path."""
    while "{" in path:
        before, _, rest = path.partition("{")
        path = before + value + rest.partition("}")[2]
    return path


def test_only_the_routes_that_the_page_needs_are_open(attacked: Attacked) -> None:
    routes = routes_of_gradio()
    assert routes >= OPEN_ROUTES and len(routes) > 60, "Gradio's routes are found"
    assert {("POST", "/gradio_api/upload"), ("GET", "/gradio_api/file={path_or_url:path}")} <= routes
    visitor = attacked.visitor()
    for method, path in sorted(routes - OPEN_ROUTES):
        if path in ("/docs", "/openapi.json", "/docs/oauth2-redirect", "/redoc"):
            continue  # the endpoint has routes of its own there
        for value in (str(attacked.folder / "secret.txt"), f"{attacked.elsewhere}/page.txt", "a"):
            status, _, answer = visitor.ask(method, filled(path, value))
            assert status == 404 and SECRET.encode() not in answer, (method, path, value)
    attacked.assert_unharmed()


def test_what_programs_read_names_no_other_visitor_s_host(attacked: Attacked) -> None:
    visitor = attacked.visitor()
    for route in ("/gradio_api/info", "/config"):
        visitor.ask("GET", route, headers={"x-forwarded-host": "evil.example"})
        status, _, answer = visitor.ask("GET", route)
        assert status == 200 and b"evil.example" not in answer and b"predict" in answer
    status, _, info = visitor.ask("GET", f"/gradio_api/info?all_endpoints=True&page={attacked.folder}")
    assert status == 200 and list(json.loads(info)["named_endpoints"]) == ["/predict"]
    assert json.loads(info)["unnamed_endpoints"] == {}
    status, _, config = visitor.ask("GET", f"/config?deep_link=../../{attacked.folder}/secret.txt")
    assert status == 200 and SECRET.encode() not in config
    attacked.assert_unharmed()


@pytest.mark.parametrize(
    "value", [None, 3, True, ["Ann: hi"], {"path": "/etc/passwd"}, "\ud800"], ids=range(6)
)
def test_the_endpoint_takes_one_text_alone(attacked: Attacked, value: Any) -> None:
    visitor = attacked.visitor()
    [predict] = [one for one in visitor.config()["dependencies"] if one["api_name"] == "predict"]
    body = {"fn_index": predict["id"], "session_hash": visitor.session}
    status, answer = visitor.join({**body, "data": [value]})
    assert status == 422 and "script" in answer and "give the dialogue as one valid text" in answer
    for data in ([], ["Ann: hi", "more"]):
        assert visitor.join({**body, "data": data})[0] == 400
    assert visitor.join({**body, "data": [f"Ann: {attacked.folder}/secret.txt"]})[0] == 200
    assert SECRET not in str(list(visitor.messages()))
    attacked.assert_unharmed()


def test_an_upload_to_gradio_is_not_stored(attacked: Attacked) -> None:
    head = 'Content-Disposition: form-data; name="files"; filename="a.txt"'
    body = f"--x\r\n{head}\r\n\r\n{SECRET}\r\n--x--\r\n".encode()
    headers = {"content-type": "multipart/form-data; boundary=x"}
    for route in (
        "/gradio_api/upload",
        "/gradio_api/upload?upload_id=1",
        "/gradio_api/component_server",
        "/upload",
    ):
        assert attacked.visitor().ask("POST", route, body, headers)[0] == 404
    attacked.assert_unharmed()


@pytest.mark.parametrize("route", ["/assets/", "/static/", "/theme.css/", "/gradio_api/heartbeat/", "/"])
def test_no_open_route_leads_out_of_its_folder(attacked: Attacked, route: str) -> None:
    secret = str(attacked.folder / "secret.txt")
    ups = "../" * 20
    for path in (
        secret,
        "/" + secret,
        ups + secret,
        ups.replace("..", "%2e%2e") + secret,
        ups.replace("/", "%2f") + secret,
        ups.replace("/", "%5c") + secret,
        ".%00/" + secret,
        "..%252f" * 20 + secret,
        f"?deep_link={ups}{secret}",
        "../frontend/index.html",
        "../config.json",
        "%2e%2e/%2e%2e/routes.py",
    ):
        status, _, answer = attacked.visitor().ask("GET", route + path)
        assert SECRET.encode() not in answer and b"import fastapi" not in answer
        assert status in (400, 403, 404) or (route == "/" and path.startswith("?")), path
    attacked.assert_unharmed()


def uploaded(name: str, raw: bytes, **changes: Any) -> dict[str, Any]:
    """Return an upload as the page's script sends it."""
    return {"name": name, "size": len(raw), "content": base64.b64encode(raw).decode(), **changes}


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (uploaded("run.exe", b"Ann: hello"), "its ending is not one of"),
        (uploaded("/etc/passwd", b"Ann: hello"), "passwd: its ending is not one of"),
        (uploaded("a.txt", b"", size=10**9, content=None), "1000000000 bytes, and"),
        (uploaded("a.txt", b"Ann: hello", size=3), "10 bytes came, of 3"),
        (uploaded("a.txt", b"", size=4, content="/dev/zero"), "it could not be read"),
        (uploaded("a.txt", b"", content=None), "it could not be read"),
        (None, "its ending is not one of"),
    ],
    ids=range(7),
)
def test_ending_size_and_content_of_an_upload_are_checked(attacked: Attacked, sent: Any, reason: str) -> None:
    assert reason in attacked.visitor(60).fire("upload", "upload", [], sent)
    attacked.assert_unharmed()


def test_what_a_visitor_does_works_and_writes_nothing(attacked: Attacked) -> None:
    visitor = attacked.visitor(60)
    assert "6 turns, 3 speakers" in visitor.fire("analyse", "click", [SCRIPT])
    assert "8 turns, 2 speakers" in visitor.fire("example-scene", "click", ["A scene"])
    assert "7 turns, 4 speakers" in visitor.fire(
        "upload", "upload", [], uploaded("a.txt", f"{SCRIPT}\nZed: no".encode())
    )
    assert "in percentage points" in visitor.fire("script-turns", "select", [], {"index": 4})
    parcel, *_ = [
        text
        for text in visitor.fire("script-csv", "click", ["Download CSV"]).split("\n")
        if text.startswith("{")
    ]
    content = base64.b64decode(json.loads(parcel)["content"]).decode("utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(content, newline="")))
    assert [(row["speaker"], row["text"]) for row in rows] == [*LINES, ("Zed", "no")]
    assert "0 of 7 confirmed" in visitor.fire("annotate-tab", "select", [], {"index": 3, "value": "Annotate"})
    assert "1 of 7 confirmed" in visitor.fire("annotate-turns", "select", [], {"index": 6, "label": 1})
    table = uploaded("b.csv", b"dialogue_id,speaker,text,emotion\n0,Ann,hi,Joy")
    assert "has 1 turns, and 7 in this script" in visitor.fire("annotate-second", "upload", [], table)
    answer = visitor.fire("annotate-jsonl", "click", ["Export JSONL"]).split("\n")
    parcel = next(text for text in answer if text.startswith("{"))
    lines = base64.b64decode(json.loads(parcel)["content"]).splitlines()
    assert [json.loads(line)["emotion"] is None for line in lines] == [True] * 6 + [False]
    assert "Ann: " in visitor.fire("say", "click", ["Ann", "hello"])
    attacked.assert_unharmed()
