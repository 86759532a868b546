"""The addresses at which people sign in and out: to the provider, back from it, and away.

They stand in the place of Streamlit's, which keep the whole ID token in cookies, take a token for another audience, and
say nothing when a sign-in fails.
"""

import logging
from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse
from starlette.routing import Route

from tickercast.dashboard import sessions
from tickercast.dashboard.sign_in import CALLBACK, SignIn
from tickercast.domain.people import People
from tickercast.domain.text import one_line

log = logging.getLogger(__name__)

FAILED = "sign-in"
"""The parameter of an address that says why somebody comes back without being signed in."""

_AGAIN = "Sign in again; if that fails, ask whoever runs the dashboard: its log has the reason."
FAILURES = {
    "late": "Your sign-in was begun too long ago, or in another browser. Sign in again.",
    "declined": f"{{issuer}} has not signed you in. {_AGAIN}",
    "invalid": f"What {{issuer}} says of you is not valid for this dashboard. {_AGAIN}",
    "away": f"{{issuer}} does not answer as it should. {_AGAIN}",
}
"""The messages for people who could not sign in."""

_SIGN_OUT = "/auth/logout"
_HINT = "tickercast_id_token"
"""The cookie that holds the ID token for the provider's sign-out, to which alone it is sent."""
_LONGEST_HINT = 3800
"""The limit of one cookie, in letters; without the token, the provider asks whether to sign out."""


_SIGNATURES = [f"{kind}{bits}" for kind in ("RS", "PS", "ES") for bits in (256, 384, 512)] + ["EdDSA", "Ed25519"]
"""The algorithms of an ID token's signature that count: those by a private key, whatever the provider names beside."""


def routes(sign_in: SignIn, people: People) -> list[Route]:
    """Make the addresses.

    Args:
        sign_in: the provider.
        people: the access of people.
    """
    way = _Way(sign_in, people)
    return [Route("/auth/login", way.go), Route(CALLBACK, way.come_back), Route(_SIGN_OUT, way.leave)]


class _Way:
    """The way to the provider, and back."""

    def __init__(self, sign_in: SignIn, people: People) -> None:
        self._sign_in = sign_in
        self._people = people

    async def go(self, request: Request) -> Any:
        """Send the browser to the provider, which asks who somebody is."""
        try:
            client = self._client()
            if "S256" in ((await client.load_server_metadata()).get("code_challenge_methods_supported") or ()):
                client.client_kwargs["code_challenge_method"] = "S256"
            return await client.authorize_redirect(request, self._callback)
        except Exception as error:  # any error of the package that speaks to the provider
            return _failed("away", error)

    async def come_back(self, request: Request) -> RedirectResponse:
        """Receive the browser from the provider, with a code for an ID token; or from its sign-out, with none."""
        from authlib.integrations.base_client import MismatchingStateError, OAuthError
        from joserfc.errors import JoseError

        if not {"code", "error"} & set(request.query_params):
            return RedirectResponse("/", 302)
        try:
            claims, text = await self._checked(request)
        except MismatchingStateError as error:
            return _failed("late", error)
        except OAuthError as error:
            return _failed("declined", error)
        except (JoseError, ValueError, TypeError, KeyError) as error:
            return _failed("invalid", error)
        except Exception as error:  # any error of the package that speaks to the provider
            return _failed("away", error)
        answer = _without_cookies(request)
        self._keep(answer, sessions.COOKIE, sessions.begin(claims, self._people, self._sign_in), "/")
        if len(text) <= _LONGEST_HINT:
            self._keep(answer, _HINT, text, _SIGN_OUT)
        return answer

    async def leave(self, request: Request) -> RedirectResponse:
        """End the session here, and at the provider if it can."""
        sessions.end(sessions.read(request.cookies, self._sign_in))
        url = "/"
        try:
            client = self._client()
            if (await client.load_server_metadata()).get("end_session_endpoint"):
                made = await client.create_logout_url(
                    self._callback, request.cookies.get(_HINT), client_id=self._sign_in.client_id
                )
                url = made["url"]
        except Exception as error:  # any error of the package that speaks to the provider
            log.warning("A session ended here alone: %s (%s)", one_line(error), type(error).__name__)
        answer = _without_cookies(request, url)
        answer.delete_cookie(_HINT, path=_SIGN_OUT)
        return answer

    def _keep(self, answer: RedirectResponse, name: str, value: str, path: str) -> None:
        is_secret = self._sign_in.url.startswith("https://")  # no connection that others can read
        answer.set_cookie(name, value, sessions.LASTS_S, path=path, secure=is_secret, httponly=True, samesite="lax")

    @property
    def _callback(self) -> str:
        return self._sign_in.url + CALLBACK

    def _client(self) -> Any:
        from authlib.integrations.starlette_client import OAuth

        return OAuth().register(
            "default",
            client_id=self._sign_in.client_id,
            client_secret=self._sign_in.client_secret,
            server_metadata_url=self._sign_in.metadata_url,
            client_kwargs={"scope": "openid email profile", "prompt": "select_account"},
        )

    async def _checked(self, request: Request) -> tuple[Mapping[str, Any], str]:
        """The claims of an ID token that the provider made for this dashboard and this sign-in, and its text."""
        client = self._client()
        provider = await client.load_server_metadata()
        provider["id_token_signing_alg_values_supported"] = _SIGNATURES  # where Authlib looks them up
        needed = {
            "iss": {"essential": True, "value": provider["issuer"]},
            "aud": {"essential": True, "value": self._sign_in.client_id},
        }
        token = await client.authorize_access_token(request, claims_options=needed)
        return token["userinfo"], token["id_token"]


def _failed(why: str, error: Exception) -> RedirectResponse:
    log.warning("A sign-in failed, %s: %s (%s)", why, one_line(error), type(error).__name__)
    return RedirectResponse(f"/?{FAILED}={why}", 302)


def _without_cookies(request: Request, url: str = "/") -> RedirectResponse:
    """An answer that removes what this and earlier versions keep of a session."""
    answer = RedirectResponse(url, 302)
    for name in request.cookies:
        if name.startswith(sessions.COOKIE):
            answer.delete_cookie(name)
    return answer
