"""Signing in and out: badge, PIN, device; how long a session lasts; what ends it."""

import threading

import pytest
from argon2 import PasswordHasher

from config.values import Secret
from models.database.engine import writing
from models.people.devices import revoke_device
from models.people.sessions import DEVICE_FAILURES_MAX, FAILURES_FREE, WAIT_MINUTES_MAX
from models.people.users import Grant, disable_user, set_grants, set_pin
from models.rules.identifiers import BADGE, make_identifier
from station.auth.pins import Pins, SecretError, check_pin
from tests.support.station_home import PIN, Browser, Home, Made

UNKNOWN = make_identifier(BADGE, 2026, 777_777)


def attempt(browser: Browser, badge: str, pin: str = "0000-wrong") -> int:
    return browser.http.post("/api/v1/session", json={"badge": badge, "pin": pin}).status_code


def at_device(home: Home, site: str = "*") -> Browser:
    browser = home.client()
    browser.enroll(home.device(site).token)
    return browser


def test_badge_and_pin_at_an_enrolled_device_open_a_session(home: Home) -> None:
    browser = at_device(home)
    session = browser.sign_in(home.person("ma", "NORTH", name="Maria Alvarez"))
    assert (session["role"], session["site"], session["sites"]) == ("ma", "NORTH", ["NORTH"])
    assert session["name"] == "Maria Alvarez"
    assert browser.http.get("/api/v1/session").json()["badge"] == browser.badge
    assert next(e.action for e in home.audited()) == "sign-in"


def test_a_device_that_is_not_enrolled_signs_nobody_in(shared_home: Home) -> None:
    assert attempt(shared_home.client(), shared_home.person("ma", "NORTH"), PIN) == 401


def test_a_programs_token_enrolls_no_browser_and_signs_nobody_in(shared_home: Home) -> None:
    token = shared_home.device("NORTH", role="ma").token
    assert shared_home.client().http.post("/api/v1/device", json={"token": token}).status_code == 401
    assert attempt(shared_home.client(token=token), shared_home.person("ma", "NORTH"), PIN) == 401


def test_wrong_pin_unknown_badge_disabled_badge_and_no_role_there_look_the_same(shared_home: Home) -> None:
    gone, elsewhere = shared_home.person("ma", "NORTH"), shared_home.person("ma", "SOUTH")
    with writing(shared_home.engine) as connection:
        disable_user(connection, gone, shared_home.clock())
    browser = at_device(shared_home, "NORTH")
    tries = [(shared_home.person("ma", "NORTH"), "0000-wrong"), (UNKNOWN, PIN), (gone, PIN), (elsewhere, PIN)]
    answers = [browser.http.post("/api/v1/session", json={"badge": b, "pin": p}) for b, p in tries]
    assert {a.status_code for a in answers} == {401}
    assert len({a.text for a in answers}) == 1


class CountingHasher(PasswordHasher):
    """A real hasher that counts how often a PIN was checked."""

    looked = 0

    def verify(self, hash: str | bytes, password: str | bytes) -> bool:
        self.looked += 1
        return bool(super().verify(hash, password))


def test_an_unknown_badge_costs_as_much_work_as_a_known_one() -> None:
    """Otherwise an unknown badge would be answered about twenty times faster, and badges could be guessed."""
    hasher = CountingHasher(time_cost=1, memory_cost=8, parallelism=1)
    pins = Pins(Secret("pepper"), hasher)
    stored = pins.hash_pin(PIN)
    found = []
    for one in (stored, None, "no hash at all"):
        before = hasher.looked
        found.append((pins.pin_is_right("0000-wrong", one), hasher.looked - before))
    assert found == [(False, 1)] * 3
    assert pins.pin_is_right(PIN, stored)
    assert not Pins(Secret("another pepper"), hasher).pin_is_right(PIN, stored)


