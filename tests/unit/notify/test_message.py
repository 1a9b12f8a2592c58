from datetime import timedelta

import pytest

from dashboards.embed import slug
from pipelines.fleet.models import Alerting
from pipelines.notify.message import compose, duration_text, page_slug
from tests.unit.notify.kit import MINUTE, NOW, A, incident, notice

ALERTING = Alerting(page_base_url="https://status.example/site/")


def test_a_single_incident_is_said_plainly_and_exactly() -> None:
    message = compose(notice(), ALERTING)
    assert message.title == (
        f"DOWN: {A} — 3 of 3 attempts failed since 13:58 UTC (server_error ×3); last good 13:53 UTC"
    )
    facts = dict(message.facts)
    assert facts["Since"] == "13:58 UTC (2 min)"
    assert facts["Observed"] == "3, 2 allowed attempts"
    assert facts["Errors"] == "server_error ×3"
    assert facts["Last good"] == "13:53 UTC"
    assert facts["Owner"] == "ann, project default"
    assert facts["What to do"] == "Look."
    assert message.context == "incident 0123456789abcdef · location home"


def test_the_end_says_how_long_and_how_bad_it_was() -> None:
    ended = incident(state="UP", resolved_at=NOW + timedelta(hours=3, minutes=5))
    message = compose(notice(ended, kind="resolved", at=NOW + timedelta(hours=3, minutes=5)), ALERTING)
    assert message.title == f"RESOLVED: {A} — well again after 3 h 7 min, 3 of 3 attempts failed (server_error ×3)"
    assert message.tone == "good"
    assert "What to do" not in dict(message.facts)


def test_what_is_no_longer_watched_is_not_called_well() -> None:
    ended = incident(state="UP", resolved_at=NOW, detail={"reason": "no longer watched"})
    assert "no longer watched after 2 min" in compose(notice(ended, kind="resolved"), ALERTING).title


def test_a_group_is_listed_with_a_cap() -> None:
    many = [incident(incident_id=f"{k:016}", subject=f"openai/m{k}") for k in range(17)]
    message = compose(notice(*many), ALERTING)
    assert message.title == "DOWN: openai: 17 incidents opened 14:00 UTC"
    assert len(message.lines) == 11
    assert message.lines[-1] == "and 7 more"
    assert message.lines[0].startswith("openai/m0 (endpoint_available) — 3 of 3")


def test_a_simulated_incident_says_so_in_title_and_context() -> None:
    message = compose(notice(incident(is_demo=True)), ALERTING)
    assert message.title.startswith("SIMULATED · DOWN")
    assert "SIMULATED" in message.context


def test_links_lead_to_the_check_and_to_the_page_that_the_site_writes() -> None:
    check, page = compose(notice(), ALERTING).links
    assert check.url == "http://127.0.0.1:3000/assets/probe_results?view=checks&checkDetail=endpoint_available"
    assert page.url == f"https://status.example/site/endpoints/{slug(A)}.html"
    failed = incident(promise="check_passes", subject="marts/fct_probe:not null")
    check, page = compose(notice(failed), ALERTING).links
    assert check.url.endswith("/assets/marts/fct_probe?view=checks&checkDetail=not%20null")
    assert page.url.endswith("/site/index.html")
    assert len(compose(notice(), Alerting()).links) == 1


@pytest.mark.parametrize("name", [A, "p/" + "x" * 200, "p/…", "a/B c:d"])
def test_the_page_is_found_under_any_name(name: str) -> None:
    assert page_slug(name) == slug(name)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-5, "0 s"), (59, "59 s"), (60, "1 min"), (3599, "59 min"), (3660, "1 h 1 min"), (187_200, "2 d 4 h")],
)
def test_durations_are_short_and_never_negative(seconds: int, text: str) -> None:
    assert duration_text(timedelta(seconds=seconds)) == text


def test_a_moment_of_another_day_carries_its_date() -> None:
    old = incident(started_at=NOW - timedelta(days=1))
    assert dict(compose(notice(old), ALERTING).facts)["Since"] == "2026-11-19 14:00 UTC (1 d 0 h)"


def test_reminders_escalations_and_flapping_have_their_own_word() -> None:
    words = {"reminder": "STILL DOWN", "escalated": "ESCALATED, DOWN", "flapping": "FLAPPING", "blind": "BLIND"}
    for kind, word in words.items():
        assert compose(notice(kind=kind, at=NOW + MINUTE), ALERTING).title.startswith(f"{word}: {A}")
