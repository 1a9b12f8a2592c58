"""Durations, money and windows as people write them."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.fleet.models import Fleet, Maintenance, Provider
from pipelines.fleet.resolve import key_env, key_owner, origin
from pipelines.fleet.units import Money, parse_duration, parse_ratio


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("500ms", 0.5),
        ("90s", 90),
        ("5m", 300),
        ("1h30m", 5400),
        ("1h 30m", 5400),
        ("7d", 604800),
        ("2w", 1209600),
        ("1.5h", 5400),
    ],
)
def test_durations_are_read(text: str, seconds: float) -> None:
    assert parse_duration(text).total_seconds() == seconds


@given(st.one_of(st.text(max_size=20), st.integers(), st.floats(), st.none(), st.booleans()))
def test_anything_else_is_a_value_error(value: object) -> None:
    for parse in (parse_duration, parse_ratio):
        try:
            parse(value)
        except ValueError as error:
            text = str(error)
        else:
            continue
        assert "; write" in text


@pytest.mark.parametrize(
    ("text", "usd", "per"),
    [
        ("$2000/month", 2000, "month"),
        ("2.50 USD/day", "2.5", "day"),
        ("usd 5 per week", 5, "week"),
        ("1,200/year", 1200, "year"),
    ],
)
def test_money_is_read(text: str, usd: object, per: str) -> None:
    money = Money.model_validate(text)
    assert (money.usd, money.per) == (Decimal(str(usd)), per)


@pytest.mark.parametrize("text", ["$5", "5/fortnight", "-5/day", "$,/day", "five/day", 5, None, "€5/day"])
def test_money_without_an_amount_and_a_period_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match=r"Money|amount|period"):
        Money.model_validate(text)


def test_a_budget_per_day_adds_up_over_a_year() -> None:
    assert Money.model_validate("$365.25/year").usd_per_day == 1
    assert Money.model_validate("$7/week").usd_per_day == 1
    assert Money.model_validate("$30.4375/month").usd_per_day * 12 == 12


def nightly(**more: object) -> Maintenance:
    return Maintenance.model_validate({"name": "n", "from": "01:00", "for": "3h", "timezone": "Europe/Berlin", **more})


def test_a_window_lasts_its_elapsed_time_across_a_change_of_the_clocks() -> None:
    # Berlin, 2026-03-29: 02:00 becomes 03:00. The window opens at 00:00 UTC and lasts three hours.
    window = nightly()
    opened = datetime(2026, 3, 29, 0, 0, tzinfo=UTC)
    assert window.covers(opened)
    assert window.covers(opened + timedelta(hours=2, minutes=59))
    assert not window.covers(opened + timedelta(hours=3))
    berlin = (opened + timedelta(hours=2, minutes=30)).astimezone(ZoneInfo("Europe/Berlin"))
    assert window.covers(berlin), "whatever zone the moment is told in"


@given(st.integers(0, 365 * 24 * 60), st.sampled_from(["UTC", "Europe/Berlin", "Asia/Tokyo"]))
def test_a_window_covers_a_moment_in_every_zone_or_in_none(minute: int, zone: str) -> None:
    utc = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=minute)
    assert nightly().covers(utc) == nightly().covers(utc.astimezone(ZoneInfo(zone)))


def test_an_endpoint_is_maintained_while_a_window_that_names_it_is_open() -> None:
    opened = datetime(2026, 11, 20, 12, tzinfo=UTC)
    ends = {"start": opened, "end": opened + timedelta(hours=1)}
    fleet = Fleet.model_validate(
        {
            "maintenance": [
                {"name": "house", "endpoints": ["house/*", "Acme/One"], **ends},
                {"name": "never", "endpoints": ["other/*"], "start": opened - timedelta(days=1), "end": opened},
            ]
        }
    )
    maintained = ["house/a", "house/b/c", "Acme/One"]
    assert [name for name in [*maintained, "acme/one", "house", "other/x"] if fleet.is_maintained(name, opened)] == (
        maintained
    )
    assert not fleet.is_maintained("house/a", opened - timedelta(microseconds=1))
    assert not fleet.is_maintained("house/a", opened + timedelta(hours=1))
    assert fleet.is_maintained("other/x", opened - timedelta(microseconds=1))
    assert not Fleet().is_maintained("house/a", opened)


def test_a_day_names_the_day_on_which_the_window_opens() -> None:
    window = Maintenance.model_validate({"name": "n", "from": "22:00", "for": "4h", "days": ["sat"]})
    assert window.covers(datetime(2026, 11, 7, 23, tzinfo=UTC))
    assert window.covers(datetime(2026, 11, 8, 1, tzinfo=UTC)), "Sunday's first hours belong to Saturday's window"
    assert not window.covers(datetime(2026, 11, 8, 23, tzinfo=UTC))


@pytest.mark.parametrize(
    ("provider", "variable"),
    [
        ({"type": "openai"}, "OPENAI_API_KEY"),
        ({"type": "openai", "api_key_env": "MINE"}, "MINE"),
        ({"type": "openai", "base_url": "https://api.openai.com/v1"}, "OPENAI_API_KEY"),
        ({"type": "openai", "base_url": "https://API.openai.com:443/v2"}, "OPENAI_API_KEY"),
        ({"type": "openai", "base_url": "http://api.openai.com/v1"}, None),
        ({"type": "openai", "base_url": "https://api.openai.com.evil.example/v1"}, None),
        ({"type": "openai", "base_url": "https://gateway.example", "api_key_env": "OPENAI_API_KEY"}, "OPENAI_API_KEY"),
        ({"type": "azure_openai", "base_url": "https://x.openai.azure.com"}, "AZURE_API_KEY"),
        ({"type": "azure_openai", "base_url": "https://x.openai.azure.com.evil.example"}, None),
        ({"type": "azure_openai", "base_url": "http://x.openai.azure.com"}, None),
        ({"type": "ollama"}, None),
    ],
)
def test_a_vendors_key_is_for_the_vendors_origin(provider: dict[str, str], variable: str | None) -> None:
    assert key_env(Provider.model_validate(provider)) == variable


def test_keys_and_origins() -> None:
    assert key_owner("GROQ_API_KEY") == "groq"
    assert key_owner("MINE") is None
    assert origin("HTTPS://A.example") == ("https", "a.example", 443)
