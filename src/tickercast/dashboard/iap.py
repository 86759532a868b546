"""Read who Google's Identity-Aware Proxy has let in: it signs every request that it passes on."""

from collections.abc import Mapping
from functools import cache
from typing import Any

import requests

from tickercast.errors import AccessDenied, Transient

HEADER = "X-Goog-Iap-Jwt-Assertion"
KEYS_URL = "https://www.gstatic.com/iap/verify/public_key-jwk"
"""The address of Google's keys; see https://docs.cloud.google.com/iap/docs/signed-headers-howto."""

_ISSUER = "https://cloud.google.com/iap"
_LEEWAY_S, _TIMEOUT_S = 30, 10.0


def claims(assertion: str, audience: str) -> Mapping[str, Any]:
    """The claims of a signed header about the person; IAP has checked the address.

    Args:
        assertion: the value of the header.
        audience: the audience of the service.

    Raises:
        AccessDenied: the header is missing, forged, old, or was meant for another service.
        Transient: Google's keys cannot be read; try again.
    """
    from joserfc import jwt
    from joserfc.errors import InvalidKeyIdError, JoseError

    if not assertion:
        raise AccessDenied(
            "The request has not passed Google's IAP: its signature was needed. Open the service's own address."
        )
    registry = jwt.JWTClaimsRegistry(
        leeway=_LEEWAY_S,
        iss={"essential": True, "value": _ISSUER},
        aud={"essential": True, "value": audience},
        exp={"essential": True},
        iat={"essential": True},
    )
    try:
        try:
            token = jwt.decode(assertion, _keys(), algorithms=["ES256"])
        except InvalidKeyIdError:  # Google has changed its keys
            _keys.cache_clear()
            token = jwt.decode(assertion, _keys(), algorithms=["ES256"])
        registry.validate(token.claims)
    except (JoseError, ValueError) as error:
        raise AccessDenied(
            f"The signature of Google's IAP is not valid ({type(error).__name__}): one for {audience} was needed. "
            "Sign in again, or correct TICKERCAST_IAP_AUDIENCE."
        ) from error
    return token.claims | {"email_verified": True}


@cache
def _keys() -> Any:
    from joserfc.jwk import KeySet

    try:
        answer = requests.get(KEYS_URL, timeout=_TIMEOUT_S)
        answer.raise_for_status()
        return KeySet.import_key_set(answer.json())
    except (requests.RequestException, ValueError) as error:
        raise Transient(f"{KEYS_URL} does not answer, so that nobody can be let in. Try again.") from error
