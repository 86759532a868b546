"""Access to the dashboard: addresses that the provider has verified, domains, and claims."""

from typing import Any

import pytest

from tickercast.domain.people import Access, People, parse_rules
from tickercast.errors import UsageError

PEOPLE = People(parse_rules("@example.org, groups=desk"), parse_rules("ann@example.org, roles=night shift"))


@pytest.mark.parametrize(
    ("claims", "access"),
    [
        ({"email": "ann@example.org", "email_verified": True}, Access.OPERATOR),
        ({"email": "ANN@Example.org", "email_verified": "true"}, Access.OPERATOR),
        ({"email": "bob@example.org", "email_verified": True}, Access.VIEWER),
        ({"roles": "night shift"}, Access.OPERATOR),
        ({"groups": ["all", "desk"]}, Access.VIEWER),
        ({"groups": "desk"}, Access.VIEWER),
        ({"groups": ["desk-2"]}, None),
        ({"email": "ann@example.org"}, None),
        ({"email": "ann@example.org", "email_verified": False}, None),
        ({"email": "ann@example.org.evil.example", "email_verified": True}, None),
        ({"email": "ann@sub.example.org", "email_verified": True}, None),
        ({"email_verified": True}, None),
        ({}, None),
    ],
)
def test_access_needs_a_verified_address_or_a_claim(claims: dict[str, Any], access: Access | None) -> None:
    found = PEOPLE.visitor({"sub": "1", **claims})
    assert (found.access if found else None) == access


def test_everybody_may_look_where_the_list_says_so() -> None:
    found = People(parse_rules("*"), ()).visitor({"sub": "17", "email": "bob@example.org", "email_verified": False})
    assert found
    assert (found.access, found.name, found.address) == (Access.VIEWER, "bob@example.org (not verified; sub 17)", "")


@pytest.mark.parametrize("said", [{"email": "boss@example.org", "email_verified": False}, {"name": "boss@example.org"}])
def test_nobody_goes_by_an_address_that_the_provider_has_not_verified(said: dict[str, Any]) -> None:
    found = PEOPLE.visitor({"sub": "mallory", "groups": ["desk"], **said})
    assert found
    assert (found.name, found.address) == ("boss@example.org (not verified; sub mallory)", "")


@pytest.mark.parametrize(
    "text", ["ann", "ann@", "@", "a b@example.org", "=desk", "groups=", "ann@@example.org", "email=x@y.org"]
)
def test_a_word_that_names_nobody_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"names nobody: .*was needed"):
        parse_rules(f"bob@example.org, {text}")
