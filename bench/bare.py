"""The yardstick: uvicorn with an application that does nothing but answer.

No key, no upstream, no money: what it reaches on a machine is the ceiling of any gateway on the
same server, and tells how fast that machine is at that hour.
"""

import sys
from collections.abc import Awaitable, Callable
from typing import Any

import uvicorn

BODY = (
    b'{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"bare","choices":[{"index":'
    b'0,"message":{"role":"assistant","content":"Hello"},"finish_reason":"stop"}],"usage":'
    b'{"prompt_tokens":20,"completion_tokens":10,"total_tokens":30}}'
)
HEADERS = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(BODY))]


async def app(
    scope: Any, receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]
) -> None:
    if scope["type"] == "http":
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
        await send({"type": "http.response.body", "body": BODY})


if __name__ == "__main__":
    uvicorn.run(
        app,
        port=int(sys.argv[1]),
        loop="uvloop",
        http="httptools",
        lifespan="off",
        access_log=False,
        log_config=None,
    )
