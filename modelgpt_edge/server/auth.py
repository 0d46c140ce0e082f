"""Who may come in: one bearer token, compared in a time that doesn't tell how much of it is right."""

from __future__ import annotations

import hashlib
import hmac

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
