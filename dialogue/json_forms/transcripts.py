"""Read the JSON of speech recognisers: segments, utterances, words with speakers."""

from collections.abc import Iterable, Mapping
from typing import Any, TypeGuard

from .turns import JsonTurns, Object, Piece, has, join_words, merge_words, seconds

_TICK, _MILLI = 1e-7, 1e-3
_SPEAKERS = (
    *("speaker", "speaker_name", "speakerName", "speaker_label", "speakerLabel"),
    *("speaker_id", "speakerId"),
)


def take_transcript(document: Object, turns: JsonTurns) -> bool:
    """Add a transcript's turns to `turns`; False for any other document.

    Raises:
        DataFormatError: naming the segment and its field.
    """
    if not any(take(document, turns) for take in _FORMS):
        return False
    names = names_of_speakers(document)
    for turn in turns.conversations[-1].turns:
        turn["text"] = turn["text"].strip()  # recognisers begin a segment with a blank
        turn["speaker"] = names.get(turn["speaker"], turn["speaker"])
    return True


def names_of_speakers(document: Object) -> dict[str, str]:
    """The names by label that a document lists under `speakers`; empty without any."""
    known = document.get("speakers")
    if not isinstance(known, list) or not all(isinstance(item, Mapping) for item in known):
        return {}
    labels = [_first(item, ("id", "spkid", "speaker_id", "label", "speaker")) for item in known]
    named = zip(labels, (_first(item, ("name", "speaker_name")) for item in known), strict=True)
    return {str(label): name for label, name in named if label is not None and isinstance(name, str) and name}


def _take_segments(segments: Any, turns: JsonTurns, name: str = "segment") -> None:
    """Add segments of the Whisper family, each of them a turn.

    A segment without a speaker whose words have some is divided where they change.
    """
    for index, segment in enumerate(turns.objects(segments, name), 1):
        location = f"{name} {index}"
        start, end = _times(segment)
        words = segment.get("words") if isinstance(segment.get("words"), list) else []
        spoken = [word for word in words or [] if isinstance(word, Mapping)]
        speaker = _first(segment, _SPEAKERS)
        if speaker is None and any(word.get("speaker") is not None for word in spoken):
            _add(turns, merge_words(_words(spoken, "speaker")), location)
        elif "text" not in segment and spoken:
            turns.add(speaker, join_words(_words(spoken, "speaker")), location, start, end)
        elif isinstance(segment.get("text"), str) and not segment["text"].strip():
            turns.leave_out(name, "without text")
        else:
            turns.add(speaker, segment.get("text", segment.get("body")), location, start, end)


def _whisper(document: Object, turns: JsonTurns) -> bool:
    segments = document.get("segments")
    if isinstance(segments, list) and segments:
        turns.begin(_whisper_form(document, segments))
        _take_segments(segments, turns)
    elif isinstance(document.get("word_segments"), list):
        turns.begin("whisperX JSON")
        words = turns.objects(document["word_segments"], "word")
        _add(turns, merge_words(_words(words, "speaker")), "word")
    elif isinstance(document.get("text"), str) and (
        {"task", "usage", "language", "duration", "logprobs", "segments"} & set(document)
    ):
        if has(document, "words") and "language_code" in document:
            return False  # ElevenLabs
        turns.begin("transcription JSON")
        turns.add(None, document["text"], "text")
    else:
        return False
    return True


def _whisper_form(document: Object, segments: list[Any]) -> str:
    first = segments[0] if isinstance(segments[0], Mapping) else {}
    if "task" in document or "usage" in document or "type" in first:
        return "OpenAI transcription JSON"
    diarized = any(isinstance(segment, Mapping) and {*_SPEAKERS} & {*segment} for segment in segments)
    return "whisperX JSON" if diarized or "word_segments" in document or "words" in first else "Whisper JSON"


