"""The login of the dashboard: what the settings must say, what Streamlit is given, and what IAP's signature proves."""

import time
import tomllib
import warnings
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from http.client import HTTPMessage
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import NAMESPACE_DNS, uuid5

import pytest
from tests.support.dashboard_server import free_port
from tests.support.stand_in import Answer, StandIn, as_json
from typer.testing import CliRunner

from tickercast import config
from tickercast.cli import app
from tickercast.config import Settings
from tickercast.dashboard import launch, sessions
from tickercast.dashboard.sign_in import SignIn, sign_in_of
from tickercast.domain.people import Access, People, parse_rules
from tickercast.errors import AccessDenied, Transient, UsageError

pytest.importorskip("streamlit")

LOGIN = {
    "oidc_issuer": "https://login.example",
    "oidc_client_id": "dashboard",
    "oidc_client_secret": 'a "secret"',
    "dashboard_url": "https://forecasts.example.org/",
    "dashboard_viewers": "@example.org",
}
AUDIENCE = "/projects/1/locations/europe-west3/services/tickercast-dashboard"


class Provider(StandIn):
    """Says of itself what it is told to."""

    says: Any = None
    status = 200
    asked = 0

    def answer(self, verb: str, url: str, headers: HTTPMessage, content: bytes) -> Answer | None:
        self.asked += 1
        return as_json(self.says, self.status)


@pytest.fixture
def stand_in() -> Iterator[Provider]:
    made = Provider()
    yield made
    made.close()


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.7", "::"])
def test_an_address_that_others_reach_needs_a_login(workspace: Path, host: str) -> None:
    done = CliRunner().invoke(app, ["dashboard", "--host", host])
    assert isinstance(done.exception, UsageError)
    said = str(done.exception)
    assert f"anybody could open the dashboard at {host}: 127.0.0.1 was needed, or a provider of logins" in said
    assert "Set TICKERCAST_OIDC_ISSUER" in said


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"oidc_client_secret": ""}, "TICKERCAST_OIDC_CLIENT_SECRET is empty"),
        ({"oidc_issuer": ""}, "TICKERCAST_OIDC_ISSUER is empty"),
        ({"oidc_issuer": "http://login.example"}, "https://HOST was needed"),
        ({"dashboard_url": "http://forecasts.example.org"}, "https://HOST was needed"),
        ({"dashboard_url": "https://example.org/forecasts"}, "without a path was needed"),
        *[
            ({"dashboard_url": url}, "TICKERCAST_DASHBOARD_URL is .* https://HOST was needed, without a user")
            for url in (
                "https://",
                "h.example",
                "https://h.example?x=1",
                "https://h.example#a",
                "https://h.example?",
                "https://u:pw@h.example",
                "https://h.example:0",
                "https://h.example:http",
                "https://h.example:99999",
                "https://h example",
                "https://[::1",
                "https://b\u00fccher.example",
            )
        ],
        ({"oidc_issuer": "https://"}, "TICKERCAST_OIDC_ISSUER is .* https://HOST was needed, without a user"),
        ({"oidc_issuer": "https://u:pw@h.example"}, r"TICKERCAST_OIDC_ISSUER is https://\*\*\*@h.example: "),
        ({"dashboard_viewers": ""}, "Nobody may open the dashboard"),
        ({"dashboard_viewers": "bob"}, "'bob' names nobody"),
        ({"dashboard_operators": "*"}, "whoever signs in could make tokens"),
        ({"oidc_client_id": "a\nb"}, "cannot be printed"),
        ({"iap_audience": AUDIENCE}, "one login was needed"),
    ],
)
def test_a_login_that_is_half_set_is_refused_before_the_port_is_opened(changes: dict[str, str], said: str) -> None:
    pytest.importorskip("authlib")
    with pytest.raises(UsageError, match=said):
        launch.require(Settings(**{**LOGIN, **changes}), "0.0.0.0", free_port())


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ("https://Forecasts.Example.org:443/", "https://forecasts.example.org"),
        ("https://forecasts.example.org:8443", "https://forecasts.example.org:8443"),
        ("http://localhost:80", "http://localhost"),
    ],
)
def test_the_address_is_taken_as_a_browser_writes_it(given: str, url: str) -> None:
    pytest.importorskip("authlib")
    found = sign_in_of(Settings(**{**LOGIN, "dashboard_url": given}), 8501)
    assert found
    assert found.url == url


