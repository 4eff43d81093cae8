"""One URL into a `.part`, from servers that misbehave."""

import socket

import pytest

from vaebench.data.download import Origin, Patience, discard, download, origin
from vaebench.data.placing import Unusable

pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])

BODY = bytes(range(256)) * 4000
QUICK = Patience(timeout=0.3, retries=2, pause=0.0)


@pytest.fixture
def part(tmp_path):
    return tmp_path / "file.part"


@pytest.fixture
def get(part):
    def run(url, progress=lambda done, total: None):
        download(url, part, progress, QUICK)
        return part.read_bytes()

    return run


def ranges(mirror):
    return [wanted for _, wanted in mirror.requests]


def test_a_plain_download(mirror, get, part):
    seen = []
    url = mirror.serve("file", mirror.answer(BODY))
    assert get(url, lambda *count: seen.append(count)) == BODY
    assert seen[0] == (0, len(BODY)) and seen[-1] == (len(BODY), len(BODY))
    assert seen == sorted(seen)
    assert mirror.agents.pop().startswith("vaebench/")
    assert origin(part) == Origin(url, '"1"', len(BODY))
    discard(part)
    assert origin(part) is None and list(part.parent.iterdir()) == []


def test_a_broken_line_is_resumed_by_range(mirror, get):
    url = mirror.serve("file", mirror.answer(BODY, cut=1000), mirror.answer(BODY))
    assert get(url) == BODY
    assert ranges(mirror) == [None, "bytes=1000-"]


def test_a_line_that_breaks_after_every_bit_gets_there_in_the_end(mirror, get):
    cuts = range(100_000, len(BODY), 100_000)
    pieces = [mirror.answer(BODY, cut=cut) for cut in cuts]
    assert len(pieces) > QUICK.retries + 1
    assert get(mirror.serve("file", *pieces, mirror.answer(BODY))) == BODY


def test_a_stalled_line_is_resumed(mirror, get):
    stalled = mirror.answer(BODY, cut=5000, hang=True)
    assert get(mirror.serve("file", stalled, mirror.answer(BODY))) == BODY
    assert ranges(mirror) == [None, "bytes=5000-"]


def test_without_ranges_it_starts_over(mirror, get):
    pieces = [mirror.answer(BODY, cut=1000), mirror.answer(BODY, ranges=False)]
    assert get(mirror.serve("file", *pieces)) == BODY


@pytest.mark.parametrize("etag", ['"2"', None, 'W/"1"'])
def test_another_version_or_none_known_starts_over(mirror, get, etag):
    other = BODY[::-1]
    pieces = [mirror.answer(BODY, cut=1000, etag=etag), mirror.answer(other, etag='"3"')]
    assert get(mirror.serve("file", *pieces)) == other


def test_a_date_serves_where_there_is_no_etag(mirror, get):
    dated = {"Last-Modified": "Sat, 21 Nov 2026 05:06:00 GMT"}
    pieces = [
        mirror.answer(BODY, cut=1000, etag=None, headers=dated),
        mirror.answer(BODY, etag=dated["Last-Modified"], headers=dated),
    ]
    assert get(mirror.serve("file", *pieces)) == BODY
    assert ranges(mirror) == [None, "bytes=1000-"]


def test_a_part_of_another_url_starts_over(mirror, get, part):
    with pytest.raises(Unusable, match="broke off after 1000 of"):
        get(mirror.serve("a", mirror.answer(BODY, cut=1000)))
    assert part.stat().st_size == 1000
    assert get(mirror.serve("b", mirror.answer(BODY[::-1]))) == BODY[::-1]
    assert ranges(mirror)[-1] is None


def test_a_part_without_a_note_starts_over(mirror, get, part):
    part.write_bytes(b"unknown")
    assert get(mirror.serve("file", mirror.answer(BODY))) == BODY
    assert ranges(mirror) == [None]


def test_a_complete_part_is_not_asked_for_again(mirror, get):
    url = mirror.serve("file", mirror.answer(BODY))
    assert get(url) == get(url) == BODY
    assert len(mirror.requests) == 1


def test_a_part_that_is_too_long_starts_over(mirror, get, part):
    url = mirror.serve("file", mirror.answer(BODY))
    get(url)
    with part.open("ab") as stream:
        stream.write(b"more")
    assert get(url) == BODY
    assert ranges(mirror) == [None, f"bytes={len(BODY) + 4}-", None]


def test_redirects_are_followed(mirror, get):
    mirror.serve("new", mirror.answer(BODY))
    url = mirror.serve("old", mirror.answer(status=302, headers={"Location": "/new"}))
    assert get(url) == BODY


def test_a_busy_server_is_asked_again(mirror, get):
    assert get(mirror.serve("file", mirror.answer(status=503), mirror.answer(BODY))) == BODY


def fails(get, url, reason, mirror=None, requests=None):
    with pytest.raises(Unusable, match=f"^{reason}$"):
        get(url)
    if requests is not None:
        assert len(mirror.requests) == requests


def test_not_found_is_final(mirror, get):
    fails(get, mirror.url + "none", "HTTP 404 Not Found", mirror, requests=1)


def test_patience_ends(mirror, get):
    url = mirror.serve("file", mirror.answer(status=503))
    fails(get, url, "HTTP 503 Service Unavailable", mirror, requests=1 + QUICK.retries)


def test_a_silent_server(mirror, get):
    url = mirror.serve("file", mirror.answer(BODY, cut=0, hang=True))
    fails(get, url, r"no answer within 0\.3 s", mirror, requests=1 + QUICK.retries)


def test_a_web_page_is_not_the_file(mirror, get):
    page = mirror.answer(b"<html>Log in", headers={"Content-Type": "text/html; charset=utf-8"})
    url = mirror.serve("file", page)
    fails(get, url, "answered with a web page instead of the file", mirror, requests=1)


@pytest.mark.parametrize("place", ["file:///etc/passwd", "ftp://127.0.0.1/x", "data:,x"])
def test_redirects_out_of_the_web_are_refused(mirror, get, part, place):
    url = mirror.serve("file", mirror.answer(status=302, headers={"Location": place}))
    fails(get, url, "(HTTP 302 .*not allowed|unknown url type: ftp)", mirror, requests=1)
    assert not part.exists()


def test_a_server_cannot_steer_the_terminal(mirror, get):
    location = {"Location": "file:///\x1b]0;title\x07"}
    with pytest.raises(Unusable) as caught:
        get(mirror.serve("file", mirror.answer(status=302, headers=location)))
    assert str(caught.value).isprintable()


def test_a_part_that_is_complete_needs_no_mark_of_its_version(mirror, get):
    url = mirror.serve("file", mirror.answer(BODY, etag=None))
    assert get(url) == get(url) == BODY
    assert len(mirror.requests) == 1


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://127.0.0.1/x"])
def test_only_http(get, url):
    fails(get, url, "unknown url type: (file|ftp)")


def test_nobody_listens(get):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    fails(get, f"http://127.0.0.1:{port}/", "Connection refused")
