"""Programs ask the running page through `gradio_client`, with a login and in a Space."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from gradio_client import Client
from gradio_client.exceptions import AppError, AuthenticationError, ValidationError
from running_server import running_server, running_space
from tiny_serving import LINES, SCRIPT, save_tiny_model

from emonet.hub.push_space import write_space

pytestmark = pytest.mark.slow
LOGIN = ("ann", "secret")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_model(tmp_path_factory.mktemp("programs") / "run")


@pytest.fixture(autouse=True)
def no_telemetry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRADIO_ANALYTICS_ENABLED", "False")


@pytest.fixture(scope="module", params=["serve", "serve with a login", "space"])
def address(
    request: Any, model: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, dict[str, Any]]]:
    """The address of a running page, and how to log in."""
    if request.param == "serve":
        with running_server(model) as server:
            yield server.url, {}
    elif request.param == "space":
        folder = write_space(str(model), tmp_path_factory.mktemp("space") / "space")
        with running_space(folder, {"EMONET_AUTH": ":".join(LOGIN)}) as server:
            yield server.url, {"auth": LOGIN}
    else:
        with running_server(model, "--workers", "2", "--auth", ":".join(LOGIN)) as server:
            yield server.url, {"auth": LOGIN}


def connect(url: str, **options: Any) -> Client:
    return Client(url, verbose=False, analytics_enabled=False, download_files=False, **options)


def test_predict_answers_as_the_page_does(address: tuple[str, dict[str, Any]]) -> None:
    url, login = address
    client = connect(url, **login)
    [(name, endpoint)] = client.view_api(return_format="dict")["named_endpoints"].items()
    assert name == "/predict" and "every turn" in endpoint["description"]
    assert [one["parameter_name"] for one in endpoint["parameters"]] == ["script"]
    rows = client.predict(SCRIPT, api_name="/predict")
    assert [(row["speaker"], row["text"]) for row in rows] == LINES
    assert all(row["score"] == max(row["scores"].values()) for row in rows)
    with pytest.raises(AppError, match="line 1: 'hello' names no speaker"):
        client.predict("hello\nthere", api_name="/predict")
    with pytest.raises(ValidationError, match=r"script: give the dialogue.*this is a list"):
        client.predict(["Ann: hello"], api_name="/predict")
    jobs = [client.submit(script=f"Ann: hello {index}", api_name="/predict") for index in range(4)]
    assert [job.result(60)[0]["text"] for job in jobs] == [f"hello {index}" for index in range(4)]
    for private in client.config["dependencies"][:3]:
        with pytest.raises(ValueError):
            client.predict("Ann: hello", fn_index=private["id"])
    if login:
        with pytest.raises(AuthenticationError):
            connect(url, auth=("ann", "wrong"))
        with pytest.raises((ValueError, AuthenticationError)):
            connect(url)
        assert connect(url, httpx_kwargs={"auth": LOGIN}).predict("Ann: hello", api_name="/predict")