def test_without_a_pepper_nobody_signs_in_and_the_message_says_what_to_do() -> None:
    with pytest.raises(SecretError, match="LABTRAIL_PEPPER"):
        Pins(Secret()).hash_pin(PIN)


def test_what_is_no_badge_is_told_so_before_anything_is_counted(shared_home: Home) -> None:
    browser = at_device(shared_home)
    for _ in range(FAILURES_FREE + 2):
        assert attempt(browser, "B2600001722") == 422


def test_wrong_pins_lock_the_badge_at_that_device_only_and_for_a_bounded_time(home: Home) -> None:
    badge, other = home.person("ma", "NORTH"), home.person("ma", "NORTH")
    browser = at_device(home)
    for _ in range(FAILURES_FREE):
        assert attempt(browser, badge) == 401
    locked = browser.http.post("/api/v1/session", json={"badge": badge, "pin": PIN})
    assert locked.status_code == 429
    assert int(locked.headers["retry-after"]) <= 60
    browser.sign_in(other)
    at_device(home).sign_in(badge)
    home.clock.pass_minutes(1.1)
    browser.sign_in(badge)


def test_each_lock_is_longer_up_to_a_limit(home: Home) -> None:
    badge, browser = home.person("ma", "NORTH"), at_device(home)
    waits = []
    for _ in range(FAILURES_FREE + 8):
        home.clock.pass_minutes(WAIT_MINUTES_MAX)
        assert attempt(browser, badge) == 401
        locked = browser.http.post("/api/v1/session", json={"badge": badge, "pin": PIN})
        waits.append(int(locked.headers.get("retry-after", 0)) if locked.status_code == 429 else 0)
        if locked.status_code == 200:
            break
    assert max(waits) <= WAIT_MINUTES_MAX * 60


