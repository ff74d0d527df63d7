"""The JSON endpoint: one dialogue in, the emotion of every turn out, described by
OpenAPI.
"""

import logging
from typing import Annotated, Any

from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi_offline import FastAPIOffline
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from starlette.exceptions import HTTPException as StarletteHTTPException

from ..dialogue.turns import as_history
from ..version import PACKAGE_VERSION
from .batching import Batcher
from .limits import PREFIX, Limits
from .predictor import Predictor, highest_first

logger = logging.getLogger("emonet.serving")

MOST_FIELDS = 100  # of an object whose fields are known
_DESCRIPTION = """Emotion recognition in conversation: every turn of a dialogue gets an emotion, from its text, what was
said before and who speaks. Request and answer are those of `handler.py` on Inference Endpoints, for one dialogue."""


# Bounds on length also keep halves of characters out, which JSON can write and UTF-8
# can't.
Name = Annotated[
    str, Field(min_length=1, max_length=200, description="A person's name, or a role.", examples=["Monica"])
]
Text = Annotated[
    str, Field(max_length=20_000, description="What is said; may be empty.", examples=["We had a deal!"])
]


def _whole(value: Any) -> Any:
    """JSON has one kind of number: 3.0 is a whole one. (A string or `true` is none.)"""
    return int(value) if isinstance(value, float) and value.is_integer() else value


WholeNumber = Annotated[int, Field(strict=True, ge=1), BeforeValidator(_whole)]


class Turn(BaseModel):
    """One turn. Other fields are ignored."""

    speaker: Name
    text: Text


class Parameters(BaseModel):
    """How to answer."""

    model_config = ConfigDict(extra="forbid")
    history: dict[Name, list[Text]] | None = Field(
        default=None,
        description="What speakers said in earlier dialogues, oldest first; read by models with a memory of the corpus.",
        examples=[{"Monica": ["I cooked all day."]}],
    )
    top_k: WholeNumber | None = Field(
        default=None, description="How many of the highest scores to give; all by default.", examples=[3]
    )


class EmotionsRequest(BaseModel):
    """A dialogue."""

    model_config = ConfigDict(extra="forbid")
    inputs: list[Turn] = Field(description="The turns in order.")
    parameters: Parameters | None = None


class LabelledTurn(BaseModel):
    """A turn with its emotion."""

    speaker: str
    text: str
    label: str = Field(description="The most probable emotion.")
    score: float = Field(ge=0, le=1, description="Its probability.")
    scores: dict[str, float] = Field(description="Probabilities by emotion, from the highest down.")


class Health(BaseModel):
    """What is running."""

    status: str
    model: str
    labels: list[str]
    version: str


class Problem(BaseModel):
    """Why a request was not answered."""

    detail: str


def create_api(predictor: Predictor, limits: Limits) -> FastAPI:
    """The application with `POST /v1/emotions`, `GET /v1/health`, and their schema under
    `/openapi.json` and `/docs`.

    Time and requests are limited by `LimitRequests` around it.
    """
    app = FastAPIOffline(  # its documentation asks nothing of other hosts
        redoc_url=None,
        title="emonet",
        version=PACKAGE_VERSION,
        description=_DESCRIPTION,
        max_body_size=limits.body,
    )
    batcher = Batcher(predictor)
    refused: dict[int | str, dict[str, Any]] = {
        400: {"model": Problem, "description": "The body is not JSON."},
        413: {
            "model": Problem,
            "description": f"The body has over {limits.body} bytes, or the dialogue over {limits.turns} turns.",
        },
        422: {
            "model": Problem,
            "description": "The body is not such a dialogue; the reason names the field.",
        },
        503: {
            "model": Problem,
            "description": "Too many requests at a time, or no answer in time. Try again.",
        },
    }

    async def count(request: Request) -> None:
        """Refuse what is too large before every part of it is looked at, which costs a
        thousand times its reading.
        """
        try:
            size, names = _counts(await request.json())
        except (ValueError, RecursionError):  # no JSON, as is said elsewhere
            return
        if size > limits.turns:
            raise HTTPException(
                413,
                f"{size} turns, history included; the limit is {limits.turns}. Send the dialogue in parts.",
            )
        if names > MOST_FIELDS:
            raise HTTPException(422, f"An object with {names} fields; /openapi.json says which there are.")

    @app.post(
        f"{PREFIX}emotions",
        summary="The emotion of every turn",
        responses=refused,
        dependencies=[Depends(count)],
    )
    async def emotions(request: EmotionsRequest) -> list[LabelledTurn]:
        parameters = request.parameters or Parameters()
        history = as_history(parameters.history)
        turns = [{"speaker": turn.speaker, "text": turn.text} for turn in request.inputs]
        rows = await batcher.predict(turns, history) if turns else []
        return [LabelledTurn(**{**row, **highest_first(row, parameters.top_k)}) for row in rows]

    @app.get(f"{PREFIX}health", summary="What is running", responses={503: refused[503]})
    async def health() -> Health:
        return Health(status="ok", model=predictor.name, labels=predictor.labels, version=PACKAGE_VERSION)

    @app.exception_handler(RequestValidationError)
    async def wrong(request: Request, error: RequestValidationError) -> JSONResponse:
        not_json = any(problem["type"] == "json_invalid" for problem in error.errors())
        return JSONResponse({"detail": _reasons(error)}, 400 if not_json else 422)

    @app.exception_handler(StarletteHTTPException)
    async def refuse(request: Request, error: StarletteHTTPException) -> JSONResponse:
        reason = error.detail
        if error.status_code == 413 and not isinstance(
            error, HTTPException
        ):  # the framework's own, which says no more
            reason = limits.too_large
        return JSONResponse({"detail": reason}, error.status_code, error.headers)

    @app.exception_handler(Exception)
    async def failed(request: Request, error: Exception) -> JSONResponse:
        logger.error("A request failed", exc_info=error)
        return JSONResponse({"detail": "The server failed at this request; its log says why."}, 500)

    return app


def _counts(body: Any) -> tuple[int, int]:
    """How many turns a body holds or claims to, with its history, and how many fields its
    larger object has.
    """
    if not isinstance(body, dict):
        return 0, 0
    inputs, parameters = body.get("inputs"), body.get("parameters")
    size, names = len(inputs) if isinstance(inputs, list) else 0, len(body)
    if isinstance(parameters, dict):
        names = max(names, len(parameters))
        if isinstance(history := parameters.get("history"), dict):
            size += sum(len(said) if isinstance(said, list) and said else 1 for said in history.values())
    return size, names


def _reasons(error: RequestValidationError) -> str:
    """The first few problems as `inputs.0.text: Field required`, without the values,
    which need not be valid text.
    """
    problems = error.errors()
    reasons = []
    for problem in problems[:5]:
        place = ".".join(str(part) for part in problem["loc"] if part != "body")
        reasons.append(f"{place}: {problem['msg']}" if place else problem["msg"])
    more = f" (and {len(problems) - 5} more)" if len(problems) > 5 else ""
    return ("; ".join(reasons) + more).encode("utf-8", "replace").decode()
