"""One URL into one `.part` file: http(s) with timeouts, retries and resumption."""

import json
import socket
import ssl
import time
import urllib.request
from collections.abc import Callable
from dataclasses import asdict, dataclass
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from urllib.error import HTTPError, URLError

import vaebench
from vaebench.data.placing import Unusable, write

Progress = Callable[[int, int | None], None]

_CHUNK = 1 << 18
_BUSY = {408, 416, 425, 429, 500, 502, 503, 504}
_HOPELESS = (str, socket.gaierror, ConnectionRefusedError, ssl.SSLCertVerificationError)


@dataclass(frozen=True)
class Patience:
    """How long to wait for an answer [s], how often to try again, and the first pause [s]."""

    timeout: float = 30.0
    retries: int = 2
    pause: float = 1.0


@dataclass(frozen=True)
class Origin:
    """Where a `.part` comes from; `validator` is the server's mark of that very version."""

    url: str
    validator: str | None
    total: int | None


class _Interrupted(Exception):
    """A failure that may pass: worth another try, from where it broke off."""


def download(url: str, part: Path, progress: Progress, patience: Patience) -> None:
    """Bring `part` to completion; `progress` hears bytes done and in all. Unusable if in vain.

    A try that got further than any before does not count as failed: long files over poor lines.
    """
    failures, reached = 0, _size(part)
    while True:
        try:
            _attempt(url, part, progress, patience)
            return
        except _Interrupted as error:
            failures = failures + 1 if _size(part) <= reached else 0
            reached = max(_size(part), reached)
            if failures > patience.retries:
                raise Unusable(str(error)) from error
            time.sleep(patience.pause * max(failures, 1))


def origin(part: Path) -> Origin | None:
    """Where the bytes in `part` come from, if it is there and that is known."""
    try:
        return Origin(**json.loads(_note(part).read_text())) if part.exists() else None
    except (OSError, ValueError, TypeError):
        return None


def discard(part: Path) -> None:
    """Remove a `.part` and the note of its origin."""
    part.unlink(missing_ok=True)
    _note(part).unlink(missing_ok=True)


def _size(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0


def _note(part: Path) -> Path:
    return part.with_name(part.name + ".json")


def _attempt(url: str, part: Path, progress: Progress, patience: Patience) -> None:
    """One request, from the end of `part` on if it is a piece of the same version."""
    begun, offset, headers = origin(part), 0, {}
    if begun and begun.url == url:
        if _size(part) == begun.total:
            return
        if begun.validator:
            offset = _size(part)
            headers = {"Range": f"bytes={offset}-", "If-Range": begun.validator}
    with _open(url, headers, part, patience.timeout) as response:
        if response.headers.get_content_type() == "text/html":
            raise Unusable("answered with a web page instead of the file")
        if response.status != 206:
            offset = 0
        elif not response.headers.get("Content-Range", "").startswith(f"bytes {offset}-"):
            discard(part)
            raise _Interrupted("answered with another range than asked for")
        total = None if response.length is None else offset + response.length
        if offset == 0:
            discard(part)
            mark = Origin(url, _validator(response), total)
            write(_note(part), [json.dumps(asdict(mark)).encode()])
        _receive(response, part, offset, total, progress, patience.timeout)


def _receive(
    response: HTTPResponse,
    part: Path,
    offset: int,
    total: int | None,
    progress: Progress,
    timeout: float,
) -> None:
    """Append the body to `part`, every piece as it comes: what is here need not come again."""
    done = offset
    progress(done, total)
    with part.open("ab") as stream:
        while True:
            try:
                chunk = response.read1(_CHUNK)
            except (OSError, HTTPException) as error:
                raise _Interrupted(_reason(error, timeout)) from error
            if not chunk:
                break
            stream.write(chunk)
            done += len(chunk)
            progress(done, total)
    if total is not None and done != total:
        raise _Interrupted(f"broke off after {done} of {total} bytes")


def _open(url: str, headers: dict[str, str], part: Path, timeout: float) -> HTTPResponse:
    """The answer to a GET; redirects are followed, to http and https only."""
    agent = {"User-Agent": f"vaebench/{vaebench.__version__}", "Accept-Encoding": "identity"}
    request = urllib.request.Request(url, headers=agent | headers)
    try:
        response: HTTPResponse = _opener().open(request, timeout=timeout)
    except HTTPError as error:
        error.close()
        if error.code == 416:
            discard(part)
        shown = "".join(c if c.isprintable() else " " for c in str(error.reason))
        answer = " ".join(f"HTTP {error.code} {shown}".split())
        raise (_Interrupted if error.code in _BUSY else Unusable)(answer) from error
    except (OSError, HTTPException) as error:
        cause = error.reason if isinstance(error, URLError) else error
        kind = Unusable if isinstance(cause, _HOPELESS) else _Interrupted
        raise kind(_reason(cause, timeout)) from error
    return response


def _opener() -> urllib.request.OpenerDirector:
    """Unlike the ready-made one it knows no files, no ftp and no data URLs."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler,
        urllib.request.HTTPHandler,
        urllib.request.HTTPSHandler,
        urllib.request.HTTPDefaultErrorHandler,
        urllib.request.HTTPRedirectHandler,
        urllib.request.HTTPErrorProcessor,
        urllib.request.UnknownHandler,
    ):
        opener.add_handler(handler())
    return opener


def _validator(response: HTTPResponse) -> str | None:
    """A strong ETag, else the date of the last change: what If-Range takes."""
    etag = response.headers.get("ETag")
    if etag and not etag.startswith("W/"):
        return str(etag)
    changed = response.headers.get("Last-Modified")
    return str(changed) if changed else None


def _reason(error: object, timeout: float) -> str:
    if isinstance(error, TimeoutError):
        return f"no answer within {timeout:g} s"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
