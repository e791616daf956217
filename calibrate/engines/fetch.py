"""Fetching a URL.

Nothing is sent but GET requests, http or https only, with a time and a size limit.
"""

from __future__ import annotations

import time
import urllib.error
import urllib.request
from typing import Any

TIMEOUT_S = 10.0
TOTAL_S = 60.0
LIMIT_BYTES = 64 << 20
SCHEMES = ("http://", "https://")


class _SameScheme(urllib.request.HTTPRedirectHandler):
    """Follows redirects to http and https only."""

    def redirect_request(
        self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        if not newurl.lower().startswith(SCHEMES):
            raise ValueError(f"{req.full_url}: redirects must stay with http(s), got {newurl}")
        if req.full_url.lower().startswith("https://") and not newurl.lower().startswith("https"):
            raise ValueError(f"{req.full_url}: must not be redirected from https to {newurl}")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def fetch(url: str, *, timeout_s: float = TIMEOUT_S, limit_bytes: int = LIMIT_BYTES) -> bytes:
    """The body of an http(s) URL. Raises ValueError on failure, delay or size."""
    if not url.lower().startswith(SCHEMES):
        raise ValueError(f"a URL must start with http:// or https://, got {url}")
    opener = urllib.request.OpenerDirector()
    for name in ("ProxyHandler", "HTTPHandler", "HTTPSHandler", "HTTPDefaultErrorHandler",
                 "HTTPErrorProcessor", "UnknownHandler"):  # fmt: skip
        opener.add_handler(getattr(urllib.request, name)())
    opener.add_handler(_SameScheme())
    end, parts, size = time.monotonic() + TOTAL_S, [], 0
    try:
        with opener.open(url, timeout=timeout_s) as answer:
            while block := answer.read1(1 << 16):
                parts.append(block)
                size += len(block)
                if size > limit_bytes:
                    raise ValueError(f"{url}: must be at most {limit_bytes} bytes, got more")
                if time.monotonic() > end:
                    raise ValueError(f"{url}: took more than {TOTAL_S:g} s")
    except urllib.error.HTTPError as error:
        raise ValueError(f"{url}: answered {error.code} {error.reason}") from None
    except (OSError, urllib.error.URLError, UnicodeError) as error:
        raise ValueError(f"{url}: cannot be read: {error}") from None
    except Exception as error:
        if isinstance(error, ValueError):
            raise
        raise ValueError(f"{url}: is no answer of a server: {error}") from None
    return b"".join(parts)