def _chunks(document: Object, turns: JsonTurns) -> bool:
    """Read the chunks of transformers, insanely-fast-whisper and whisper.cpp."""
    for key, form in (
        ("speakers", "insanely-fast-whisper JSON"),
        ("chunks", "transformers transcription JSON"),
        ("transcription", "whisper.cpp JSON"),
    ):
        items = document.get(key)
        if not _all_have(items, "text") or not any(has(items[0], one) for one in _TIME_FIELDS):
            continue
        turns.begin(form)
        _take_segments(items, turns, "chunk")
        return True
    return False


def _assembly(document: Object, turns: JsonTurns) -> bool:
    """Read AssemblyAI's JSON, whose times are whole milliseconds, and Gladia's."""
    inner = document.get("result")
    inner = inner.get("transcription") if isinstance(inner, Mapping) else None
    source = inner if isinstance(inner, Mapping) and "utterances" in inner else document
    utterances = source.get("utterances")
    milliseconds = source is document
    if _all_have(utterances, "text"):
        turns.begin("AssemblyAI JSON" if milliseconds else "Gladia JSON")
        for index, utterance in enumerate(utterances, 1):
            unit = _unit(utterance) if milliseconds else 1.0
            speaker = _first(utterance, (*_SPEAKERS, "channel"))
            _add(turns, [_piece(utterance, speaker, utterance["text"], unit)], f"utterance {index}")
        return True
    words = document.get("words")
    if not _all_have(words, "text", "start") or has(words[0], "type"):
        return False
    turns.begin("AssemblyAI JSON")
    _add(turns, merge_words(_words(words, "speaker", "text", _unit(words[-1]))), "words")
    return True


def _deepgram(document: Object, turns: JsonTurns) -> bool:
    results = document.get("results")
    if not isinstance(results, Mapping) or not {"channels", "utterances"} & set(results):
        return False
    turns.begin("Deepgram JSON")
    channels = turns.objects(results.get("channels") or [], "results.channels")
    if _all_have(results.get("utterances"), "transcript"):
        many = _differ(results["utterances"], "channel")
        pieces = [
            _piece(item, _speaker_or_channel(item, many), item["transcript"])
            for item in results["utterances"]
        ]
        _add(turns, _in_time(pieces) if many else pieces, "utterance")
        return True
    pieces = []
    for index, channel in enumerate(channels):
        alternatives = turns.objects(channel.get("alternatives") or [], f"channel {index}, alternatives")
        for alternative in alternatives[:1]:  # the best one
            fallback = index if len(channels) > 1 else None
            pieces += _alternative(alternative, fallback, turns)
    _add(turns, _in_time(pieces) if len(channels) > 1 else pieces, "channels")
    return True


def _alternative(alternative: Object, fallback: Any, turns: JsonTurns) -> list[Piece]:
    """Read Deepgram's paragraphs, else its words, else its transcript."""
    paragraphs = alternative.get("paragraphs")
    paragraphs = paragraphs.get("paragraphs") if isinstance(paragraphs, Mapping) else None
    words = alternative.get("words")
    if _all_have(paragraphs, "sentences") and (
        fallback is not None or any("speaker" in paragraph for paragraph in paragraphs)
    ):
        return [
            _piece(
                paragraph,
                paragraph.get("speaker", fallback),
                join_words(
                    Piece(None, _text(sentence.get("text")))
                    for sentence in turns.objects(paragraph["sentences"], "sentences")
                ),
            )
            for paragraph in paragraphs
        ]
    if _all_have(words, "word"):
        text = "punctuated_word" if has(words[0], "punctuated_word") else "word"
        merged = merge_words(_words(words, "speaker", text))
        return [piece if piece.speaker is not None else piece._replace(speaker=fallback) for piece in merged]
    return [Piece(fallback, alternative["transcript"])] if alternative.get("transcript") else []


