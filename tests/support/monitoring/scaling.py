"""The configuration as shipped, with its durations divided: a day's rules tested in minutes.

`repeat_interval` stays as it is: within a test no notification may be repeated.
"""

import re
from pathlib import Path
from typing import Any

import yaml

from tests.support.monitoring.programs import ALERTMANAGER_CONFIG, PROMETHEUS_CONFIG

DURATIONS = frozenset(
    {
        "scrape_interval",
        "scrape_timeout",
        "evaluation_interval",
        "interval",
        "for",
        "keep_firing_for",
        "refresh_interval",
        "group_wait",
        "group_interval",
        "resolve_timeout",
    }
)
TOKEN = "the-token-of-alertmanager"
_MS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_DURATION = re.compile(r"(\d+)(ms|s|m|h|d)")
_WINDOW = re.compile(r"(\[|\boffset )((?:\d+(?:ms|s|m|h|d))+)")


def shorter(duration: str, speed: float) -> str:
    """`1m` at speed 60 is `1000ms`; never below a tenth of a second, zero stays zero."""
    ms = sum(int(number) * _MS[unit] for number, unit in _DURATION.findall(duration))
    return f"{max(100, round(ms / speed))}ms" if ms else "0s"


def scaled(value: Any, speed: float, key: str = "") -> Any:
    """A configuration with every duration and every window of an expression divided by `speed`."""
    if isinstance(value, dict):
        return {name: scaled(inner, speed, name) for name, inner in value.items()}
    if isinstance(value, list):
        return [scaled(inner, speed) for inner in value]
    if key in DURATIONS:
        return shorter(str(value), speed)
    if key == "expr":
        return _WINDOW.sub(lambda window: window[1] + shorter(window[2], speed), str(value))
    return value


def write_prometheus(folder: Path, speed: float, targets: list[str], alertmanager: str | None) -> Path:
    """The shipped Prometheus configuration in `folder`, faster, with these targets; its path."""
    (folder / "rules").mkdir(parents=True)
    for path in (PROMETHEUS_CONFIG / "rules").glob("*.yml"):
        rules = scaled(yaml.safe_load(path.read_text()), speed)
        (folder / "rules" / path.name).write_text(yaml.safe_dump(rules, sort_keys=False))
    config = scaled(yaml.safe_load((PROMETHEUS_CONFIG / "prometheus.yml").read_text()), speed)
    (job,) = [j for j in config["scrape_configs"] if j["job_name"] == "labtrail"]
    del job["dns_sd_configs"]
    job["static_configs"] = [{"targets": targets}]
    config["scrape_configs"] = [job]
    config["global"]["scrape_timeout"] = config["global"]["scrape_interval"]  # the machine does not get faster
    if alertmanager is None:
        del config["alerting"]
    else:
        config["alerting"]["alertmanagers"] = [{"static_configs": [{"targets": [alertmanager]}]}]
    made = folder / "prometheus.yml"
    made.write_text(yaml.safe_dump(config, sort_keys=False))
    return made


def write_alertmanager(folder: Path, speed: float, sink: str, token: str = TOKEN) -> Path:
    """The shipped Alertmanager configuration in `folder`, faster, posting to `sink`, and never muted; its path.

    The mute times are left out since the test runs at any hour; which routes are muted is tested by reading.
    """
    folder.mkdir(parents=True, exist_ok=True)
    config = scaled(yaml.safe_load((ALERTMANAGER_CONFIG / "alertmanager.yml").read_text()), speed)
    (folder / "token").write_text(token)
    _unmute(config["route"])
    for receiver in config["receivers"]:
        for hook in receiver["webhook_configs"]:
            hook["url"] = hook["url"].replace("http://station:8080", sink)
            hook["http_config"]["authorization"]["credentials_file"] = str(folder / "token")
    made = folder / "alertmanager.yml"
    made.write_text(yaml.safe_dump(config, sort_keys=False))
    return made


def _unmute(route: dict[str, Any]) -> None:
    route.pop("mute_time_intervals", None)
    for child in route.get("routes", ()):
        _unmute(child)
