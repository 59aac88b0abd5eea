"""The parts of a message as blocks: text, images, documents.

`cache_control` on a part stays on its block. Text that is blank is left out: the vendor refuses it.
"""

import binascii
from base64 import b64decode
from typing import Any

from altyn.chat import Fault

Block = dict[str, Any]

IMAGE_TYPES = {"image/jpg": "image/jpeg"}
"""Spelled wrongly so often that it is worth a row; the vendor refuses what it does not know."""


def write_content(content: str | list[Block]) -> list[Block]:
    """Raises `Fault("bad_request")` for what the vendor has no form for."""
    if isinstance(content, str):
        return [{"type": "text", "text": content}] if content.strip() else []
    return [block for part in content if (block := _write_part(part)) is not None]


def _write_part(part: Block) -> Block | None:
    block: Block
    match part["type"]:
        case "text" | "refusal" as kind:
            if not part[kind].strip():
                return None
            block = {"type": "text", "text": part[kind]}
        case "image_url":
            block = {"type": "image", "source": _write_image(part["image_url"]["url"])}
        case "file":
            block = _write_document(part["file"])
        case kind:
            raise Fault("bad_request", f"This model takes no parts of the type {kind}.")
    if part.get("cache_control"):
        block["cache_control"] = part["cache_control"]
    return block


def _write_image(url: str) -> Block:
    if not url.startswith("data:"):
        return {"type": "url", "url": url}
    media_type, data = _split_data_url(url)
    return {"type": "base64", "media_type": IMAGE_TYPES.get(media_type, media_type), "data": data}


def _write_document(file: Block) -> Block:
    data = file.get("file_data")
    if not data:
        # Files kept at the vendor are the operator's: no caller may name one.
        raise Fault("bad_request", "A file has to come with its file_data.")
    document: Block = {"type": "document", "source": _write_file(data)}
    if file.get("filename"):
        document["title"] = file["filename"]
    return document


def _write_file(data: str) -> Block:
    if not data.startswith("data:"):
        return {"type": "url", "url": data}
    media_type, data = _split_data_url(data)
    if media_type.startswith("text/"):
        return {"type": "text", "media_type": "text/plain", "data": _read_text(data)}
    return {"type": "base64", "media_type": media_type, "data": data}


def _split_data_url(url: str) -> tuple[str, str]:
    """The media type and the base64 of `data:image/png;base64,…`."""
    head, _, data = url.removeprefix("data:").partition(",")
    media_type, *more = head.split(";")
    if not data or more[-1:] != ["base64"]:
        raise Fault("bad_request", "A data URL has to be of the form data:TYPE;base64,DATA.")
    return media_type.lower(), data


def _read_text(data: str) -> str:
    try:
        return b64decode(data, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        raise Fault("bad_request", "A text file has to be UTF-8 in base64.") from None
