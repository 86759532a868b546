"""The dashboard behind a login: whoever has not signed in, or has no role, sees nothing; no cookie can be forged."""

import importlib.util
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

pytest.importorskip("streamlit")
if not importlib.util.find_spec("oidc_provider_mock"):
    pytest.skip("oidc-provider-mock is not installed: make setup-dev", allow_module_level=True)

from tests.support.dashboard_server import Dashboard, serving
from tests.support.login_provider import CLIENT, PEOPLE, Person, forged, provider

from tickercast.dashboard.sessions import LASTS_S
from tickercast.dashboard.sign_in import SignIn

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def dashboard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    folder = tmp_path_factory.mktemp("dashboard")
    with provider() as settings, serving(folder, settings) as served:
        yield served
    shutil.rmtree(folder, ignore_errors=True)


def test_without_a_login_nothing_but_the_login_is_shown(dashboard: Dashboard) -> None:
    seen = Person(dashboard.url).sees()
    assert "Sign in to see the forecasts" in seen
    assert "warehouse" not in seen


@pytest.mark.parametrize(
    ("name", "role"),
    [("ann", "operator"), ("bob", "viewer"), ("cleo", "viewer"), ("finn", "viewer"), ("dora", ""), ("eve", "")],
)
def test_the_provider_says_who_somebody_is_and_the_settings_what_they_may_do(
    dashboard: Dashboard, name: str, role: str
) -> None:
    person = Person(dashboard.url)
    assert person.sign_in(name).url == f"{dashboard.url}/"
    seen = person.sees()
    address = PEOPLE[name]["email"]
    if role:
        assert f"{address} ({role})" in seen
        assert "warehouse" in seen
    else:
        assert "may not open this dashboard" in seen
        assert "TICKERCAST_" not in seen
        assert "warehouse" not in seen


def key_of(dashboard: Dashboard) -> str:
    signed = SignIn("", CLIENT["TICKERCAST_OIDC_CLIENT_ID"], CLIENT["TICKERCAST_OIDC_CLIENT_SECRET"], dashboard.url)
    return signed.secrets().partition('cookie_secret = "')[2].partition('"')[0]


@pytest.mark.parametrize(
    ("own_key", "age_s", "is_in"), [(True, 0, True), (False, 0, False), (True, LASTS_S + 60, False)]
)
def test_a_cookie_of_another_key_or_of_yesterday_opens_nothing(
    dashboard: Dashboard, own_key: bool, age_s: float, is_in: bool
) -> None:
    person = Person(dashboard.url)
    claims = PEOPLE["ann"] | {"sub": "ann", "session": "one", "iat": time.time() - age_s}
    person.web.cookies.set("_streamlit_user", forged(key_of(dashboard) if own_key else "", dashboard.url, claims))
    seen = person.sees()
    assert ("(operator)" in seen) is is_in
    assert ("Sign in" in seen) is not is_in


def test_a_login_by_another_name_of_the_machine_ends_at_the_named_one(dashboard: Dashboard) -> None:
    answer = requests.get(f"{dashboard.url}/oauth2callback?state=x&code=y", allow_redirects=False, timeout=30)
    assert (answer.status_code, answer.headers["Location"]) == (302, "/?sign-in=late")
    assert "_streamlit_user" not in answer.cookies


def test_a_session_that_is_signed_out_has_ended_for_every_copy_of_its_cookie(dashboard: Dashboard) -> None:
    person, copy = Person(dashboard.url), Person(dashboard.url)
    person.sign_in("ann")
    copy.web.cookies.update(person.web.cookies)
    assert "(operator)" in copy.sees()
    person.web.get(f"{dashboard.url}/auth/logout", allow_redirects=False, timeout=30)
    seen = copy.sees()
    assert "Your session has ended. Sign in again." in seen
    assert "(operator)" not in seen
    assert copy.uploads().status_code == 403


def test_a_sign_in_that_fails_says_so_on_the_page_and_in_the_log(dashboard: Dashboard) -> None:
    person = Person(dashboard.url)
    came = person.web.get(f"{dashboard.url}/oauth2callback?error=access_denied&state=x", timeout=30)
    assert came.url == f"{dashboard.url}/?sign-in=declined"
    assert "has not signed you in. Sign in again;" in person.sees("sign-in=declined")
    assert "A sign-in failed, declined: access_denied" in dashboard.log.read_text()


def test_only_who_may_open_the_dashboard_can_upload_or_read_its_metrics(dashboard: Dashboard) -> None:
    stranger, eve, bob = (Person(dashboard.url) for _ in range(3))
    eve.sign_in("eve")
    bob.sign_in("bob")
    for person in (stranger, eve):
        assert "a login that opens the dashboard was needed" in person.uploads().text
        assert person.web.get(f"{dashboard.url}/_stcore/metrics", timeout=30).status_code == 403
    assert "Invalid session_id" in bob.uploads().text
    assert bob.web.get(f"{dashboard.url}/_stcore/metrics", timeout=30).ok


def test_cookies_of_other_services_of_the_host_do_not_empty_the_page(dashboard: Dashboard) -> None:
    person = Person(dashboard.url)
    for name in "abcdef":
        person.web.cookies.set(name, "x" * 4000)
    assert "Sign in to see the forecasts" in person.sees()


def test_another_host_is_refused(dashboard: Dashboard) -> None:
    assert requests.get(dashboard.url, headers={"Host": "evil.example"}, timeout=30).status_code == 400


def test_the_secrets_are_in_no_page_and_no_log_and_their_file_is_private(dashboard: Dashboard) -> None:
    person = Person(dashboard.url)
    person.sign_in("bob")
    secret = CLIENT["TICKERCAST_OIDC_CLIENT_SECRET"]
    for text in (person.sees(), dashboard.log.read_text()):
        assert secret not in text
        assert key_of(dashboard) not in text


def test_the_secrets_file_is_for_this_user_alone_and_goes_with_the_server(
    tmp_path: Path,
) -> None:
    with provider() as settings:
        with serving(tmp_path, settings | {"TMPDIR": str(tmp_path)}) as served:
            [secrets] = tmp_path.glob("tickercast-dashboard-*/secrets.toml")
            assert (secrets.stat().st_mode & 0o777, secrets.parent.stat().st_mode & 0o777) == (0o600, 0o700)
            assert served.log.read_text().count("\n") == 1  # where it is served
        assert not secrets.exists()