def _aws(document: Object, turns: JsonTurns) -> bool:
    """Read Amazon Transcribe's JSON: audio segments, or items with speaker labels."""
    calls = document.get("Transcript")
    if _all_have(calls, "Content") and all(
        {"ParticipantRole", "ParticipantId"} & set(item) for item in calls
    ):
        turns.begin("Amazon Transcribe Call Analytics JSON")
        for index, item in enumerate(calls, 1):
            start, end = (seconds(item.get(f"{side}OffsetMillis"), _MILLI) for side in ("Begin", "End"))
            speaker = _first(item, ("ParticipantRole", "ParticipantId"))
            turns.add(speaker, item["Content"], f"Transcript {index}", start, end)
        return True
    results = document.get("results")
    if not isinstance(results, Mapping) or not {"transcripts", "items", "audio_segments"} & set(results):
        return False
    turns.begin("Amazon Transcribe JSON")
    items = turns.objects(results.get("items") or [], "results.items")
    segments = results.get("audio_segments")
    if _all_have(segments, "transcript") and (
        all("speaker_label" in segment for segment in segments) or "speaker_labels" not in results
    ):
        fields = ("speaker_label", "channel_label")
        pieces = [_piece(item, _first(item, fields), item["transcript"]) for item in segments]
        many = _differ(segments, "channel_label")
        _add(turns, _in_time(pieces) if many else pieces, "audio segment")
    elif items:
        _add(turns, merge_words(_aws_words(results, items, turns)), "items")
    else:
        for index, item in enumerate(turns.objects(results.get("transcripts"), "results.transcripts"), 1):
            turns.add(None, item.get("transcript"), f"transcript {index}")
    return True


def _aws_words(results: Object, items: list[Object], turns: JsonTurns) -> Iterable[Piece]:
    """Yield the words; older documents list their speakers apart, by time."""
    labels = results.get("speaker_labels")
    labels = labels.get("segments") if isinstance(labels, Mapping) else None
    segments = turns.objects(labels or [], "speaker_labels.segments")
    speakers = {
        str(word.get("start_time")): word.get("speaker_label", segment.get("speaker_label"))
        for segment in segments
        for word in turns.objects(segment.get("items") or [], "speaker_labels.segments.items")
    }
    for index, item in enumerate(items, 1):
        best = turns.objects(item.get("alternatives"), f"items {index}, alternatives")
        attached = item.get("type") == "punctuation"
        speaker = item.get("speaker_label", speakers.get(str(item.get("start_time"))))
        speaker = item.get("channel_label") if speaker is None else speaker
        if best and isinstance(best[0].get("content"), str):
            start, end = _times(item)
            yield Piece(None if attached else speaker, best[0]["content"], start, end, attached)


def _azure(document: Object, turns: JsonTurns) -> bool:
    """Read Azure's batch transcription, channel by channel, and the fast one."""
    if _all_have(document.get("phrases"), "text"):
        turns.begin("Azure transcription JSON")
        many = _differ(document["phrases"], "channel")
        pieces = []
        for phrase in document["phrases"]:
            start, length = (
                seconds(phrase.get(f"{key}Milliseconds"), _MILLI) for key in ("offset", "duration")
            )
            end = None if start is None or length is None else round(start + length, 6)
            pieces.append(Piece(_speaker_or_channel(phrase, many), phrase["text"], start, end))
        _add(turns, _in_time(pieces) if many else pieces, "phrase")
        return True
    if not isinstance(document.get("recognizedPhrases"), list):
        return False
    turns.begin("Azure transcription JSON")
    phrases = turns.objects(document["recognizedPhrases"], "recognizedPhrases")
    many = _differ(phrases, "channel")
    pieces = []
    for index, phrase in enumerate(phrases, 1):
        best = turns.objects(phrase.get("nBest") or [], f"recognizedPhrases {index}, nBest")
        if phrase.get("recognitionStatus", "Success") != "Success" or not best:
            turns.leave_out("phrase", "that was not recognised")
            continue
        start = seconds(phrase.get("offsetInTicks"), _TICK)
        start = seconds(phrase.get("offset")) if start is None else start
        length = seconds(phrase.get("durationInTicks"), _TICK)
        length = seconds(phrase.get("duration")) if length is None else length
        end = None if start is None or length is None else round(start + length, 6)
        speaker = _speaker_or_channel(phrase, many)
        pieces.append(Piece(speaker, _first(best[0], ("display", "itn", "lexical")), start, end))
    _add(turns, _in_time(pieces) if many else pieces, "phrase")
    return True


