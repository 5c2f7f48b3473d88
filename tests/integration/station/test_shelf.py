"""The shelf page: it agrees with the alert about a lot, by the calendar of its site."""

from tests.support.station_home import Made, scanned


def test_a_lot_expires_soon_from_the_fraction_of_a_day_that_the_setting_says(make: Made) -> None:
    home = make(expiring_days="30.5")
    receipt = {"lot": "L1", "quantity": 5, "expires": "2026-12-22"}
    home.signed_in("ma", "NORTH").post(scanned("supply.received", "NORTH/SUP-EDTA4", receipt))
    shown = []
    for minutes in (0, 230, 5):  # the clinic's clock shows 8:06, 11:56, 12:01: at noon it is 30.5 days
        home.clock.pass_minutes(minutes)
        page = home.signed_in("ma", "NORTH").http.get("/supplies").text
        assert "2026-12-22" in page
        shown.append("expires soon" in page)
    assert shown == [False, False, True]
