"""The real Alertmanager notifies the real station."""

from pathlib import Path

import httpx
import pytest

from tests.support.monitoring.servers import alertmanager, until
from tests.support.processes import free_port
from tests.support.station_home import Home


@pytest.mark.prometheus
@pytest.mark.story
def test_the_real_alertmanager_tells_the_real_station_with_its_token(tmp_path: Path) -> None:
    home, address = Home(tmp_path / "home"), f"127.0.0.1:{free_port()}"
    try:
        token = home.device(role="manager").token
        with alertmanager(tmp_path, home.serving.origin, address=address, speed=100, token=token):
            labels = {"alertname": "StatResultOverdue", "site": "NORTH", "severity": "page", "team": "lab"}
            posted = [{"labels": labels, "annotations": {"summary": "STAT results overdue for NORTH: 2"}}]
            assert httpx.post(f"http://{address}/api/v2/alerts", json=posted, timeout=10).status_code == 200
            reader = home.client(token=token).http
            (shown,) = until("the station knows", lambda: reader.get("/api/v1/notifications").json()["firing"])
        assert (shown["receiver"], shown["alert"], shown["site"]) == ("lab-supervisor", "StatResultOverdue", "NORTH")
        assert shown["summary"] == "STAT results overdue for NORTH: 2"
    finally:
        home.close()
