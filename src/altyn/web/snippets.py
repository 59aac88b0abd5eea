"""One call of the API as code that runs when pasted: in five languages, from one description.

The documentation, the pages of models and the playground show nothing else, and a test runs what is
shown, each in its own language.
"""

from collections.abc import Callable, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Any
from urllib.parse import urlencode

from markupsafe import Markup
from msgspec import Struct
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_by_name

from altyn.web.literals import (
    JAVASCRIPT,
    JS_HEADERS,
    JSON,
    PHP,
    PYTHON,
    js_text,
    json_text,
    php_text,
    write_value,
)

KEY = "YOUR_API_KEY"
"""What stands in the place of a key; whoever copies a snippet puts their own there."""

NOTHING: Mapping[str, Any] = MappingProxyType({})


class Call(Struct, frozen=True, kw_only=True):
    """One request: its path under the base URL, and what is sent."""

    path: str
    body: Mapping[str, Any] | None = None
    query: Mapping[str, str] = NOTHING
    headers: Mapping[str, str] = NOTHING

    @property
    def method(self) -> str:
        return "GET" if self.body is None else "POST"

    @property
    def streams(self) -> bool:
        return self.path == "/chat/stream" or bool(self.body and self.body.get("stream"))

    def url(self, base: str) -> str:
        asked = f"?{urlencode(self.query)}" if self.query else ""
        return f"{base}{self.path}{asked}"


def write(call: Call, language: str, *, base: str, key: str = KEY) -> str:
    """The call as a program of a language in `LANGUAGES`."""
    return WRITERS[language](call, base, key)


def blocks(call: Call, *, base: str) -> list[tuple[str, str, Markup]]:
    """The call in every language: name, label and coloured text, as `ui.code_tabs` takes it."""
    return [
        (name, label, colour(write(call, name, base=base), LEXERS[name]))
        for name, label in LANGUAGES.items()
    ]


@lru_cache(maxsize=512)
def colour(text: str, lexer: str) -> Markup:
    """Code with its parts named by classes, for the style sheet to colour."""
    coloured: str = highlight(text, get_lexer_by_name(lexer), HtmlFormatter(nowrap=True))
    # Pygments escapes what it is given, and only its own spans stand around it.
    return Markup(coloured.rstrip("\n"))  # noqa: S704


# curl --------------------------------------------------------------------------------------------


def _curl(call: Call, base: str, key: str) -> str:
    url = call.url(base)
    words = ["curl", *(["-N"] if call.streams else []), *(["-X POST"] if call.body else [])]
    lines = [" ".join([*words, f'"{url}"' if call.query else url])]
    lines += [f'  -H "{name}: {value}"' for name, value in _headers(call, key).items()]
    if call.body is not None:
        # The one sign that a shell reads inside single quotes.
        body = write_value(call.body, JSON, indent=2).replace("'", "'\\''")
        lines.append(f"  -d '{body}'")
    return " \\\n".join(lines)


def _headers(call: Call, key: str) -> dict[str, str]:
    headers = {"Authorization": f"Bearer {key}"}
    if call.body is not None:
        headers["Content-Type"] = "application/json"
    return headers | dict(call.headers)


# Python ------------------------------------------------------------------------------------------

PYTHON_STREAM = """\
with requests.post(url, headers=headers, json=data, stream=True) as response:
    for line in response.iter_lines():
        if not line.startswith(b"data: ") or line == b"data: [DONE]":
            continue
        chunk = json.loads(line[6:])
        if "error" in chunk:
            raise SystemExit(chunk["error"]["message"])
        for choice in chunk["choices"]:
            print(choice["delta"].get("content") or "", end="", flush=True)
        if chunk.get("usage"):
            print("\\n", chunk["usage"]["cost"], chunk["usage"]["currency"])"""


def _python(call: Call, base: str, key: str) -> str:
    parts = [f"url = {json_text(base + call.path)}"]
    parts.append(f"headers = {write_value(_headers(call, key), PYTHON)}")
    if call.query:
        parts.append(f"params = {write_value(call.query, PYTHON)}")
    if call.body is not None:
        parts.append(f"data = {write_value(call.body, PYTHON)}")
    imports = "import json\n\nimport requests" if call.streams else "import requests"
    return "\n".join([imports, "", *parts, "", _python_end(call)])


def _python_end(call: Call) -> str:
    if call.streams:
        return PYTHON_STREAM
    if call.body is not None:
        asked = "response = requests.post(url, headers=headers, json=data)"
    else:
        params = ", params=params" if call.query else ""
        asked = f"response = requests.get(url, headers=headers{params})"
    return f"{asked}\nprint(response.json())"


# Python with OpenAI's library --------------------------------------------------------------------

SDK_STREAM = """\
for chunk in stream:
    for choice in chunk.choices:
        print(choice.delta.content or "", end="", flush=True)
    if chunk.usage:
        print("\\n", chunk.usage.cost, chunk.usage.currency)"""


def _openai(call: Call, base: str, key: str) -> str:
    client = (
        "from openai import OpenAI\n\n"
        f"client = OpenAI(\n    base_url={json_text(base)},\n    api_key={json_text(key)},\n)\n"
    )
    return client + (_sdk_get(call) if call.body is None else _sdk_chat(call))


