"""Who may use the server, and what its answers tell a browser."""

import base64
import re
from typing import Any

import pytest
from fastapi.testclient import TestClient
from tiny_serving import tiny_predictor

from emonet.cli.main import main
from emonet.errors import EmoNetError
from emonet.serving import server
from emonet.serving.access import Access
from emonet.serving.limits import Limits
from emonet.serving.predictor import Predictor

PATHS = [
    "/",
    "/v1/emotions",
    "/openapi.json",
    "/docs",
    "/theme.css",
    "/gradio_api/queue/join",
    "/static-offline-docs/swagger-ui.css",
]


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return tiny_predictor()


def client(predictor: Predictor, monkeypatch: Any, **access: Any) -> TestClient:
    monkeypatch.setattr(Predictor, "load", lambda checkpoint: predictor)
    return TestClient(server.create_app("tiny", Limits(), access=Access(**access)))


def test_with_a_login_page_endpoint_and_documentation_ask_for_it(
    predictor: Predictor, monkeypatch: Any
) -> None:
    visitor = client(predictor, monkeypatch, login="ann:größer:2")
    right = base64.b64encode("ann:größer:2".encode()).decode()
    for path in PATHS:
        for wrong in (
            {},
            {"authorization": "Basic YTpi"},
            {"authorization": f"Bearer {right}"},
            {"authorization": "Basic"},
        ):
            answer = visitor.get(path, headers=wrong)
            assert answer.status_code == 401 and answer.headers["www-authenticate"].startswith("Basic"), path
        assert visitor.get(path, headers={"authorization": f"Basic {right}"}).status_code not in (401, 403), (
            path
        )
    body = {"inputs": [{"speaker": "Ann", "text": "hello"}]}
    assert visitor.post("/v1/emotions", json=body).status_code == 401
    assert (
        visitor.post("/v1/emotions", json=body, headers={"authorization": f"Basic {right}"}).status_code
        == 200
    )
    assert visitor.get("/v1/health").status_code == 200, "a health check has no login"


@pytest.mark.parametrize("path", PATHS)
def test_every_answer_binds_the_browser_to_this_server(
    path: str, predictor: Predictor, monkeypatch: Any
) -> None:
    headers = client(predictor, monkeypatch).get(path).headers
    policy = dict(part.split(" ", 1) for part in headers["content-security-policy"].split("; "))
    assert headers["x-content-type-options"] == "nosniff" and headers["x-frame-options"] == "DENY"
    assert policy["default-src"] == policy["frame-ancestors"] == policy["form-action"] == "'none'"
    assert not re.search(r"https?:|\*|blob:", headers["content-security-policy"])
    framed = client(predictor, monkeypatch, frames=("https://huggingface.co",)).get(path).headers
    assert (
        "frame-ancestors https://huggingface.co" in framed["content-security-policy"]
        and "x-frame-options" not in framed
    )


def test_the_documentation_needs_no_other_host(predictor: Predictor, monkeypatch: Any) -> None:
    visitor = client(predictor, monkeypatch)
    page = visitor.get("/docs").text
    loaded = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert len(loaded) == 3 and not re.search(r"https?://", page)
    for path in loaded:
        assert visitor.get(path).status_code == 200 and len(visitor.get(path).content) > 1000, path
    assert visitor.get("/redoc").status_code == 404


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.4", "example.org"])
def test_who_is_open_to_others_says_so(host: str, caplog: Any) -> None:
    Access(host=host).warn()
    assert f"Anyone who reaches the server at {host} may use it" in caplog.text
    assert Access(host=host).open and not Access("ann:secret", host).open


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.0.1", "::1", "localhost"])
def test_loopback_needs_no_warning(host: str, caplog: Any) -> None:
    Access(host=host).warn()
    assert not caplog.text


@pytest.mark.parametrize("login", ["", "ann", "ann:", ":secret"])
def test_half_a_login_is_refused(login: str, capsys: Any) -> None:
    with pytest.raises(EmoNetError, match="NAME:PASSWORD"):
        Access(login)
    assert main(["serve", "--model", "RUN", "--auth", login]) == 2
    assert "NAME:PASSWORD" in capsys.readouterr().err


def test_the_login_comes_from_the_environment_too(monkeypatch: Any) -> None:
    given: list[Any] = []
    monkeypatch.setattr(server, "serve", lambda *_, login, **__: given.append(login))
    main(["serve", "--model", "RUN"])
    monkeypatch.setenv("EMONET_AUTH", "ann:secret")
    main(["serve", "--model", "RUN"])
    main(["serve", "--model", "RUN", "--auth", "bob:hidden"])
    assert given == [None, "ann:secret", "bob:hidden"]
    assert "secret" not in repr(Access("ann:secret")), "it is in no log"
