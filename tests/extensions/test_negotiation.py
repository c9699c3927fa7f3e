"""Negotiating permessage-deflate: the full product of parameters, against websockets 17.4."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest
import websockets.extensions.permessage_deflate as oracle

from ropeway.exceptions import (
    DuplicateParameter,
    InvalidParameterName,
    InvalidParameterValue,
    NegotiationError,
)
from ropeway.extensions import permessage_deflate as ours
from ropeway.extensions.permessage_deflate import (
    ClientPerMessageDeflateFactory,
    PerMessageDeflate,
    ServerPerMessageDeflateFactory,
    enable_client_permessage_deflate,
    enable_server_permessage_deflate,
)

Params = list[tuple[str, str | None]]

BITS = (None, 8, 9, 12, 15)
BOOLS = (False, True)


def outcome(function: Any, *args: Any, **kwargs: Any) -> tuple[str, Any]:
    """Give what a call gives, in terms that are the same for both packages."""
    try:
        result = function(*args, **kwargs)
    except Exception as exc:
        return type(exc).__name__, str(exc)
    return "ok", described(result)


def described(result: Any) -> Any:
    if isinstance(result, tuple):
        return tuple(described(part) for part in result)
    return repr(result) if type(result).__name__ == "PerMessageDeflate" else result


def params(*, offer: bool) -> Iterator[Params]:
    """Yield every combination of parameters that is right by itself."""
    client_values: list[Any] = [*BITS, *(["bare"] if offer else [])]
    for server, client, server_bits, client_bits in itertools.product(
        BOOLS, BOOLS, BITS, client_values
    ):
        combination: Params = []
        if server:
            combination.append(("server_no_context_takeover", None))
        if client:
            combination.append(("client_no_context_takeover", None))
        if server_bits is not None:
            combination.append(("server_max_window_bits", str(server_bits)))
        if client_bits is not None:
            value = None if client_bits == "bare" else str(client_bits)
            combination.append(("client_max_window_bits", value))
        yield combination


WRONG_PARAMS: list[Params] = [
    [("unknown", None)],
    [("server_no_context_takeover", "1")],
    [("server_no_context_takeover", "")],
    [("client_no_context_takeover", "true")],
    [("server_max_window_bits", None)],
    [("client_max_window_bits", None)],
    [("server_no_context_takeover", None)] * 2,
    [("client_no_context_takeover", None)] * 2,
    [("server_max_window_bits", "10")] * 2,
    [("client_max_window_bits", "10")] * 2,
    [("client_max_window_bits", "10"), ("client_max_window_bits", None)],
    [("server_max_window_bits", "10"), ("unknown", None)],
    *(
        [(name, value)]
        for name in ("server_max_window_bits", "client_max_window_bits")
        for value in ("", "7", "16", "08", "+9", " 9", "9 ", "9.0", "1e1", "٩", "-9", "abc", "100")
    ),
]


def servers() -> Iterator[dict[str, Any]]:
    for server, client, server_bits, client_bits, required in itertools.product(
        BOOLS, BOOLS, (None, 9, 12, 15), BITS, BOOLS
    ):
        if not (required and client_bits is None):
            yield {
                "server_no_context_takeover": server,
                "client_no_context_takeover": client,
                "server_max_window_bits": server_bits,
                "client_max_window_bits": client_bits,
                "require_client_max_window_bits": required,
            }


def clients() -> Iterator[dict[str, Any]]:
    for server, client, server_bits, client_bits in itertools.product(
        BOOLS, BOOLS, BITS, (None, True, 9, 12, 15)
    ):
        yield {
            "server_no_context_takeover": server,
            "client_no_context_takeover": client,
            "server_max_window_bits": server_bits,
            "client_max_window_bits": client_bits,
        }


def test_every_offer_to_every_server() -> None:
    offers = [*params(offer=True), *WRONG_PARAMS]
    kinds = set()
    for config in servers():
        one = ServerPerMessageDeflateFactory(**config)
        other = oracle.ServerPerMessageDeflateFactory(**config)
        for offer in offers:
            found = outcome(one.process_request_params, offer, [])
            assert found == outcome(other.process_request_params, offer, []), (config, offer)
            kinds.add(found[0])
    assert kinds == {
        "ok",
        "NegotiationError",
        "DuplicateParameter",
        "InvalidParameterName",
        "InvalidParameterValue",
    }


def test_every_answer_to_every_client() -> None:
    answers = [*params(offer=False), *WRONG_PARAMS]
    for config in clients():
        one = ClientPerMessageDeflateFactory(**config)
        other = oracle.ClientPerMessageDeflateFactory(**config)
        assert list(one.get_request_params()) == list(other.get_request_params())
        for answer in answers:
            found = outcome(one.process_response_params, answer, [])
            assert found == outcome(other.process_response_params, answer, []), (config, answer)


def test_every_pair_of_client_and_server_agrees() -> None:
    for client, server in itertools.product(clients(), servers()):
        offer = ClientPerMessageDeflateFactory(**client)
        try:
            answer, on_server = ServerPerMessageDeflateFactory(**server).process_request_params(
                list(offer.get_request_params()), []
            )
        except NegotiationError:
            continue
        try:
            on_client = offer.process_response_params(answer, [])
        except NegotiationError as exc:
            assert str(exc) == "unsupported client_max_window_bits = 8, use 9"
            continue
        assert on_client.remote_no_context_takeover == on_server.local_no_context_takeover
        assert on_client.local_no_context_takeover == on_server.remote_no_context_takeover
        assert on_client.remote_max_window_bits >= on_server.local_max_window_bits
        assert on_client.local_max_window_bits <= on_server.remote_max_window_bits


@pytest.mark.parametrize("value", [-1, 0, 7, 8, 9, 15, 16, True, None])
@pytest.mark.parametrize("name", ["server_max_window_bits", "client_max_window_bits"])
@pytest.mark.parametrize("side", ["Client", "Server"])
def test_window_bits_in_the_configuration(side: str, name: str, value: Any) -> None:
    kind = f"{side}PerMessageDeflateFactory"
    found = outcome(lambda: getattr(ours, kind)(**{name: value}) and "made")
    expected = outcome(lambda: getattr(oracle, kind)(**{name: value}) and "made")
    if expected[0] == "ValueError":
        expected = ("ValueError", f"{expected[1]}: {value}")  # ours tells the value too
    assert found == expected


def test_settings_never_include_the_window() -> None:
    for kind in ("ClientPerMessageDeflateFactory", "ServerPerMessageDeflateFactory"):
        settings = {"compress_settings": {"wbits": 9}}
        found = outcome(getattr(ours, kind), **settings)
        assert found == outcome(getattr(oracle, kind), **settings)
        assert found[0] == "ValueError"


def test_a_server_that_requires_what_it_does_not_configure() -> None:
    config = {"require_client_max_window_bits": True}
    found = outcome(ServerPerMessageDeflateFactory, **config)
    assert found == outcome(oracle.ServerPerMessageDeflateFactory, **config)
    assert found[0] == "ValueError"


@pytest.mark.parametrize(
    ("kwargs", "text"),
    [
        ({"remote_max_window_bits": 7}, "remote_max_window_bits must be between 8 and 15: 7"),
        ({"remote_max_window_bits": 16}, "remote_max_window_bits must be between 8 and 15: 16"),
        ({"local_max_window_bits": 8}, "local_max_window_bits must be between 9 and 15: 8"),
        ({"local_max_window_bits": 16}, "local_max_window_bits must be between 9 and 15: 16"),
        ({"compress_settings": {"wbits": 9}}, "compress_settings must not include wbits"),
    ],
)
def test_an_extension_checks_its_configuration(kwargs: dict[str, Any], text: str) -> None:
    config = {"remote_max_window_bits": 15, "local_max_window_bits": 15, **kwargs}
    with pytest.raises(ValueError) as info:
        PerMessageDeflate(False, False, **config)
    assert str(info.value) == text


def test_the_second_one_is_declined() -> None:
    accepted = [PerMessageDeflate(False, False, 15, 15)]
    with pytest.raises(NegotiationError) as skipped:
        ServerPerMessageDeflateFactory().process_request_params([], accepted)
    with pytest.raises(NegotiationError) as received:
        ClientPerMessageDeflateFactory().process_response_params([], accepted)
    theirs = [oracle.PerMessageDeflate(False, False, 15, 15)]
    expected = outcome(oracle.ServerPerMessageDeflateFactory().process_request_params, [], theirs)
    assert expected == ("NegotiationError", str(skipped.value))
    expected = outcome(oracle.ClientPerMessageDeflateFactory().process_response_params, [], theirs)
    assert expected == ("NegotiationError", str(received.value))


def test_errors_are_kinds_of_negotiation_errors() -> None:
    factory = ServerPerMessageDeflateFactory()
    for kind, offer in (
        (InvalidParameterName, [("x", None)]),
        (InvalidParameterValue, [("server_max_window_bits", "x")]),
        (DuplicateParameter, [("client_no_context_takeover", None)] * 2),
    ):
        with pytest.raises(kind):
            factory.process_request_params(offer, [])
        assert issubclass(kind, NegotiationError)


def test_settings_reach_the_extension() -> None:
    settings = {"level": 1}
    server = ServerPerMessageDeflateFactory(compress_settings=settings, threshold=7)
    client = ClientPerMessageDeflateFactory(compress_settings=settings, threshold=9)
    answer, on_server = server.process_request_params([("client_max_window_bits", None)], [])
    on_client = client.process_response_params(answer, [])
    assert (on_server.compress_settings, on_server.threshold) == (settings, 7)
    assert (on_client.compress_settings, on_client.threshold) == (settings, 9)


def test_defaults() -> None:
    [client] = enable_client_permessage_deflate(None)
    [theirs] = oracle.enable_client_permessage_deflate(None)
    assert list(client.get_request_params()) == list(theirs.get_request_params())
    assert client.compress_settings == theirs.compress_settings
    [server] = enable_server_permessage_deflate(None, threshold=64)
    [theirs] = oracle.enable_server_permessage_deflate(None)
    for name in (
        "server_no_context_takeover",
        "client_no_context_takeover",
        "server_max_window_bits",
        "client_max_window_bits",
        "compress_settings",
        "require_client_max_window_bits",
    ):
        assert getattr(server, name) == getattr(theirs, name)
    assert server.threshold == 64


@pytest.mark.parametrize("side", ["client", "server"])
def test_enabling_twice_changes_nothing(side: str) -> None:
    enable = getattr(ours, f"enable_{side}_permessage_deflate")
    once = enable([])
    assert list(enable(once)) == list(once)
    assert len(once) == 1

    class Other:
        name = "other"

    assert [factory.name for factory in enable([Other()])] == ["other", "permessage-deflate"]


def test_what_a_factory_answers_is_the_callers() -> None:
    factory = ServerPerMessageDeflateFactory(server_max_window_bits=12)
    answer, extension = factory.process_request_params([], [])
    answer.clear()
    again, other = factory.process_request_params([], [])
    assert again == [("server_max_window_bits", "12")]
    assert other is not extension
    factory.server_max_window_bits = 11
    assert factory.process_request_params([], [])[0] == [("server_max_window_bits", "11")]
