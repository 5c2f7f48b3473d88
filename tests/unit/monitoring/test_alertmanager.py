"""Who is notified: the routes, what may be muted, and what an inhibition may hide."""

from typing import Any

import yaml

from tests.support.monitoring.programs import ALERTMANAGER_CONFIG
from tests.unit.monitoring.test_rules import ALERTS

CONFIG = ALERTMANAGER_CONFIG / "alertmanager.yml"


def config() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(CONFIG.read_text())
    return loaded


def routes(route: dict[str, Any], above: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], dict[str, Any]]]:
    """Every route with all matchers that lead to it."""
    matchers = (*above, *route.get("matchers", ()))
    below = [found for child in route.get("routes", ()) for found in routes(child, matchers)]
    return [(matchers, route), *below]


def test_only_tickets_are_ever_muted() -> None:
    muted = [matchers for matchers, route in routes(config()["route"]) if route.get("mute_time_intervals")]
    assert muted
    assert all('severity = "ticket"' in matchers for matchers in muted)


def test_an_inhibition_can_hide_a_ticket_only() -> None:
    pages = {rule["alert"] for rule in ALERTS if rule["labels"]["severity"] == "page"}
    for rule in config()["inhibit_rules"]:
        assert 'severity = "ticket"' in rule["target_matchers"], rule
        (source,) = rule["source_matchers"]
        assert source.split('"')[1] in pages, f"{source}: only a page may stand for what is hidden"


def test_a_page_that_hides_tickets_of_its_item_outlasts_them() -> None:
    """Else they are sent when it ends, about what is resolved."""
    by = {rule["alert"]: rule for rule in ALERTS}
    (inhibition,) = [rule for rule in config()["inhibit_rules"] if "item" in rule.get("equal", ())]
    (source,) = inhibition["source_matchers"]
    page_minutes = int(by[source.split('"')[1]]["keep_firing_for"].removesuffix("m"))
    hidden = inhibition["target_matchers"][1].split('"')[1].split("|")
    assert hidden
    for name in hidden:
        assert int(by[name]["keep_firing_for"].removesuffix("m")) < page_minutes, name


def test_every_label_that_an_inhibition_compares_is_on_both_of_its_alerts() -> None:
    """A label that both lack counts as equal: such a rule would hide the tickets of every site."""
    by = {rule["alert"]: rule for rule in ALERTS}
    for rule in config()["inhibit_rules"]:
        for label in rule.get("equal", ()):
            for matcher in (*rule["source_matchers"], *rule["target_matchers"]):
                if matcher.startswith("alertname"):
                    for name in matcher.split('"')[1].split("|"):
                        alert = by[name]
                        shown = f"$labels.{label} " in str(alert["annotations"])
                        assert shown or label in str(alert["expr"]), f"{name} has no label {label}"


def test_pages_are_grouped_by_what_is_wrong_and_at_which_clinic() -> None:
    assert config()["route"]["group_by"] == ["alertname", "site"]
    for matchers, route in routes(config()["route"]):
        if 'severity = "page"' in matchers:
            assert "group_by" not in route


def test_every_receiver_that_is_defined_is_used_and_hears_of_the_end() -> None:
    defined = {receiver["name"]: receiver for receiver in config()["receivers"]}
    used = {route["receiver"] for _, route in routes(config()["route"]) if "receiver" in route}
    assert used == set(defined)
    for name, receiver in defined.items():
        (hook,) = receiver["webhook_configs"]
        assert hook["url"].endswith(f"/notifications/{name}")
        assert hook["http_config"] == {"authorization": {"credentials_file": "/run/secrets/alertmanager_token"}}
        assert hook["send_resolved"] is (name != "heartbeat")
