"""What holds for every request and answer: own origin, known hosts, headers."""

import pytest

from config.settings import load_settings
from tests.support.station_home import PIN, Home, Made, accession, collected, scanned

FOREIGN = ("https://evil.example", "null", "http://127.0.0.1:1", "http://localhost.evil.example")


@pytest.mark.parametrize("origin", FOREIGN)
def test_another_site_s_page_writes_nothing_even_where_the_api_is_open(shared_open_home: Home, origin: str) -> None:
    before = shared_open_home.log.ends()
    answer = shared_open_home.client(headers={"origin": origin}).http.post(
        "/api/v1/events", json=collected(accession())
    )
    assert answer.status_code == 403
    assert shared_open_home.log.ends() == before


@pytest.mark.parametrize("origin", FOREIGN)
def test_another_site_s_page_does_not_use_a_session(shared_home: Home, origin: str) -> None:
    browser = shared_home.signed_in("ma", "NORTH")
    posted = scanned("specimen.collected", accession(), collected("x")["data"])
    for headers in ({"origin": origin}, {"origin": "", "sec-fetch-site": "cross-site"}):
        assert browser.http.post("/api/v1/events", json=posted, headers=headers).status_code == 403
    assert browser.http.delete("/api/v1/session", headers={"origin": origin}).status_code == 403
    assert browser.http.get("/api/v1/session").status_code == 200


def test_a_signed_in_write_without_any_origin_is_refused_and_a_programs_is_not(shared_home: Home) -> None:
    browser = shared_home.signed_in("ma", "NORTH")
    del browser.http.headers["origin"]
    assert browser.http.post("/api/v1/session/touch").status_code == 403
    assert browser.http.post("/api/v1/session/touch", headers={"sec-fetch-site": "cross-site"}).status_code == 403
    assert browser.http.post("/api/v1/session/touch", headers={"sec-fetch-site": "same-site"}).status_code == 403
    assert browser.http.post("/api/v1/session/touch", headers={"sec-fetch-site": "same-origin"}).status_code == 200
    shared_home.client(token=shared_home.device(role="ma").token).post(collected(accession()))


def test_where_the_api_is_open_only_this_machine_s_own_names_are_answered(shared_open_home: Home) -> None:
    client = shared_open_home.client().http
    port = client.base_url.port
    for host in (f"127.0.0.1:{port}", f"localhost:{port}", f"[::1]:{port}"):
        assert client.get("/api/v1/stock", headers={"host": host}).status_code == 200
    for host in ("rebound.example", f"rebound.example:{port}", "", "127.0.0.1.evil.example"):
        assert client.get("/api/v1/stock", headers={"host": host}).status_code == 421
        assert client.get("/healthz", headers={"host": host}).status_code == 200


def test_the_public_address_is_the_own_origin(make: Made) -> None:
    home = make(public_url="https://lab.example.org", host="0.0.0.0")
    browser = home.client(headers={"host": "lab.example.org", "origin": "https://lab.example.org"})
    token = home.device().token
    assert browser.http.post("/api/v1/device", json={"token": token}).status_code == 200
    browser.http.headers["origin"] = "http://lab.example.org"
    assert browser.http.post("/api/v1/device", json={"token": token}).status_code == 403
    assert "max-age" in browser.http.get("/healthz").headers["strict-transport-security"]


@pytest.mark.parametrize("path", ["/", "/sign-in", "/healthz", "/api/v1/session", "/nowhere", "/schema", "/api/v1/x"])
def test_every_answer_carries_the_headers_that_browsers_obey(shared_home: Home, path: str) -> None:
    headers = shared_home.client().http.get(path, headers={"accept": "text/html"}).headers
    policy = headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "unsafe-inline" not in policy
    assert "'unsafe-eval'" not in policy
    assert "frame-ancestors 'none'" in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"
    assert "camera=(self)" in headers["permissions-policy"]
    assert headers["cache-control"] == "no-store"


def test_refusals_of_programs_are_problems_and_those_of_people_are_pages(shared_home: Home) -> None:
    http = shared_home.client().http
    assert http.get("/api/v1/stock").headers["content-type"] == "application/problem+json"
    page = http.get("/collect", headers={"accept": "text/html"})
    assert (page.status_code, page.headers["content-type"].split(";")[0]) == (401, "text/html")


def test_a_body_that_is_too_large_is_refused_before_it_is_read_in_whole(shared_home: Home) -> None:
    browser = shared_home.client()
    assert browser.http.post("/api/v1/session", content=b"x" * 200_000).status_code == 413
    token = shared_home.device(role="ma").token
    assert shared_home.client(token=token).http.post("/api/v1/events", content=b" " * 9_000_000).status_code == 413


def test_the_api_is_open_by_itself_only_for_an_embedded_home_on_loopback() -> None:
    def is_open(**settings: str) -> bool:
        return load_settings({f"LABTRAIL_{name.upper()}": value for name, value in settings.items()}).api_is_open

    assert is_open()
    assert is_open(host="localhost")
    assert not is_open(host="0.0.0.0")
    assert not is_open(public_url="https://lab.example.org")
    assert not is_open(broker="kafka://broker:9092")
    assert is_open(broker="kafka://broker:9092", api_open="true")
    assert not is_open(api_open="false")


def test_where_it_is_open_a_session_that_is_over_is_still_over(open_home: Home) -> None:
    browser = open_home.signed_in("ma", "NORTH")
    open_home.clock.pass_minutes(6)
    assert browser.http.get("/api/v1/stock").status_code == 401
    assert open_home.client().http.get("/api/v1/stock").status_code == 200


def test_where_it_is_open_what_needs_a_person_still_needs_one(shared_open_home: Home) -> None:
    for path in ("/collect", "/board", "/api/v1/session", "/api/v1/live"):
        assert shared_open_home.client().http.get(path).status_code == 401
    assert shared_open_home.client().http.post("/api/v1/numbers", json={"kind": "S"}).status_code == 401


def test_the_station_names_no_software_version_to_strangers(shared_home: Home) -> None:
    answer = shared_home.client().http.post("/api/v1/session", json={"badge": "x", "pin": PIN})
    assert "Traceback" not in answer.text
    assert "litestar" not in (answer.text + str(answer.headers)).lower()
