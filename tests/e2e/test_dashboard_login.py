"""The login of the dashboard in a browser: sign in at a provider, make a token, revoke it, sign out."""

import importlib.util
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support import demo
from tests.support.dashboard_server import CHROMIUM, Dashboard, serving
from tests.support.login_provider import provider

from tickercast.app import App
from tickercast.domain.tokens import Scope
from tickercast.errors import Unauthenticated

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not CHROMIUM.exists(), reason=f"{CHROMIUM} is not installed"),
    pytest.mark.skipif(
        not importlib.util.find_spec("oidc_provider_mock"), reason="oidc-provider-mock is not installed: make setup-dev"
    ),
]
PATIENCE_MS = 60_000


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("demo")
    demo.fill(made, cutoffs=2)
    return made


@pytest.fixture(scope="module")
def dashboard(folder: Path) -> Iterator[Dashboard]:
    with provider() as settings, serving(folder, settings) as served:
        yield served


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield launched
        launched.close()


@pytest.fixture
def signed_in(browser: Any, dashboard: Dashboard) -> Iterator[Callable[[str], Any]]:
    """Signs somebody in, in a window of their own."""
    contexts = []

    def opened(name: str) -> Any:
        contexts.append(browser.new_context(viewport={"width": 1300, "height": 1000}))
        page = contexts[-1].new_page()
        page.set_default_timeout(PATIENCE_MS)
        page.goto(dashboard.url)
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url(re.compile("/oauth2/authorize"))
        page.locator("input[name=sub]").first.fill(name)
        page.get_by_role("button", name="Authorize").click()
        page.wait_for_url(f"{dashboard.url}/")
        return page

    yield opened
    for context in contexts:
        context.close()


def access(page: Any) -> Any:
    page.get_by_role("radio", name="Access").click()
    page.get_by_role("heading", name="Access", level=1).wait_for()
    page.locator("[data-testid=stApp][data-test-script-state=notRunning]").wait_for()
    return page


def test_an_operator_makes_a_token_that_is_shown_once_and_revokes_it(
    signed_in: Callable[[str], Any], folder: Path
) -> None:
    app = App(demo.settings_of(folder))
    page = access(signed_in("ann"))
    page.get_by_role("textbox", name="Owner").fill("bob@example.org")
    page.get_by_role("button", name="Make a token").click()
    text = page.get_by_test_id("stCode").inner_text().strip()
    [token] = app.tokens().tokens
    assert (token.owner, token.scopes, token.per_month) == ("bob@example.org", (Scope.READ,), 1000)
    assert app.gate(needs_tokens=True).admit(text, Scope.READ).token == token

    page.get_by_role("button", name="I have copied it").click()
    page.get_by_test_id("stCode").wait_for(state="detached")
    page.get_by_role("cell", name="50", exact=True).wait_for()  # calls that the gate above has leased
    row = page.get_by_role("region", name="Tokens of the API").locator("tbody tr td").all_inner_texts()
    assert row[:4] == [token.id, "bob@example.org", "read", "valid"]
    assert row[6:8] == ["1,000", "50"]
    access(page)
    assert text not in page.content()

    their = access(signed_in("bob"))
    assert their.get_by_text("bob@example.org (viewer)").is_visible()
    assert their.get_by_role("region", name="Tokens of the API").get_by_text(token.id).is_visible()
    assert their.get_by_role("button", name="Make a token").count() == 0
    assert their.get_by_role("button", name="Revoke").count() == 0

    page.get_by_role("combobox", name="Token").click()
    page.get_by_role("option", name=re.compile("bob@example.org")).click()
    page.get_by_text("Calls with it are refused").click()
    page.get_by_role("button", name="Revoke").click()
    page.get_by_role("cell", name="revoked").wait_for()
    with pytest.raises(Unauthenticated, match="was revoked"):
        app.gate(needs_tokens=True).admit(text, Scope.READ)


def test_who_signs_out_in_one_window_has_signed_out_in_all(
    signed_in: Callable[[str], Any], dashboard: Dashboard, folder: Path
) -> None:
    first = signed_in("ann")
    second = first.context.new_page()
    second.set_default_timeout(PATIENCE_MS)
    second.goto(f"{dashboard.url}/?page=Access")
    second.get_by_role("textbox", name="Owner").fill("whoever comes after")
    first.get_by_role("button", name="Sign out").click()
    first.wait_for_url(re.compile("/oauth2/end_session"))
    second.get_by_role("button", name="Make a token").click()
    second.get_by_text("Your session has ended. Sign in again.").wait_for()
    assert "whoever comes after" not in [token.owner for token in App(demo.settings_of(folder)).tokens().tokens]


@pytest.mark.parametrize("width", [390, 1300])
def test_login_and_tokens_fit_and_are_accessible(
    browser: Any, dashboard: Dashboard, signed_in: Callable[[str], Any], width: int
) -> None:
    from axe_playwright_python.sync_playwright import Axe

    signed_out = browser.new_page(viewport={"width": width, "height": 1000})
    signed_out.goto(dashboard.url)
    signed_out.get_by_role("button", name="Sign in").wait_for()
    inside = signed_in("ann")
    inside.set_viewport_size({"width": width, "height": 1000})
    for page in (signed_out, access(inside)):
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        faults = [one for one in Axe().run(page).response["violations"] if one["impact"] in ("serious", "critical")]
        assert [(one["id"], [node["html"] for node in one["nodes"]]) for one in faults] == []
    signed_out.close()


def test_a_viewer_sees_the_pages_and_nobody_elses_tokens(signed_in: Callable[[str], Any], folder: Path) -> None:
    App(demo.settings_of(folder)).create_token("somebody else", [Scope.READ])
    page = signed_in("cleo")
    page.get_by_role("heading", name="Overview", level=1).wait_for()
    page.get_by_text("A symbol opens its page").wait_for()
    access(page)
    page.get_by_text(re.compile("No token was made for cleo@.?elsewhere.example. Ask an operator for one.")).wait_for()
    assert "somebody else" not in page.content()


def test_a_stranger_sees_no_page_and_can_sign_out(signed_in: Callable[[str], Any], dashboard: Dashboard) -> None:
    page = signed_in("eve")
    page.get_by_text(re.compile("eve@.?evil.example may not open this dashboard")).wait_for()
    assert page.get_by_role("radio").count() == 0
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url(re.compile("/oauth2/end_session"))
    page.goto(dashboard.url)
    page.get_by_role("button", name="Sign in").wait_for()


def test_the_log_says_where_it_is_and_holds_no_traceback(dashboard: Dashboard) -> None:
    said = dashboard.log.read_text().splitlines()
    assert said[0].endswith(f"at {dashboard.url}; press Ctrl-C to stop")
    assert [line for line in said[1:] if "Traceback" in line or "Warning" in line] == []
