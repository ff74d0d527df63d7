"""The running page of a tiny model, and a browser that visits it."""

import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from running_server import RunningServer, running_server
from tiny_serving import save_tiny_model

TIMEOUT = 120_000  # milliseconds


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    model = save_tiny_model(tmp_path_factory.mktemp("browser") / "run")
    harm = "<script>harmed = 1</script><img src=data:, onerror='harmed = 1'>"
    (model / "README.md").write_text(f"---\nlicense: mit\n---\n# Ours\n\nIt reads. {harm}\n")
    with running_server(model) as running:
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if path is None:
        pytest.skip("no Chromium on this machine: apt-get install chromium")
    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture(params=[(1280, 900), (390, 844)], ids=["desktop", "phone"])
def page(request: Any, browser: Any, server: RunningServer) -> Iterator[Any]:
    """The loaded page, which must send no request to other hosts and log no error."""
    width, height = request.param
    context = browser.new_context(viewport={"width": width, "height": height})
    page = context.new_page()
    page.set_default_timeout(TIMEOUT)
    faults: list[str] = []
    page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on(
        "request",
        lambda sent: None if sent.url.startswith((server.url, "data:", "blob:")) else faults.append(sent.url),
    )
    page.goto(server.url)
    page.wait_for_selector("#analyse")
    yield page
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), (
        "the page is no wider than the window"
    )
    context.close()
    assert not faults
