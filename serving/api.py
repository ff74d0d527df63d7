"""Answer JSON requests: turns or a text in, the emotion of every turn out."""

import asyncio
import logging
import re
from typing import Annotated, Any, Literal

from fastapi import Depends, FastAPI, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi_offline import FastAPIOffline
from pydantic import BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag
from starlette.exceptions import HTTPException as StarletteHTTPException

from ..constants import PACKAGE_VERSION
from ..dialogue.names import clean_name
from ..dialogue.reader import as_history, read_text
from ..dialogue.reading import Conversation, Reading
from ..errors import EmoNetError
from ..inference.known_labels import known_of
from .batching import Batcher
from .limits import HEALTH, PREFIX, Limits
from .predictor import Predictor, highest_first
from .reading_header import NAME as READING_HEADER
from .reading_header import reading_header

logger = logging.getLogger("emonet.serving")

MAX_FIELDS = 100  # of an object whose fields are known
MAX_NAME, MAX_TEXT = 200, 20_000  # characters
_DESCRIPTION = (
    "Emotion recognition in conversation: every turn of a dialogue gets an emotion, from its text, what "
    "was said before and who speaks. Request and answer are those of `handler.py` on Inference Endpoints, "
    "for one dialogue or one text."
)


_READING = {
    "description": "How the request was read, as JSON in ASCII: `form`, `turns`, `dialogues`, `speakers` "
    "(turns by name) and `notes` (what was left out, who is a role, which spellings are one person).",
    "schema": {"type": "string"},
}

# `max_length` also refuses unpaired surrogates, which JSON can write and UTF-8 cannot.
Name = Annotated[
    str,
    Field(min_length=1, max_length=MAX_NAME, description="A person's name, or a role.", examples=["Theo"]),
]
Label = Annotated[str, Field(min_length=1, max_length=MAX_NAME)]
Text = Annotated[
    str,
    Field(
        max_length=MAX_TEXT,
        description="What is said; may be empty.",
        examples=["You threw away my sandwich?!"],
    ),
]