def _sdk_get(call: Call) -> str:
    if call.path == "/models":
        return "\nfor model in client.models.list():\n    print(model.id)"
    options = f', options={{"params": {write_value(call.query, PYTHON)}}}' if call.query else ""
    return f"\nprint(client.get({json_text(call.path)}, cast_to=object{options}))"


def _sdk_chat(call: Call) -> str:
    fields = dict(call.body or {})
    if call.streams:
        fields |= {"stream": True, "stream_options": {"include_usage": True}}
    if call.headers:
        fields["extra_headers"] = call.headers
    lines = "".join(
        f"    {name}={write_value(value, PYTHON, indent=4, plain=True)},\n"
        for name, value in fields.items()
    )
    asked = f"client.chat.completions.create(\n{lines})\n"
    if call.streams:
        return f"\nstream = {asked}\n{SDK_STREAM}"
    return f"\ncompletion = {asked}\nprint(completion.choices[0].message.content)"


# JavaScript --------------------------------------------------------------------------------------

JS_STREAM = """\
axios.post(url, data, { headers, responseType: 'stream' })
  .then(async response => {
    response.data.setEncoding('utf8');
    let rest = '';
    for await (const piece of response.data) {
      const lines = (rest + piece).split('\\n');
      rest = lines.pop();
      for (const line of lines) {
        if (!line.startsWith('data: ') || line === 'data: [DONE]') continue;
        const chunk = JSON.parse(line.slice(6));
        if (chunk.error) throw new Error(chunk.error.message);
        process.stdout.write(chunk.choices[0]?.delta.content ?? '');
        if (chunk.usage) console.log('\\n', chunk.usage.cost, chunk.usage.currency);
      }
    }
  })
  .catch(error => console.error(error.message));"""


def _javascript(call: Call, base: str, key: str) -> str:
    parts = [f"const url = {js_text(base + call.path)};"]
    parts.append(f"const headers = {write_value(_headers(call, key), JS_HEADERS)};")
    if call.query:
        parts.append(f"const params = {write_value(call.query, JAVASCRIPT)};")
    if call.body is not None:
        parts.append(f"const data = {write_value(call.body, JAVASCRIPT)};")
    return "\n".join(["const axios = require('axios');", "", *parts, "", _javascript_end(call)])


def _javascript_end(call: Call) -> str:
    if call.streams:
        return JS_STREAM
    if call.body is not None:
        asked = "axios.post(url, data, { headers })"
    else:
        asked = f"axios.get(url, {{ headers{', params' if call.query else ''} }})"
    return (
        f"{asked}\n  .then(response => console.log(response.data))"
        "\n  .catch(error => console.error(error));"
    )


# PHP ---------------------------------------------------------------------------------------------

PHP_STREAM = """\
$rest = '';
curl_setopt($ch, CURLOPT_WRITEFUNCTION, function ($ch, $piece) use (&$rest) {
    $lines = explode("\\n", $rest . $piece);
    $rest = array_pop($lines);
    foreach ($lines as $line) {
        if (strncmp($line, 'data: ', 6) !== 0 || $line === 'data: [DONE]') {
            continue;
        }
        $chunk = json_decode(substr($line, 6), true);
        echo $chunk['error']['message'] ?? $chunk['choices'][0]['delta']['content'] ?? '';
        if (isset($chunk['usage'])) {
            echo "\\n", $chunk['usage']['cost'], ' ', $chunk['usage']['currency'], "\\n";
        }
    }
    return strlen($piece);
});
curl_exec($ch);
curl_close($ch);"""

PHP_END = """\
curl_setopt($ch, CURLOPT_RETURNTRANSFER, true);

$response = curl_exec($ch);
curl_close($ch);

$result = json_decode($response, true);
print_r($result);"""


def _php(call: Call, base: str, key: str) -> str:
    parts = ["<?php", f"$url = {php_text(call.url(base))};", f"$apiKey = {php_text(key)};", ""]
    if call.body is not None:
        parts += [f"$data = {write_value(call.body, PHP)};", ""]
    parts.append("$ch = curl_init($url);")
    if call.body is not None:
        parts.append("curl_setopt($ch, CURLOPT_POST, true);")
        parts.append("curl_setopt($ch, CURLOPT_POSTFIELDS, json_encode($data));")
    headers = ["'Authorization: Bearer ' . $apiKey"]
    headers += [
        php_text(f"{name}: {value}")
        for name, value in _headers(call, key).items()
        if name != "Authorization"
    ]
    inside = ",\n".join(f"    {header}" for header in headers)
    parts.append(f"curl_setopt($ch, CURLOPT_HTTPHEADER, [\n{inside}\n]);")
    return "\n".join([*parts, PHP_STREAM if call.streams else PHP_END])


LANGUAGES = {
    "curl": "cURL",
    "python": "Python",
    "openai": "Python (OpenAI SDK)",
    "javascript": "JavaScript",
    "php": "PHP",
}
WRITERS: dict[str, Callable[[Call, str, str], str]] = {
    "curl": _curl,
    "python": _python,
    "openai": _openai,
    "javascript": _javascript,
    "php": _php,
}
LEXERS = {
    "curl": "bash",
    "python": "python",
    "openai": "python",
    "javascript": "javascript",
    "php": "php",
}
