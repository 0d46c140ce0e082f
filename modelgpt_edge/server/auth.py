"""Who may come in: one bearer token, compared in a time that doesn't tell how much of it is right; and no other site's page.

Browsers let any page send requests to a server on its user's machine. What gives them away is the name that they ask for, where
a page's own name was made to lead here, and the origin that they tell.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

from modelgpt_edge.server.errors import RequestError

SCHEME = "bearer"


def require_token(token: str | None, header: str | None) -> None:
    """RequestError where the ``Authorization`` header doesn't bear the token; None as token lets everybody in."""
    if token is None:
        return
    scheme, _, given = (header or "").partition(" ")
    # Hashes are of one length, so not even the token's length shows.
    pair = [hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest() for text in (given.strip(), token)]
    if not hmac.compare_digest(*pair) or scheme.casefold() != SCHEME:
        cure = "Send the header 'Authorization: Bearer TOKEN' with the server's token."
        raise RequestError(401, "the token is missing or wrong", where="Authorization", cure=cure, close=True)


def require_own_page(hosts: Sequence[str], pages: Sequence[str], token: str | None, headers: Mapping[str, str]) -> None:
    """RequestError for what a browser sends on behalf of another site's page.

    Args:
        hosts: names that may be asked for, in lower case; any where there are none.
        pages: names whose pages may send requests; beside them, the very host and port that is asked for.
        token: no page of another site has it, so where there is one no origin is refused.
    """
    host, origin = headers.get("host", "").lower(), headers.get("origin")
    if hosts and _name(host) not in hosts:
        cure = "Ask for localhost, or start the server with --allow-host and this name."
        raise RequestError(403, "the server isn't asked by this name", where="Host", seen=host, cure=cure, close=True)
    if token is None and origin is not None and origin.lower().partition("://")[2] not in (host, *pages):
        cure = "Start the server with a token, which that page then needs, or with --allow-host and the page's host."
        raise RequestError(403, "a page of another site sends this", where="Origin", seen=origin, cure=cure, close=True)


def _name(host: str) -> str | None:
    """A host without its port; None where it is no host."""
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:
        return None