def test_a_login_without_its_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.util

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "authlib" else name)
    with pytest.raises(UsageError, match="needs authlib, which is not installed"):
        launch.require(Settings(**LOGIN), "0.0.0.0", free_port())


@pytest.mark.parametrize(
    ("says", "status", "said"),
    [
        ({}, 404, "does not answer .404.*Correct TICKERCAST_OIDC_ISSUER"),
        ([], 200, "names the issuer 'None'"),
        ({"issuer": "https://other.example"}, 200, "names the issuer 'https://other.example'"),
        ("own", 200, "has no token_endpoint, jwks_uri"),
    ],
)
def test_another_server_than_the_provider_is_told_apart(stand_in: Provider, says: Any, status: int, said: str) -> None:
    own = {"issuer": stand_in.url + "/", "authorization_endpoint": "x"}
    stand_in.says, stand_in.status = own if says == "own" else says, status
    with pytest.raises(UsageError, match=said):
        SignIn(stand_in.url, "dashboard", "secret", "http://localhost:8501").check_provider()


def test_streamlit_is_told_everything_and_the_key_of_its_cookies_follows_the_secret() -> None:
    made = SignIn("https://login.example", "dashboard", 'a "secret" \\ ü', "https://forecasts.example.org")
    told = tomllib.loads(made.secrets())["auth"]
    assert len(told.pop("cookie_secret")) == 64
    assert told == {
        "redirect_uri": "https://forecasts.example.org/oauth2callback",
        "client_id": "dashboard",
        "client_secret": 'a "secret" \\ ü',
        "server_metadata_url": "https://login.example/.well-known/openid-configuration",
    }
    other = SignIn("https://login.example", "dashboard", "another", "https://forecasts.example.org")
    keys = [tomllib.loads(one.secrets())["auth"]["cookie_secret"] for one in (made, made, other)]
    assert keys[0] == keys[1] != keys[2]


def test_with_a_login_the_dashboard_answers_to_its_own_name() -> None:
    place = launch.Place("0.0.0.0", 8501, SignIn("", "", "", "https://forecasts.example.org"))
    told = launch.words(place, [Path("/x/secrets.toml")])
    assert "--server.allowedHosts=forecasts.example.org" in told
    assert "--secrets.files=/x/secrets.toml" in told
    assert "--server.allowedHosts=*" not in told
    assert "--server.maxUploadSize=1" in told


