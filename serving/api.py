"""Answer JSON requests: a dialogue in, the emotion of every turn out."""

import logging
from typing import Annotated, Any

from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi_offline import FastAPIOffline
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from starlette.exceptions import HTTPException as StarletteHTTPException

from ..dialogue.reader import as_history
from ..version import PACKAGE_VERSION
from .batching import Batcher
from .limits import HEALTH, PREFIX, Limits
from .predictor import Predictor, highest_first

logger = logging.getLogger("emonet.serving")

MAX_FIELDS = 100  # of an object whose fields are known
_DESCRIPTION = (
    "Emotion recognition in conversation: every turn of a dialogue gets an emotion, from its text, what "
    "was said before and who speaks. Request and answer are those of `handler.py` on Inference Endpoints, "
    "for one dialogue."
)


# `max_length` also refuses unpaired surrogates, which JSON can write and UTF-8 cannot.
Name = Annotated[
    str, Field(min_length=1, max_length=200, description="A person's name, or a role.", examples=["Monica"])
]
Text = Annotated[
    str, Field(max_length=20_000, description="What is said; may be empty.", examples=["We had a deal!"])
]


def _as_integer(value: Any) -> Any:
    """JSON has one type of number: read 3.0 as 3 (but neither a string nor `true`)."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


PositiveInteger = Annotated[int, Field(strict=True, ge=1), BeforeValidator(_as_integer)]


class Turn(BaseModel):
    """One turn. Other fields are ignored."""

    speaker: Name
    text: Text


class Parameters(BaseModel):
    """How to answer."""

    model_config = ConfigDict(extra="forbid")
    history: dict[Name, list[Text]] | None = Field(
        default=None,
        description="What speakers said in earlier dialogues, oldest first; "
        "read by models with a memory of the corpus.",
        examples=[{"Monica": ["I cooked all day."]}],
    )
    top_k: PositiveInteger | None = Field(
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
    """Create the application with `POST /v1/emotions` and `GET /v1/health`.

    Their schema is under `/openapi.json` and `/docs`. `LimitRequests` around the
    application limits time and number of requests.
    """
    app = FastAPIOffline(  # whose documentation loads nothing from other hosts
        redoc_url=None,
        title="emonet",
        version=PACKAGE_VERSION,
        description=_DESCRIPTION,
        max_body_size=limits.body,
    )
    batcher = Batcher(predictor)
    too_large = f"The body has over {limits.body} bytes, or the dialogue over {limits.turns} turns."
    refusals: dict[int | str, dict[str, Any]] = {
        status: {"model": Problem, "description": description}
        for status, description in {
            400: "The body is not JSON.",
            413: too_large,
            422: "The body is not such a dialogue; the reason names the field.",
            503: "Too many requests at a time, or no answer in time. Try again.",
        }.items()
    }

    async def refuse_large(request: Request) -> None:
        """Refuse a large dialogue before its validation, which costs 1000 times more."""
        try:
            turns, fields = _counts(await request.json())
        except (ValueError, RecursionError):  # not JSON: validation gives the reason
            return
        if turns > limits.turns:
            reason = f"{turns} turns, history included; the limit is {limits.turns}."
            raise HTTPException(413, f"{reason} Send the dialogue in parts.")
        if fields > MAX_FIELDS:
            raise HTTPException(422, f"An object with {fields} fields; /openapi.json says which there are.")

    @app.post(
        f"{PREFIX}emotions",
        summary="The emotion of every turn",
        responses=refusals,
        dependencies=[Depends(refuse_large)],
    )
    async def emotions(request: EmotionsRequest) -> list[LabelledTurn]:
        parameters = request.parameters or Parameters()
        history = as_history(parameters.history)
        turns = [{"speaker": turn.speaker, "text": turn.text} for turn in request.inputs]
        rows = await batcher.predict(turns, history) if turns else []
        return [LabelledTurn(**{**row, **highest_first(row, parameters.top_k)}) for row in rows]

    @app.get(HEALTH, summary="What is running", responses={503: refusals[503]})
    async def health() -> Health:
        return Health(status="ok", model=predictor.name, labels=predictor.labels, version=PACKAGE_VERSION)

    @app.exception_handler(RequestValidationError)
    async def refuse_invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        not_json = any(problem["type"] == "json_invalid" for problem in error.errors())
        return JSONResponse({"detail": _reasons(error)}, 400 if not_json else 422)

    @app.exception_handler(StarletteHTTPException)
    async def refuse(request: Request, error: StarletteHTTPException) -> JSONResponse:
        # The framework refuses a large body too, without naming the limit.
        by_framework = error.status_code == 413 and not isinstance(error, HTTPException)
        reason = limits.too_large if by_framework else error.detail
        return JSONResponse({"detail": reason}, error.status_code, error.headers)

    @app.exception_handler(Exception)
    async def report_failure(request: Request, error: Exception) -> JSONResponse:
        logger.error("A request failed", exc_info=error)
        return JSONResponse({"detail": "The server failed at this request; its log says why."}, 500)

    return app


def _counts(body: Any) -> tuple[int, int]:
    """Count a body's turns, history included, and the fields of its largest object."""
    if not isinstance(body, dict):
        return 0, 0
    inputs, parameters = body.get("inputs"), body.get("parameters")
    turns, fields = len(inputs) if isinstance(inputs, list) else 0, len(body)
    if isinstance(parameters, dict):
        fields = max(fields, len(parameters))
        if isinstance(history := parameters.get("history"), dict):
            turns += sum(len(texts) if isinstance(texts, list) and texts else 1 for texts in history.values())
    return turns, fields


def _reasons(error: RequestValidationError) -> str:
    """Describe the first problems as `inputs.0.text: Field required`.

    The values are left out: they need not be valid text.
    """
    problems = error.errors()
    reasons = []
    for problem in problems[:5]:
        field = ".".join(str(part) for part in problem["loc"] if part != "body")
        reasons.append(f"{field}: {problem['msg']}" if field else problem["msg"])
    more = f" (and {len(problems) - 5} more)" if len(problems) > 5 else ""
    return ("; ".join(reasons) + more).encode("utf-8", "replace").decode()
