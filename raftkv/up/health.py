"""Asking a local process how it is, over plain HTTP or TLS."""

from __future__ import annotations

import asyncio
import json
import ssl

from raftkv.up.layout import HOST

ANSWER_BYTES_MAX = 4096


async def unhealthy_because(port: int, path: str, *, timeout_s: float, context: ssl.SSLContext | None = None) -> str:
    """Empty when `GET path` answers 200, the reason otherwise: the answer's own where it names one."""
    writer = None
    try:
        async with asyncio.timeout(timeout_s):
            reader, writer = await asyncio.open_connection(HOST, port, ssl=context)
            writer.write(f"GET {path} HTTP/1.1\r\nHost: {HOST}:{port}\r\nConnection: close\r\n\r\n".encode())
            status = (await reader.readline()).decode("latin-1").split(" ", 2)
            if len(status) >= 2 and status[1] == "200":
                return ""
            answer = (await reader.read(ANSWER_BYTES_MAX)).decode("utf-8", "replace")
            return _reason(answer) or f"{path} answers {' '.join(status).strip() or 'nothing'}"
    except ConnectionRefusedError:
        return "not listening yet"
    except TimeoutError:
        return f"{path} does not answer"
    except OSError as exc:
        return str(exc)
    finally:
        if writer is not None:
            writer.close()


def _reason(answer: str) -> str:
    try:
        reason = json.loads(answer.partition("\r\n\r\n")[2]).get("reason", "")
    except (ValueError, AttributeError):
        return ""
    return str(reason).lower()
