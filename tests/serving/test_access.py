"""Who may use the server, and what its answers allow a browser."""

import base64
import re
from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient
from page_visitor import PageVisitor
from small_server import small_server
from tiny_serving import tiny_predictor

from emonet.cli.main import main
from emonet.errors import EmoNetError
from emonet.serving import server
from emonet.serving.access import Access
from emonet.serving.limits import Limits
from emonet.serving.predictor import Predictor

LOGIN = "ann:größer:2"
AUTHORIZED = {"authorization": f"Basic {base64.b64encode(LOGIN.encode()).decode()}"}
PATHS = [
    "/",
    "/v1/emotions",
    "/openapi.json",
    "/docs",
    "/theme.css",
    "/gradio_api/queue/join",
    "/static-offline-docs/swagger-ui.css",
]

Clients = Callable[[Access], TestClient]


@pytest.fixture(scope="module")
def client() -> Clients:
    """A client of the application with an access; one application each."""
    predictor = tiny_predictor()
    clients: dict[Access, TestClient] = {}

    def of(access: Access) -> TestClient:
        if access not in clients:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(Predictor, "load", lambda checkpoint, dtype: predictor)
                clients[access] = TestClient(server.create_app("tiny", Limits(), access=access))
        return clients[access]

    return of


@pytest.mark.parametrize("path", PATHS)
def test_a_login_is_required_on_every_path(path: str, client: Clients) -> None:
    visitor = client(Access(LOGIN))
    bearer = AUTHORIZED["authorization"].replace("Basic", "Bearer")
    for authorization in ({}, *({"authorization": value} for value in ("Basic YTpi", bearer, "Basic"))):
        answer = visitor.get(path, headers=authorization)
        assert answer.status_code == 401 and answer.headers["www-authenticate"].startswith("Basic")
    assert visitor.get(path, headers=AUTHORIZED).status_code not in (401, 403)


def test_the_endpoint_has_the_same_login_and_health_none(client: Clients) -> None:
    visitor = client(Access(LOGIN))
    body = {"inputs": [{"speaker": "Ann", "text": "hello"}]}
    assert visitor.post("/v1/emotions", json=body).status_code == 401
    assert visitor.post("/v1/emotions", json=body, headers=AUTHORIZED).status_code == 200
    assert visitor.get("/v1/health").status_code == 200


def test_a_program_logs_in_by_form_and_cookie(client: Clients) -> None:
    form = {"username": "ann", "password": "größer:2"}
    visitor = client(Access(LOGIN))
    answer = visitor.post("/login", data=form)
    [(name, token)] = answer.cookies.items()
    assert answer.status_code == 200 and "HttpOnly" in answer.headers["set-cookie"]
    visitor.cookies.clear()
    for cookie, status in ((token, 200), (token[:-1], 401), ("", 401), (f"{token}; {name}=x", 200)):
        headers = {"cookie": f"other=1; {name}={cookie}"}
        assert visitor.get("/theme.css", headers=headers).status_code == status
    for wrong in ({}, {**form, "password": "x"}, {"username": "ann:größer", "password": "2x"}):
        answer = visitor.post("/login", data=wrong)
        assert answer.status_code == 401 and not answer.cookies
    assert visitor.post("/login", content=b"a=" + b"x" * 100_000).status_code == 401
    assert visitor.get("/login", headers={"cookie": f"{name}={token}"}).status_code == 404
    other = client(Access("ann:other")).get("/theme.css", headers={"cookie": f"{name}={token}"})
    assert other.status_code == 401, "a cookie is for one login"
    assert client(Access()).post("/login", data=form).status_code == 404


@pytest.mark.parametrize("path", PATHS)
def test_every_answer_binds_the_browser_to_this_server(path: str, client: Clients) -> None:
    assert_bound(dict(client(Access()).get(path).headers))
    framed = client(Access(frames=("https://huggingface.co",))).get(path).headers
    assert "frame-ancestors https://huggingface.co" in framed["content-security-policy"]
    assert "x-frame-options" not in framed


def assert_bound(headers: dict[str, str]) -> None:
    policy = dict(part.split(" ", 1) for part in headers["content-security-policy"].split("; "))
    assert headers["x-content-type-options"] == "nosniff" and headers["x-frame-options"] == "DENY"
    assert policy["default-src"] == policy["frame-ancestors"] == policy["form-action"] == "'none'"
    assert not re.search(r"https?:|\*|blob:", headers["content-security-policy"])


def test_the_front_passes_the_login_and_its_own_answers_are_bound_too() -> None:
    with small_server(access={"login": LOGIN}, limits={"body": 1000}, workers=2) as running:
        stranger, visitor = PageVisitor(running.url), PageVisitor(running.url, headers=AUTHORIZED)
        for path in ("/", "/v1/x"):
            status, headers, _ = stranger.ask("GET", path)
            assert status == 401 and headers["www-authenticate"].startswith("Basic")
            assert_bound(headers)
            status, headers, _ = visitor.ask("GET", path)
            assert status == 200
            assert_bound(headers)
        assert stranger.ask("GET", "/v1/health")[0] == 200
        status, headers, _ = visitor.ask("POST", "/v1/x", b"x" * 1001)
        assert status == 413 and headers["server"] == "emonet"
        assert_bound(headers)
        status, headers, answer = visitor.ask("NOT HTTP", "/")
        assert status == 400 and answer == b'{"detail": "The request is not valid HTTP."}'
        assert headers["server"] == "emonet" and headers["content-type"].startswith("application/json")
        assert_bound(headers)


def test_the_documentation_needs_no_other_host(client: Clients) -> None:
    visitor = client(Access())
    page = visitor.get("/docs").text
    loaded = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert len(loaded) == 3 and not re.search(r"https?://", page)
    for path in loaded:
        assert visitor.get(path).status_code == 200 and len(visitor.get(path).content) > 1000, path
    assert visitor.get("/redoc").status_code == 404


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.4", "example.org"])
def test_an_open_server_logs_a_warning(host: str, caplog: pytest.LogCaptureFixture) -> None:
    Access(host=host).warn()
    assert f"Anyone who reaches the server at {host} may use it" in caplog.text
    assert Access(host=host).open and not Access("ann:secret", host).open


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.0.1", "::1", "localhost"])
def test_loopback_needs_no_warning(host: str, caplog: pytest.LogCaptureFixture) -> None:
    Access(host=host).warn()
    assert not caplog.text


def test_the_front_logs_the_warning() -> None:
    with small_server(access={"host": "0.0.0.0"}) as running:
        running.process.terminate()
        assert "WARNING Anyone who reaches the server at 0.0.0.0 may use it" in running.end()[1]


@pytest.mark.parametrize("login", ["", "ann", "ann:", ":secret"])
def test_half_a_login_is_refused(login: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(EmoNetError, match="NAME:PASSWORD"):
        Access(login)
    assert main(["serve", "--model", "RUN", "--auth", login]) == 2
    assert "NAME:PASSWORD" in capsys.readouterr().err


def test_the_login_may_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    logins: list[Any] = []
    monkeypatch.setattr(server, "serve", lambda *_, login, **__: logins.append(login))
    main(["serve", "--model", "RUN"])
    monkeypatch.setenv("EMONET_AUTH", "ann:secret")
    main(["serve", "--model", "RUN"])
    main(["serve", "--model", "RUN", "--auth", "bob:hidden"])
    assert logins == [None, "ann:secret", "bob:hidden"]
    assert "secret" not in repr(Access("ann:secret")), "no log holds it"