def _teams(document: Object, turns: JsonTurns) -> bool:
    """Read a transcript as Teams and Stream store it, or as Graph's metadata content."""
    for key, speakers, text in (
        ("entries", ("speakerDisplayName", "speakerId"), "text"),
        ("value", ("speakerName",), "spokenText"),
    ):
        entries = document.get(key)
        if _all_have(entries, text) and any(has(entry, speakers[0]) for entry in entries):
            turns.begin("Teams transcript JSON")
            for index, entry in enumerate(entries, 1):
                start, end = seconds(entry.get("startOffset")), seconds(entry.get("endOffset"))
                turns.add(_first(entry, speakers), entry[text], f"entry {index}", start, end)
            return True
    return False


def _google(document: Object, turns: JsonTurns) -> bool:
    """Read Google's JSON.

    With diarization its first version repeats all words, with their speakers, in the last
    result; the second version has each word once.
    """
    inner = document.get("response", document)
    results = inner.get("results") if isinstance(inner, Mapping) else None
    if not _all_have(results, "alternatives"):
        return False
    best = [
        (turns.objects(result["alternatives"], f"result {index}, alternatives") or [{}])[0]
        for index, result in enumerate(results, 1)
    ]
    if any("content" in alternative for alternative in best):
        return _speechmatics(results, best, turns)
    turns.begin("Google Speech-to-Text JSON")
    words = [
        turns.objects(found.get("words") or [], f"result {index}, words")
        for index, found in enumerate(best, 1)
    ]
    tagged = [any(_tag(word) is not None for word in spoken) for spoken in words]
    if tagged and tagged[-1]:
        earlier = [_word(word) for spoken in words[:-1] for word in spoken]
        repeated = not any(tagged[:-1]) or [_word(word) for word in words[-1]] == earlier
        spoken = words[-1] if repeated else [word for part in words for word in part]
        _add(turns, merge_words(_google_words(spoken)), "words")
    elif any(tagged):
        _add(turns, merge_words(_google_words([word for part in words for word in part])), "words")
    else:
        for index, alternative in enumerate(best, 1):
            if alternative.get("transcript"):
                turns.add(None, alternative["transcript"], f"result {index}")
    return True


def _tag(word: Object) -> Any:
    return _first(word, ("speakerTag", "speaker_tag", "speakerLabel", "speaker_label")) or None


def _word(word: Object) -> Any:
    return word.get("word")


def _google_words(words: list[Object]) -> Iterable[Piece]:
    for word in words:
        start, end = (
            seconds(_first(word, keys))
            for keys in (
                ("startTime", "startOffset", "start_time", "start_offset"),
                ("endTime", "endOffset", "end_time", "end_offset"),
            )
        )
        yield Piece(_tag(word), _text(word.get("word")), start, end)


def _speechmatics(results: list[Object], best: list[Object], turns: JsonTurns) -> bool:
    turns.begin("Speechmatics JSON")
    words = []
    for result, alternative in zip(results, best, strict=True):
        attached = result.get("type") == "punctuation" and result.get("attaches_to", "previous") != "next"
        speaker = None if alternative.get("speaker") == "UU" else alternative.get("speaker")
        words.append(Piece(speaker, _text(alternative.get("content")), *_times(result), attached))
    _add(turns, merge_words(words), "results")
    return True


def _rev(document: Object, turns: JsonTurns) -> bool:
    if not _all_have(document.get("monologues"), "elements"):
        return False
    turns.begin("Rev AI JSON")
    for index, monologue in enumerate(document["monologues"], 1):
        elements = turns.objects(monologue["elements"], f"monologue {index}, elements")
        text = "".join(str(element.get("value", "")) for element in elements)
        start = next((seconds(element["ts"]) for element in elements if "ts" in element), None)
        ends = [seconds(element["end_ts"]) for element in elements if "end_ts" in element]
        turns.add(monologue.get("speaker"), text, f"monologue {index}", start, ends[-1] if ends else None)
    return True


