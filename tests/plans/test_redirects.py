"""Which redirects are followed, and what goes along."""

from __future__ import annotations

from typing import Any

import pytest

from ropeway._opening.options import ConnectOptions
from ropeway._opening.redirects import process_redirect, redirected
from ropeway.datastructures import Headers
from ropeway.exceptions import InvalidStatus, InvalidURI, SecurityError
from ropeway.http11 import Response


def options(uri: str = "ws://here.example/room/a", **stream: Any) -> ConnectOptions:
    return ConnectOptions(uri=uri, stream=stream)


def redirect(location: str | None, status: int = 302) -> InvalidStatus:
    headers = Headers() if location is None else Headers(Location=location)
    return InvalidStatus(Response(status, "Found", headers))


@pytest.mark.parametrize("status", [300, 301, 302, 303, 307, 308])
def test_statuses_that_redirect(status: int) -> None:
    assert process_redirect(options(), redirect("/b", status)) == "ws://here.example/b"


@pytest.mark.parametrize("status", [101, 200, 304, 305, 306, 309, 401, 404, 500])
def test_statuses_that_do_not(status: int) -> None:
    exc = redirect("/b", status)
    assert process_redirect(options(), exc) is exc


def test_a_redirect_needs_one_location() -> None:
    nowhere = redirect(None)
    assert process_redirect(options(), nowhere) is nowhere
    twice = redirect("/b")
    twice.response.headers["Location"] = "/c"
    assert process_redirect(options(), twice) is twice


def test_other_exceptions_are_no_redirects() -> None:
    exc = OSError("network")
    assert process_redirect(options(), exc) is exc


LOCATIONS = [
    ("b", "ws://here.example/room/b"),
    ("../b?c=d", "ws://here.example/b?c=d"),
    ("//there.example/b", "ws://there.example/b"),
    ("ws://there.example:8080/", "ws://there.example:8080/"),
    ("wss://here.example/", "wss://here.example/"),
]


@pytest.mark.parametrize(("location", "uri"), LOCATIONS)
def test_locations_are_relative_to_the_uri(location: str, uri: str) -> None:
    assert process_redirect(options(), redirect(location)) == uri


def test_a_location_that_is_no_websocket_uri_is_refused() -> None:
    with pytest.raises(InvalidURI):
        process_redirect(options(), redirect("http://here.example/"))


def refusal(exc: object) -> tuple[type, str]:
    return type(exc), str(exc)


def test_tls_is_never_given_up() -> None:
    exc = process_redirect(options("wss://here.example/"), redirect("ws://here.example/"))
    text = "cannot follow redirect to non-secure URI ws://here.example/"
    assert refusal(exc) == (SecurityError, text)


def test_a_given_socket_leads_nowhere_else() -> None:
    exc = process_redirect(options(sock=object()), redirect("/b"))
    text = "cannot follow redirect to ws://here.example/b with a preexisting socket"
    assert refusal(exc) == (ValueError, text)


def test_a_unix_socket_serves_one_origin() -> None:
    unix = options(unix=True, path="room.sock")
    assert process_redirect(unix, redirect("/b")) == "ws://here.example/b"
    text = "cannot follow cross-origin redirect to ws://there.example/ with a Unix socket"
    exc = process_redirect(unix, redirect("ws://there.example/"))
    assert refusal(exc) == (ValueError, text)


@pytest.mark.parametrize("given", [{"host": "127.0.0.1"}, {"port": 8080}])
def test_an_explicit_host_or_port_serves_one_origin(given: dict[str, Any]) -> None:
    assert process_redirect(options(**given), redirect("/b")) == "ws://here.example/b"
    text = (
        "cannot follow cross-origin redirect to ws://there.example/ with an explicit host or port"
    )
    exc = process_redirect(options(**given), redirect("ws://there.example/"))
    assert refusal(exc) == (ValueError, text)


PRIVATE = {"Authorization": "Bearer x", "cookie": "a=b", "Host": "h", "Proxy-Authorization": "p"}


@pytest.mark.parametrize(
    "uri", ["ws://there.example/", "ws://here.example:81/", "wss://here.example/"]
)
def test_private_headers_stay_with_their_origin(uri: str) -> None:
    asked = ConnectOptions(
        uri="ws://here.example/", additional_headers={**PRIVATE, "X-Colour": "red"}
    )
    moved = redirected(asked, uri)
    assert moved.uri == uri
    assert moved.ws_uri.secure is uri.startswith("wss")
    assert moved.additional_headers == Headers({"X-Colour": "red"})
    assert asked.additional_headers == {**PRIVATE, "X-Colour": "red"}


def test_private_headers_are_sent_again_to_the_same_origin() -> None:
    asked = ConnectOptions(uri="ws://here.example/", additional_headers=[("Cookie", "a=b")])
    assert redirected(asked, "ws://here.example:80/b").additional_headers == [("Cookie", "a=b")]


def test_without_additional_headers_there_is_nothing_to_take_out() -> None:
    assert redirected(options(), "ws://there.example/").additional_headers is None


def test_options_are_checked_again_for_the_new_uri() -> None:
    with pytest.raises(ValueError, match="ssl=None is incompatible with a wss:// URI"):
        redirected(options(ssl=None), "wss://here.example/")