def test_a_setting_may_be_a_file_of_secrets(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (workspace / "tickercast_oidc_client_secret").write_text("from a file\n")
    monkeypatch.setattr(config, "SECRETS", workspace)
    assert config.load().oidc_client_secret.get_secret_value() == "from a file"
    assert "from a file" not in repr(config.load())


# ---------------------------------------------------------------- to the provider and back


class Login(Provider):
    """Signs everybody in, by the ID tokens that it is told to make."""

    def __init__(self) -> None:
        from joserfc.jwk import RSAKey

        super().__init__()
        self.key = self.published = RSAKey.generate_key(2048, {"kid": "one"})
        self.changes: dict[str, Any] = {}
        self.algorithm, self.algorithms = "RS256", ["RS256"]
        self.nonce = ""

    def answer(self, verb: str, url: str, headers: HTTPMessage, content: bytes) -> Answer | None:
        if url == "/token":
            now = int(time.time())
            claims = {"iss": self.url, "sub": "1", "aud": "dashboard", "nonce": self.nonce, "iat": now, "exp": now + 60}
            claims |= {"email": "ann@example.org", "email_verified": True, **self.changes}
            claims = {name: value for name, value in claims.items() if value is not None}
            from joserfc import jwt

            signed = {"alg": self.algorithm, "kid": "one"}
            text = jwt.encode(signed, claims, self.key, algorithms=[self.algorithm])
            said: Any = {"access_token": "x" * 2000, "token_type": "Bearer", "id_token": text}
        elif url == "/keys":
            said = {"keys": [self.published.as_dict(private=False)]}
        else:
            said = {"issuer": self.url, "code_challenge_methods_supported": ["S256"]} | {
                f"{name}": f"{self.url}/{name[:5]}" for name in ("authorization_endpoint", "end_session_endpoint")
            }
            said |= {"token_endpoint": f"{self.url}/token", "jwks_uri": f"{self.url}/keys"}
            said |= {"id_token_signing_alg_values_supported": self.algorithms}
        return as_json(said, self.status)


class Browser:
    """Goes to the provider and comes back."""

    def __init__(self, login: Login, url: str = "http://testserver") -> None:
        from starlette.applications import Starlette
        from starlette.middleware import Middleware
        from starlette.middleware.sessions import SessionMiddleware
        from starlette.testclient import TestClient

        from tickercast.dashboard.sign_in_routes import routes

        self.login = login
        self.sign_in = SignIn(login.url, "dashboard", "secret", url)
        self.people = People(parse_rules("@example.org"), parse_rules("groups=desk"))
        middleware = [Middleware(SessionMiddleware, secret_key="x")]
        made = Starlette(routes=routes(self.sign_in, self.people), middleware=middleware)
        self.web = TestClient(made, base_url=url, follow_redirects=False)

    def signs_in(self) -> Any:
        """The answer to who comes back from the provider."""
        asked = parse_qs(urlsplit(self.web.get("/auth/login").headers["location"]).query)
        assert asked["code_challenge_method"] == ["S256"]
        [self.login.nonce] = asked["nonce"]
        return self.web.get("/oauth2callback", params={"code": "c", "state": asked["state"][0]})

    @property
    def claims(self) -> Any:
        return sessions.read(dict(self.web.cookies), self.sign_in)


@pytest.fixture
def browser() -> Iterator[Browser]:
    pytest.importorskip("authlib.deprecate")  # which shows its warnings whatever was chosen before
    login = Login()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of packages about each other
        yield Browser(login)
    login.close()


def test_a_cookie_holds_what_access_and_a_name_come_from_and_no_more(browser: Browser) -> None:
    groups = [str(uuid5(NAMESPACE_DNS, str(number))) for number in range(200)]
    browser.login.changes = {"groups": [*groups, "desk"], "picture": "https://x.example/" + "x" * 9000}
    answer = browser.signs_in()
    assert (answer.status_code, answer.headers["location"]) == (302, "/")
    assert sum(len(each) for each in answer.headers.get_list("set-cookie")) < 1500
    found = browser.people.visitor(browser.claims)
    assert found
    assert (found.name, found.access) == ("ann@example.org", Access.OPERATOR)
    assert sessions.is_open(browser.claims)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_cookies_of_an_encrypted_address_go_over_no_other(browser: Browser, scheme: str) -> None:
    made = Browser(browser.login, f"{scheme}://testserver").signs_in().headers.get_list("set-cookie")
    ours = [each.lower() for each in made if not each.startswith("session=")]
    assert ["secure" in each for each in ours if "httponly" in each] == [scheme == "https"] * 2


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": "other", "azp": "dashboard"},
        {"aud": ["other"], "azp": "dashboard"},
        {"aud": None},
        {"iss": "https://evil.example"},
        {"iss": None},
        {"nonce": "another"},
        {"nonce": None},
        {"exp": 1_000},
        {"iat": 4_000_000_000},
        {"sub": None},
    ],
)
def test_a_token_for_something_else_signs_nobody_in(
    browser: Browser, changes: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    browser.login.changes = changes
    assert browser.signs_in().headers["location"] == "/?sign-in=invalid"
    assert not browser.claims
    assert "A sign-in failed, invalid: " in caplog.text


def test_a_token_of_another_key_signs_nobody_in(browser: Browser) -> None:
    browser.login.published = type(browser.login.key).generate_key(2048, {"kid": "one"})
    assert browser.signs_in().headers["location"] == "/?sign-in=invalid"


def test_a_token_that_no_private_key_has_signed_signs_nobody_in_whatever_the_provider_lists(browser: Browser) -> None:
    from joserfc.jwk import OctKey

    login, private = browser.login, browser.login.key
    for login.algorithm, login.key in (("none", private), ("HS256", OctKey.import_key("x" * 32, {"kid": "one"}))):
        login.published, login.algorithms = login.key, ["RS256", login.algorithm]
        assert browser.signs_in().headers["location"] == "/?sign-in=invalid"
        assert not browser.claims
    login.key = login.published = private
    login.algorithm = "PS256"
    assert browser.signs_in().headers["location"] == "/"


def test_a_token_for_several_audiences_signs_in_where_it_was_made_for_this_one(browser: Browser) -> None:
    browser.login.changes = {"aud": ["other", "dashboard"], "azp": "dashboard"}
    assert browser.signs_in().headers["location"] == "/"


def test_who_comes_back_without_a_sign_in_is_told_why(browser: Browser) -> None:
    assert browser.web.get("/oauth2callback").headers["location"] == "/"  # from the provider's sign-out
    assert browser.web.get("/oauth2callback?error=access_denied").headers["location"] == "/?sign-in=declined"
    assert browser.web.get("/oauth2callback?code=c&state=s").headers["location"] == "/?sign-in=late"
    browser.login.status = 503
    assert browser.web.get("/auth/login").headers["location"] == "/?sign-in=away"


def test_signing_out_ends_the_session_here_and_at_the_provider(browser: Browser) -> None:
    browser.signs_in()
    claims = browser.claims
    url = urlsplit(browser.web.get("/auth/logout").headers["location"])
    asked = parse_qs(url.query)
    assert url.path == "/end_s"
    assert (asked["client_id"], len(asked["id_token_hint"])) == (["dashboard"], 1)
    assert asked["post_logout_redirect_uri"] == ["http://testserver/oauth2callback"]
    assert not browser.claims
    assert not sessions.is_open(claims)


def test_signing_out_works_while_the_provider_is_away(browser: Browser) -> None:
    browser.signs_in()
    claims = browser.claims
    browser.login.status = 503
    assert browser.web.get("/auth/logout").headers["location"] == "/"
    assert not sessions.is_open(claims)


# ---------------------------------------------------------------- behind IAP


class Google:
    """Signs as IAP does, and publishes its key."""

    def __init__(self, stand_in: Provider, kid: str = "one") -> None:
        from joserfc.jwk import ECKey

        self.kid = kid
        self.key = ECKey.generate_key("P-256", {"kid": kid, "alg": "ES256", "use": "sig"})
        stand_in.says = {"keys": [self.key.as_dict(private=False)]}

    def sign(self, **changes: Any) -> str:
        from joserfc import jwt

        now = int(time.time())
        claims = {"iss": "https://cloud.google.com/iap", "aud": AUDIENCE, "iat": now, "exp": now + 600, "sub": "1"}
        claims |= {"email": "Bob@example.org", **changes}
        return jwt.encode({"alg": "ES256", "kid": self.kid}, claims, self.key)


class Watch:
    """The seconds that have passed for the keys that are held."""

    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def watch() -> Watch:
    return Watch()


@pytest.fixture
def google(stand_in: Provider, watch: Watch, monkeypatch: pytest.MonkeyPatch) -> Google:
    pytest.importorskip("joserfc")
    from tickercast.dashboard import iap

    monkeypatch.setattr(iap, "KEYS_URL", stand_in.url)
    monkeypatch.setattr(iap, "_keys", iap.Keys(watch))
    return Google(stand_in)


def test_what_iap_has_signed_says_who_is_there(google: Google) -> None:
    from tickercast.dashboard import iap

    found = iap.claims(google.sign(), AUDIENCE)
    assert (found["email"], found["email_verified"]) == ("Bob@example.org", True)


@pytest.mark.parametrize(
    "changes",
    [{"aud": AUDIENCE + "-2"}, {"iss": "https://evil.example"}, {"exp": 1_000}, {"iat": 4_000_000_000}, {"aud": None}],
)
def test_a_signature_for_something_else_opens_nothing(google: Google, changes: dict[str, Any]) -> None:
    from tickercast.dashboard import iap

    with pytest.raises(AccessDenied, match="is not valid"):
        iap.claims(google.sign(**changes), AUDIENCE)


def test_behind_iap_only_whom_it_has_signed_for_sends_a_file(google: Google, monkeypatch: pytest.MonkeyPatch) -> None:
    from starlette.requests import HTTPConnection

    from tickercast.dashboard import gate, iap

    settings = Settings(iap_audience=AUDIENCE, dashboard_viewers="@example.org")
    monkeypatch.setattr(config, "load", lambda: settings)
    stranger = google.sign(email="eve@evil.example")
    for text, is_in in ((google.sign(), True), (stranger, False), ("", False), ("x", False)):
        headers = [(iap.HEADER.lower().encode(), text.encode())]
        assert gate.admits(HTTPConnection({"type": "http", "headers": headers})) is is_in


def test_no_signature_and_a_forged_one_open_nothing(google: Google, stand_in: Provider) -> None:
    from joserfc import jwt
    from joserfc.jwk import OctKey

    from tickercast.dashboard import iap

    claims = {"iss": "https://cloud.google.com/iap", "aud": AUDIENCE, "iat": 1, "exp": 4_000_000_000}
    shared = jwt.encode({"alg": "HS256", "kid": "one"}, claims, OctKey.import_key("x" * 32), algorithms=["HS256"])
    published, stranger = stand_in.says, Google(stand_in)
    stand_in.says = published
    headers = ('{"alg":"none","kid":"one"}', '["alg"]', '"alg"', '{"alg":"ES256","crit":1}')
    damaged = [f"{urlsafe_b64encode(header.encode()).decode().rstrip('=')}.e30." for header in headers]
    for text in ("x", shared, *damaged, google.sign()[:-4] + "AAAA", stranger.sign()):
        with pytest.raises(AccessDenied, match="is not valid"):
            iap.claims(text, AUDIENCE)
    with pytest.raises(AccessDenied, match="has not passed Google's IAP"):
        iap.claims("", AUDIENCE)


def test_a_new_key_of_google_is_read_and_a_withdrawn_one_opens_nothing(
    google: Google, stand_in: Provider, watch: Watch
) -> None:
    from tickercast.dashboard import iap

    iap.claims(google.sign(), AUDIENCE)
    watch.now_s += 60
    new = Google(stand_in, "two")
    assert iap.claims(new.sign(), AUDIENCE)["aud"] == AUDIENCE
    newest = Google(stand_in, "three")
    watch.now_s += 3599
    iap.claims(new.sign(), AUDIENCE)
    watch.now_s += 1
    with pytest.raises(AccessDenied, match="is not valid"):  # nothing but the age of the keys has renewed them
        iap.claims(new.sign(), AUDIENCE)
    iap.claims(newest.sign(), AUDIENCE)


def test_held_keys_stay_good_for_a_day_while_google_is_away(
    google: Google, stand_in: Provider, watch: Watch, caplog: pytest.LogCaptureFixture
) -> None:
    from tickercast.dashboard import iap

    stand_in.status = 503
    with pytest.raises(Transient, match="nobody can be let in"):
        iap.claims(google.sign(), AUDIENCE)
    stand_in.status = 200
    iap.claims(google.sign(), AUDIENCE)
    stand_in.status, published = 503, stand_in.says
    unknown = Google(stand_in, "two")
    for watch.now_s in (60, 24 * 3600 - 1):
        with pytest.raises(AccessDenied, match="is not valid"):
            iap.claims(unknown.sign(), AUDIENCE)
        iap.claims(google.sign(), AUDIENCE)
    assert "Keys that were read 86399 s ago go on being used" in caplog.text
    watch.now_s += 1
    with pytest.raises(Transient, match="nobody can be let in"):
        iap.claims(google.sign(), AUDIENCE)
    stand_in.status, stand_in.says = 200, published
    iap.claims(google.sign(), AUDIENCE)


def test_headers_that_name_unknown_keys_make_no_more_than_one_read_a_minute(
    google: Google, stand_in: Provider, watch: Watch
) -> None:
    from tickercast.dashboard import iap

    published, unknown = stand_in.says, Google(stand_in, "two")
    stand_in.says = published
    for watch.now_s in (0, 59, 60, 61, 119, 120):
        for _ in range(3):
            with pytest.raises(AccessDenied, match="is not valid"):
                iap.claims(unknown.sign(), AUDIENCE)
    assert stand_in.asked == 3
    iap.claims(google.sign(), AUDIENCE)


@pytest.mark.parametrize(
    "says", [{}, [], None, {"keys": 1}, {"keys": []}, {"keys": [{"kty": "EC"}]}, {"keys": [{"kty": ["EC"]}]}]
)
def test_an_answer_without_keys_lets_nobody_in_and_is_said(google: Google, stand_in: Provider, says: Any) -> None:
    from tickercast.dashboard import iap

    stand_in.says = says
    with pytest.raises(Transient, match="answers without keys that can be read"):
        iap.claims(google.sign(), AUDIENCE)