def _word_list(document: Object, turns: JsonTurns) -> bool:
    """Read ElevenLabs' words and Soniox' tokens, which bring their own blanks."""
    words, tokens = document.get("words"), document.get("tokens")
    if _all_have(words, "text", "type"):
        turns.begin("ElevenLabs JSON")
        events = [word for word in words if word["type"] == "audio_event"]
        for _ in events:
            turns.leave_out("audio event")
        spoken = [word for word in words if word["type"] != "audio_event"]
        # The blank between two speakers has the label of the one before.
        _add(turns, merge_words(_words(spoken, "speaker_id", "text")), "words")
        return True
    if _all_have(tokens, "text") and any("speaker" in token for token in tokens):
        turns.begin("Soniox JSON")
        pieces = [
            Piece(
                token.get("speaker"),
                _text(token["text"]),
                seconds(token.get("start_ms"), _MILLI),
                seconds(token.get("end_ms"), _MILLI),
            )
            for token in tokens
            if token.get("translation_status") != "translation"
        ]
        _add(turns, merge_words(pieces), "tokens")
        return True
    return False


_TIME_FIELDS = ("timestamp", "timestamps", "offsets", "start")
_FORMS = (
    *(_assembly, _deepgram, _aws, _azure, _teams, _google, _rev, _word_list),
    *(_chunks, _whisper),
)


def _all_have(items: Any, *keys: str) -> TypeGuard[list[Object]]:
    """Whether `items` is a list of objects, at least one, that all have the keys."""
    return (
        isinstance(items, list)
        and bool(items)
        and all(isinstance(item, Mapping) and has(item, *keys) for item in items)
    )


def _first(item: Object, keys: Iterable[str]) -> Any:
    """The value of the first key that an object has, None without any."""
    return next((item[key] for key in keys if item.get(key) is not None), None)


def _unit(item: Object) -> float:
    """Tell AssemblyAI's whole milliseconds from the seconds of others."""
    return _MILLI if all(isinstance(item.get(key, 0), int) for key in ("start", "end")) else 1.0


def _times(item: Object, unit: float = 1.0) -> tuple[float | None, float | None]:
    """The start and end of a segment or word, in seconds."""
    pair = item.get("timestamp")
    if isinstance(pair, list) and len(pair) == 2:
        return seconds(pair[0]), seconds(pair[1])
    for key, scale in (("offsets", _MILLI), ("timestamps", 1.0)):
        if isinstance(item.get(key), Mapping):
            return seconds(item[key].get("from"), scale), seconds(item[key].get("to"), scale)
    start, end = _first(item, ("start", "start_time")), _first(item, ("end", "end_time"))
    return seconds(start, unit), seconds(end, unit)


def _piece(item: Object, speaker: Any, text: Any, unit: float = 1.0) -> Piece:
    return Piece(speaker, text, *_times(item, unit))


def _words(
    words: Iterable[Object], speaker: str, text: str | None = None, unit: float = 1.0
) -> Iterable[Piece]:
    for word in words:
        found = word.get(text) if text is not None else _first(word, ("word", "text"))
        yield Piece(word.get(speaker), _text(found), *_times(word, unit))


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _differ(items: list[Object], key: str) -> bool:
    """Whether the items have several values of a key, such as two channels."""
    return len({str(item.get(key)) for item in items}) > 1


def _speaker_or_channel(item: Object, many: bool) -> Any:
    """The speaker; without one, the channel of a recording of several."""
    return _first(item, ("speaker", "channel") if many else ("speaker",))


def _in_time(pieces: list[Piece]) -> list[Piece]:
    """Sort the turns of several channels, which follow each other in the document."""
    if any(piece.start is None for piece in pieces):
        return pieces
    return sorted(pieces, key=lambda piece: piece.start or 0.0)


def _add(turns: JsonTurns, pieces: Iterable[Piece], location: str) -> None:
    for index, piece in enumerate(pieces, 1):
        if isinstance(piece.text, str) and not piece.text.strip():
            turns.leave_out("turn", "without text")
        else:
            turns.add(piece.speaker, piece.text, f"{location} {index}", piece.start, piece.end)