def _as_integer(value: Any) -> Any:
    """JSON has one type of number: read 3.0 as 3 (but neither a string nor `true`)."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _form(inputs: Any) -> str | None:
    """Tell turns from a text, so that an error names the fields of one of them."""
    return _FORMS.get(type(inputs).__name__)


_FORMS = {"list": "turns", "str": "text"}
PositiveInteger = Annotated[int, Field(strict=True, ge=1), BeforeValidator(_as_integer)]


class Turn(BaseModel):
    """One turn. Other fields are ignored."""

    speaker: Name
    text: Text
    known_emotion: Label | dict[Label, float] | None = Field(
        default=None,
        description="Its emotion, where it is known: a label of the model, or a probability for each. It "
        "comes back as given and tells about later turns; read by models with label evidence.",
        examples=["Mad", {"Mad": 0.7, "Sad": 0.3}],
    )


class Parameters(BaseModel):
    """How to answer."""

    model_config = ConfigDict(extra="forbid")
    history: dict[Name, list[Text]] | None = Field(
        default=None,
        description="What speakers said in earlier dialogues, oldest first; "
        "read by models with a memory of the corpus.",
        examples=[{"Theo": ["I made that myself."]}],
    )
    speakers: Literal["auto", "persons", "roles"] | Annotated[list[Name], Field(min_length=1)] = Field(
        default="auto",
        description="Who is the same person in every dialogue: by the names (a SPEAKER_00 is not), all, "
        "nobody, or those that are named.",
        examples=["auto"],
    )
    use_later_labels: bool = Field(
        default=False, description="Whether a known emotion also tells about earlier turns."
    )
    top_k: PositiveInteger | None = Field(
        default=None, description="How many of the highest scores to give; all by default.", examples=[3]
    )


Turns = Annotated[list[Turn], Tag("turns"), Field(title="Turns", description="The turns in order.")]
# The bound on the whole body holds for a text; `max_length` refuses surrogates here too.
Script = Annotated[
    str,
    Tag("text"),
    Field(
        title="Text",
        max_length=2**31,
        description="A text in any form that `emonet predict` reads, one or several dialogues: `Name: text` "
        "lines, subtitles, an export of a messenger, CSV or JSON. A text that is none of them, or may be "
        "read in two ways, is refused with its line.",
        examples=["Theo: You threw away my sandwich?!\nMaya: I'm so sorry."],
    ),
]


class EmotionsRequest(BaseModel):
    """A dialogue as turns or as text, or a text of several dialogues."""

    model_config = ConfigDict(extra="forbid")
    inputs: Annotated[
        Turns | Script,
        Discriminator(
            _form,
            custom_error_type="turns_or_text",
            custom_error_message="Input should be a valid list of turns, or a text",
        ),
    ]
    parameters: Parameters | None = None


class LabelledTurn(BaseModel):
    """A turn with its emotion."""

    dialogue_id: str | None = Field(
        default=None, description="Its dialogue, for a text of several; rows are in the order of the text."
    )
    speaker: str
    text: str
    start: float | None = Field(default=None, description="Seconds, where the text has times.")
    end: float | None = Field(default=None, description="Seconds, where the text has times.")
    label: str = Field(description="The most probable emotion.")
    score: float = Field(ge=0, le=1, description="Its probability.")
    scores: dict[str, float] = Field(description="Probabilities by emotion, from the highest down.")
    source: Literal["given", "predicted"] | None = Field(
        default=None, description="Whether the emotion was known, in a dialogue where one is."
    )


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
            422: "The body is no such dialogue; the reason names the field, or the line of a text.",
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
        responses={200: {"headers": {READING_HEADER: _READING}}, **refusals},
        dependencies=[Depends(refuse_large)],
        response_model_exclude_none=True,
    )
    async def emotions(request: EmotionsRequest, response: Response) -> list[LabelledTurn]:
        parameters = request.parameters or Parameters()
        history = as_history(parameters.history)
        speakers: str | list[str] = parameters.speakers
        if isinstance(speakers, list):
            speakers = [name for name in speakers if clean_name(name)] or "auto"
        if isinstance(request.inputs, str):
            room = limits.turns - sum(max(1, len(texts)) for texts in history.values())
            reading = await asyncio.to_thread(_read, request.inputs, room, limits)
        else:
            turns = [turn.model_dump(exclude_none=True) for turn in request.inputs]
            reading = Reading("a list of turns", [Conversation("0", turns)] if turns else [])
        known = predictor.processor.speakers
        response.headers.update(reading_header(reading, history, speakers, known))
        found = reading.conversations
        dialogues = [conversation.turns for conversation in found]
        try:
            known_of(predictor.processor, dialogues)
        except EmoNetError as error:
            raise HTTPException(422, _printable(f"inputs: {error}")) from error
        later, answers = parameters.use_later_labels, []
        if dialogues:
            answers = await batcher.predict(dialogues, history, speakers, later)
        return [
            LabelledTurn(
                **{**row, **highest_first(row, parameters.top_k)},
                dialogue_id=conversation.dialogue_id if len(found) > 1 else None,
            )
            for conversation, rows in zip(found, answers, strict=True)
            for row in rows
        ]

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


def _read(text: str, room: int, limits: Limits) -> Reading:
    """Read a text, and keep the bounds on turns, names and utterances.

    Args:
        text: The text of a request.
        room: How many turns it may have.
        limits: For the reason of a refusal.

    Raises:
        HTTPException: with the reader's reason, or the bound.
    """
    try:
        reading = read_text(text, "inputs")
    except EmoNetError as error:
        raise HTTPException(422, _printable(str(error))) from error
    size = reading.speakers.total()
    if size > room:
        reason = f"{size + limits.turns - room} turns, history included; the limit is {limits.turns}."
        raise HTTPException(413, f"{reason} Send the dialogue in parts.")
    for conversation in reading.conversations:
        for index, turn in enumerate(conversation.turns):
            for field, most in (("speaker", MAX_NAME), ("text", MAX_TEXT)):
                if len(turn[field]) > most:
                    location = f"inputs, dialogue {conversation.dialogue_id[:80]}, turn {index}, {field}"
                    reason = f"{location}: {len(turn[field])} characters; the limit is {most}."
                    raise HTTPException(422, _printable(reason))
    return reading


def _printable(reason: str) -> str:
    return reason.encode("utf-8", "replace").decode()


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
        for form in _FORMS.values():  # the form that was tried is no field
            field = re.sub(rf"^inputs\.{form}\b", "inputs", field)
        reasons.append(f"{field}: {problem['msg']}" if field else problem["msg"])
    more = f" (and {len(problems) - 5} more)" if len(problems) > 5 else ""
    return _printable("; ".join(reasons) + more)
