"""Every text of the cabinet that has to be translated, found where it is written.

Run as a program it prints what the Russian catalogue lacks, ready to be pasted and filled in:
`PYTHONPATH=src .venv/bin/python tests/web/catalogue.py`.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from babel.messages.extract import extract
from babel.messages.pofile import read_po

import altyn.web

WEB = Path(altyn.web.__file__).parent
RUSSIAN = WEB / "locale" / "ru"
KEYWORDS = {"N_": None, "_": None, "gettext": None, "ngettext": (1, 2)}
Text = str | tuple[str, ...]


def written() -> dict[Text, str]:
    """Each text, and a file that holds it. A pair is one with a plural."""
    found: dict[Text, str] = {}
    for method, pattern in (("python", "*.py"), ("jinja2.ext:babel_extract", "*.html")):
        for path in sorted(WEB.rglob(pattern)):
            for text in _texts(path, method):
                found.setdefault(text, str(path.relative_to(WEB)))
    return found


def _texts(path: Path, method: str) -> Iterator[Text]:
    options = {"trimmed": "true", "silent": "false", "extensions": "jinja2.ext.do"}
    with path.open("rb") as file:
        messages: Any = extract(method, file, KEYWORDS, options=options)
        for _, message, _, _ in messages:
            yield tuple(message) if isinstance(message, list | tuple) else message


def translated() -> dict[Text, Any]:
    """What the Russian catalogue says, by English text, the plural ones by both forms."""
    said: dict[Text, Any] = {}
    for path in sorted(RUSSIAN.glob("*.po")):
        with path.open("rb") as file:
            for message in read_po(file, locale="ru"):
                if message.id:
                    known = said.get(message.id, message.string)
                    assert known == message.string, f"{message.id!r} is translated in two ways"
                    assert not message.fuzzy, f"{path.name}: {message.id!r} is fuzzy"
                    said[message.id] = message.string
    return said


def missing() -> dict[Text, str]:
    said = translated()
    return {
        text: place
        for text, place in written().items()
        if not (all(said[text]) if isinstance(said.get(text), tuple) else said.get(text))
    }


def _entry(text: Text, place: str) -> str:
    def quoted(part: str) -> str:
        return '"' + part.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'

    if isinstance(text, str):
        return f'#: {place}\nmsgid {quoted(text)}\nmsgstr ""\n'
    forms = "".join(f'msgstr[{number}] ""\n' for number in range(3))
    return f"#: {place}\nmsgid {quoted(text[0])}\nmsgid_plural {quoted(text[1])}\n{forms}"


if __name__ == "__main__":
    for text, place in missing().items():
        print(_entry(text, place))  # noqa: T201 -- it is a program too
