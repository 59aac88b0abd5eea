"""What stands beside the text of a candidate: where it is from, and how likely each token was."""

from typing import Any, TypeVar

import msgspec
from msgspec import Raw, field

from altyn.chat import Fault
from altyn.upstream.dialects.gemini.wire import NOTHING, UNREADABLE, Wire

Said = dict[str, Any]

INNER_BYTES = bytes(range(0x80, 0xC0))
"""What follows the first byte of a letter in UTF-8."""

INNER = frozenset(bytes([byte]) for byte in INNER_BYTES)


class Source(Wire):
    uri: str = ""
    title: str = ""


class GroundingChunk(Wire):
    web: Source | None = None


class Segment(Wire):
    start_index: int = 0
    end_index: int = 0


class GroundingSupport(Wire):
    segment: Segment | None = None
    grounding_chunk_indices: list[int] = field(default_factory=list)


class Grounding(Wire):
    grounding_chunks: list[GroundingChunk] = field(default_factory=list)
    grounding_supports: list[GroundingSupport] = field(default_factory=list)


class Citation(Wire):
    uri: str = ""
    title: str = ""
    start_index: int = 0
    end_index: int = 0


class Citations(Wire):
    citation_sources: list[Citation] = field(default_factory=list)


class Likelihood(Wire):
    token: str = ""
    log_probability: float = 0.0


class Likelihoods(Wire):
    candidates: list[Likelihood] = field(default_factory=list)


class Logprobs(Wire):
    chosen_candidates: list[Likelihood] = field(default_factory=list)
    top_candidates: list[Likelihoods] = field(default_factory=list)


_GROUNDING = msgspec.json.Decoder(Grounding)
_CITATIONS = msgspec.json.Decoder(Citations)
_LOGPROBS = msgspec.json.Decoder(Logprobs)

Read = TypeVar("Read")


def read_annotations(grounding: Raw, citations: Raw, text: str) -> list[Said]:
    """Citations of web pages in OpenAI's form. Google counts bytes of UTF-8, OpenAI letters."""
    found: list[tuple[Source | Citation, Segment | Citation]] = []
    if grounding is not NOTHING:
        found += _grounded(_decode(_GROUNDING, grounding))
    if citations is not NOTHING:
        found += [(c, c) for c in _decode(_CITATIONS, citations).citation_sources if c.uri]
    ends = {end for _, place in found for end in (place.start_index, place.end_index)}
    letters = _letters(text.encode(), ends)
    return [_annotation(source, place, letters) for source, place in found]


def _grounded(grounding: Grounding) -> list[tuple[Source | Citation, Segment | Citation]]:
    chunks = grounding.grounding_chunks
    return [
        (web, support.segment)
        for support in grounding.grounding_supports
        for number in support.grounding_chunk_indices
        if support.segment is not None
        and 0 <= number < len(chunks)
        and (web := chunks[number].web) is not None
    ]


def _annotation(
    source: Source | Citation, place: Segment | Citation, letters: dict[int, int]
) -> Said:
    citation = {
        "start_index": letters[place.start_index],
        "end_index": letters[place.end_index],
        "url": source.uri,
        "title": source.title,
    }
    return {"type": "url_citation", "url_citation": citation}


def _letters(text: bytes, sizes_bytes: set[int]) -> dict[int, int]:
    """How many whole letters so many bytes hold. One walk for all: a text may have many sources."""
    letters: dict[int, int] = {}
    counted = at = 0
    for size_bytes in sorted(sizes_bytes):
        end = min(max(size_bytes, at), len(text))
        counted += len(text[at:end].translate(None, INNER_BYTES))
        at = end
        letters[size_bytes] = counted - (text[at : at + 1] in INNER and at > 0)
    return letters


def read_logprobs(raw: Raw) -> Said:
    """OpenAI's `logprobs` of a choice."""
    told = _decode(_LOGPROBS, raw)
    tops = [_tokens(top.candidates) for top in told.top_candidates]
    content = _tokens(told.chosen_candidates)
    for number, token in enumerate(content):
        token["top_logprobs"] = tops[number] if number < len(tops) else []
    return {"content": content, "refusal": None}


def _tokens(likelihoods: list[Likelihood]) -> list[Said]:
    return [
        {"token": one.token, "logprob": one.log_probability, "bytes": list(one.token.encode())}
        for one in likelihoods
    ]


def _decode(decoder: msgspec.json.Decoder[Read], raw: Raw) -> Read:
    try:
        return decoder.decode(raw)
    except UNREADABLE as error:
        raise Fault("invalid", f"the answer cannot be read: {error}") from None
