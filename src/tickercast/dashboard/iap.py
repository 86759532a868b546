"""Read who Google's Identity-Aware Proxy has let in: it signs every request that it passes on."""

import logging
import math
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import requests

from tickercast.errors import AccessDenied, Transient

log = logging.getLogger(__name__)

HEADER = "X-Goog-Iap-Jwt-Assertion"
KEYS_URL = "https://www.gstatic.com/iap/verify/public_key-jwk"
"""The address of Google's keys; see https://docs.cloud.google.com/iap/docs/signed-headers-howto."""

_ISSUER = "https://cloud.google.com/iap"
_LEEWAY_S, _TIMEOUT_S = 30, 10.0

_RENEWED_S = 3600
"""The age of keys from which they are read again: Google may have withdrawn one."""

_LONGEST_S = 24 * 3600
"""The age of keys from which they count no more, while Google's address does not answer."""

_PAUSE_S = 60
"""The least time between two reads while keys are held, however many headers name a key that is not among them."""


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
            token = jwt.decode(assertion, _keys.read(_RENEWED_S), algorithms=["ES256"])
        except InvalidKeyIdError:  # Google may have a new one
            token = jwt.decode(assertion, _keys.read(0), algorithms=["ES256"])
        registry.validate(token.claims)
    except (JoseError, ValueError, TypeError) as error:
        raise AccessDenied(
            f"The signature of Google's IAP is not valid ({type(error).__name__}): one for {audience} was needed. "
            "Sign in again, or have whoever runs the dashboard correct its audience of IAP."
        ) from error
    return token.claims | {"email_verified": True}


class Keys:
    """Google's keys, as they were read last.

    Args:
        clock: the time in seconds, which never goes back.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._held: Any = None
        self._read_at = self._tried_at = -math.inf

    def read(self, oldest_s: float) -> Any:
        """The keys as a set of joserfc; those that are held stay good for a while if newer ones cannot be read.

        Args:
            oldest_s: the age in seconds from which newer keys are wanted.

        Raises:
            Transient: none are held, or only old ones, and none can be read; try again.
        """
        with self._lock:
            is_usable = self._age < _LONGEST_S
            if is_usable and (self._age < oldest_s or self._clock() - self._tried_at < _PAUSE_S):
                return self._held
            try:
                self._held = _published()
                self._read_at = self._clock()
            except Transient as error:
                if not is_usable:
                    raise
                log.warning("Keys that were read %.0f s ago go on being used: %s", self._age, error)
            finally:
                self._tried_at = self._clock()
            return self._held

    @property
    def _age(self) -> float:
        return self._clock() - self._read_at


_keys = Keys()


def _published() -> Any:
    from joserfc.errors import JoseError
    from joserfc.jwk import KeySet

    try:
        answer = requests.get(KEYS_URL, timeout=_TIMEOUT_S)
        answer.raise_for_status()
        return KeySet.import_key_set(answer.json())
    except (JoseError, ValueError, TypeError, LookupError) as error:
        raise Transient(
            f"{KEYS_URL} answers without keys that can be read ({type(error).__name__}), and Google's were needed to "
            "let somebody in. Try again."
        ) from error
    except requests.RequestException as error:
        raise Transient(f"{KEYS_URL} does not answer, so that nobody can be let in. Try again.") from error
