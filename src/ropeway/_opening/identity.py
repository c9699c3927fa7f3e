"""When a client says who it is: to the server, and to the proxy on the way to it."""

from __future__ import annotations

from dataclasses import replace

from ..datastructures import Headers, HeadersLike
from ..exceptions import InvalidProxyStatus, InvalidStatus
from ..proxy import Proxy, prepare_connect_request, tunnel_authority
from ..uri import WebSocketURI
from .credentials import Credentials
from .options import ConnectOptions

UNAUTHORIZED = 401
PROXY_AUTHENTICATION_REQUIRED = 407


class Identity:
    """Who a client is to one server: from the URI, unless the caller sends a header of their own.

    Args:
        options: what the caller of connect() said.
    """

    uri: WebSocketURI
    """URI to shake hands with; without the user information where a challenge is answered."""

    headers: HeadersLike | None
    """Headers that the request is to have."""

    def __init__(self, options: ConnectOptions) -> None:
        self.uri = options.ws_uri
        self.headers = options.additional_headers
        self._credentials: Credentials | None = None
        if self.uri.user_info is None:
            return
        if self.headers is not None:
            # Once: it may be an iterator.
            self.headers = Headers(self.headers)
            if "Authorization" in self.headers:
                return
        self._credentials = Credentials(*self.uri.user_info, self.uri.secure)
        if options.preemptive_basic:
            self._credentials.first()
        else:
            self.uri = _anonymous(self.uri)
        # A socket that the caller brought can be used once.
        self._is_reopened = options.stream.get("sock") is None

    def answers(self, exc: Exception) -> bool:
        """Tell whether the handshake that raised ``exc`` is worth another try, and prepare it."""
        if self._credentials is None or not self._is_reopened:
            return False
        if not isinstance(exc, InvalidStatus) or exc.response.status_code != UNAUTHORIZED:
            return False
        answer = self._credentials.answer(
            exc.response.headers, "WWW-Authenticate", "GET", self.uri.resource_name
        )
        if answer is None:
            return False
        self.uri = _anonymous(self.uri)
        headers = Headers() if self.headers is None else Headers(self.headers)
        if "Authorization" in headers:
            del headers["Authorization"]
        headers["Authorization"] = answer
        self.headers = headers
        return True


def _anonymous(uri: WebSocketURI) -> WebSocketURI:
    return replace(uri, username=None, password=None)


class ProxyIdentity:
    """Who a client is to the proxy.

    Args:
        proxy: the proxy.
        target: where the tunnel is to lead.
        options: what the caller of connect() said.
    """

    def __init__(self, proxy: Proxy, target: WebSocketURI, options: ConnectOptions) -> None:
        self._proxy = proxy
        self._target = target
        self._user_agent_header = options.user_agent_header
        self._is_reopened = options.stream.get("sock") is None
        self._credentials: Credentials | None = None
        self._authorization: str | None = None
        if proxy.user_info is not None:
            self._credentials = Credentials(*proxy.user_info, proxy.scheme == "https")
            if options.preemptive_basic:
                self._authorization = self._credentials.first()

    def request(self) -> bytes:
        """Write the request for the tunnel."""
        nobody = replace(self._proxy, username=None, password=None)
        return prepare_connect_request(
            nobody, self._target, self._user_agent_header, self._authorization
        )

    def answers(self, exc: InvalidProxyStatus) -> bool:
        """Tell whether the request that raised ``exc`` is worth another try, and prepare it."""
        if self._credentials is None or not self._is_reopened:
            return False
        if exc.response.status_code != PROXY_AUTHENTICATION_REQUIRED:
            return False
        self._authorization = self._credentials.answer(
            exc.response.headers, "Proxy-Authenticate", "CONNECT", tunnel_authority(self._target)
        )
        return self._authorization is not None
