"""Put first on a server's path by a test: writes down every address that the process, or one that it starts, listens at, asks for or speaks to."""

import json
import os
import sys

_KINDS = (
    "socket.bind",
    "socket.connect",
    "socket.sendto",
    "socket.sendmsg",
    "socket.getaddrinfo",
    "socket.gethostbyname",
    "socket.gethostbyaddr",
)
_PATH = os.environ.get("TRACEWRIGHT_ADDRESSES")


def _record(event: str, arguments: tuple) -> None:
    if event in _KINDS and _PATH:
        told = [value for value in arguments if isinstance(value, str | bytes | tuple)]
        with open(_PATH, "a", encoding="utf-8") as file:
            file.write(json.dumps([event, repr(told[0]) if told else ""]) + "\n")


if _PATH:
    sys.addaudithook(_record)