def test_tries_at_the_same_time_all_count(shared_home: Home) -> None:
    badge, device = shared_home.person("ma", "NORTH"), shared_home.device()
    results: list[int] = []

    def one() -> None:
        browser = shared_home.client()
        browser.enroll(device.token)
        results.append(attempt(browser, badge))

    threads = [threading.Thread(target=one) for _ in range(FAILURES_FREE + 7)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results.count(401) == FAILURES_FREE
    assert results.count(429) == 7


@pytest.mark.slow
def test_many_unknown_badges_slow_one_device_and_no_other(home: Home) -> None:
    badge, browser = home.person("ma", "NORTH"), at_device(home)
    seen = [attempt(browser, make_identifier(BADGE, 2026, 800_000 + n)) for n in range(DEVICE_FAILURES_MAX + 1)]
    assert seen == [401] * DEVICE_FAILURES_MAX + [429]
    assert attempt(browser, badge, PIN) == 429
    at_device(home).sign_in(badge)
    home.clock.pass_minutes(1.1)
    browser.sign_in(badge)


def test_a_right_pin_forgets_the_wrong_ones(shared_home: Home) -> None:
    badge, browser = shared_home.person("ma", "NORTH"), at_device(shared_home)
    for _ in range(3):
        for _ in range(FAILURES_FREE - 1):
            attempt(browser, badge)
        browser.sign_in(badge)


@pytest.mark.slow
def test_a_session_ends_when_nobody_touches_it_and_twelve_hours_after_its_start(home: Home) -> None:
    browser = home.signed_in("ma", "NORTH")
    for _ in range(12 * 15):
        home.clock.pass_minutes(4)
        if browser.http.post("/api/v1/session/touch").status_code == 401:
            break
    assert home.clock() - 12 * 60 * 60_000_000 <= _signed_in_us(home) + 5 * 60_000_000
    browser = home.signed_in("ma", "NORTH")
    home.clock.pass_minutes(5.1)
    assert browser.http.get("/api/v1/session").status_code == 401


def _signed_in_us(home: Home) -> int:
    return next(e.time_us for e in home.audited() if e.action == "sign-in")


def test_asking_who_is_signed_in_does_not_prolong_the_session(shared_home: Home) -> None:
    browser = shared_home.signed_in("ma", "NORTH")
    for _ in range(2):
        shared_home.clock.pass_minutes(2)
        assert browser.http.get("/api/v1/session").status_code == 200
    shared_home.clock.pass_minutes(2)
    assert browser.http.get("/api/v1/session").status_code == 401


@pytest.mark.parametrize("how", ["sign-out", "disable", "new PIN", "revoke"])
def test_what_ends_a_session_ends_it_at_once(shared_home: Home, how: str) -> None:
    browser = shared_home.signed_in("ma", "NORTH")
    number = browser.http.get("/api/v1/session").json()["device"]
    cookies = dict(browser.http.cookies)
    with writing(shared_home.engine) as connection:
        if how == "disable":
            disable_user(connection, browser.badge, shared_home.clock())
        elif how == "new PIN":
            set_pin(connection, browser.badge, "x", shared_home.clock())
        elif how == "revoke":
            revoke_device(connection, number, shared_home.clock())
    if how == "sign-out":
        assert browser.http.delete("/api/v1/session").status_code == 204
        browser.http.cookies.update(cookies)  # a copy that somebody kept
    assert browser.http.get("/api/v1/session").status_code == 401
    assert browser.http.get("/api/v1/stock").status_code == 401


def test_of_several_roles_the_one_for_the_device_s_site_is_taken_unless_one_is_named(shared_home: Home) -> None:
    badge = shared_home.person("lab", "CORE")
    with writing(shared_home.engine) as connection:
        set_grants(connection, badge, [Grant("lab", "CORE"), Grant("manager", "NORTH"), Grant("manager", "CORE")])
    assert at_device(shared_home, "CORE").sign_in(badge)["role"] == "lab"
    assert at_device(shared_home, "NORTH").sign_in(badge)["role"] == "manager"
    assert at_device(shared_home, "CORE").sign_in(badge, role="manager")["role"] == "manager"
    assert at_device(shared_home, "*").sign_in(badge, site="NORTH")["site"] == "NORTH"


def test_cookies_are_out_of_reach_of_scripts_and_other_sites(make: Made) -> None:
    plain, tls = make(), make(public_url="https://lab.example.org")
    for home, prefix, secure in ((plain, "", False), (tls, "__Host-", True)):
        headers = {"origin": "https://lab.example.org"} if secure else {}
        browser = home.client(headers=headers)
        token = home.device().token
        sent = [browser.http.post("/api/v1/device", json={"token": token}).headers["set-cookie"]]
        browser.http.cookies.set(f"{prefix}labtrail-device", token)
        answer = browser.http.post("/api/v1/session", json={"badge": home.person("ma", "NORTH"), "pin": PIN})
        sent.append(answer.headers["set-cookie"])
        for cookie, name in zip(sent, ("device", "session"), strict=True):
            assert cookie.startswith(f"{prefix}labtrail-{name}=")
            assert "HttpOnly" in cookie
            assert "Path=/" in cookie
            assert ("Secure" in cookie) is secure
            assert "SameSite" in cookie
            assert "Domain" not in cookie


def test_the_database_holds_neither_pins_nor_tokens(home: Home) -> None:
    browser, token = home.client(), home.device().token
    browser.enroll(token)
    browser.sign_in(home.person("ma", "NORTH"))
    secret = [PIN, token, browser.http.cookies["labtrail-session"], home.settings.pepper.reveal()]
    for path in home.settings.data.glob("labtrail.db*"):
        content = path.read_bytes()
        assert not [one for one in secret if one.encode() in content]


@pytest.mark.parametrize("pin", ["", "1234567", "11111111", "12345678", "87654321", "12121212", "abcdefgh", "x" * 65])
def test_a_pin_that_is_guessed_at_once_is_not_taken(pin: str) -> None:
    with pytest.raises(SecretError):
        check_pin(pin)
