"""`labtrail users`, `labtrail devices`, and the people of a demonstration."""

import io
import stat
from pathlib import Path

import msgspec
import pytest

from labtrail.cli import run
from models.database.engine import reading
from models.people.devices import list_devices
from models.people.users import find_user
from station.auth.demo_people import FILE, create_demo_people
from tests.support.running import forget_settings
from tests.support.station_home import PIN, Home


class Shell:
    """Runs commands in a home; the PIN is the first line of standard input."""

    def __init__(self, home: Home, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        self._home, self._capfd, self._patch = home, capfd, monkeypatch

    def __call__(self, *arguments: str, pin: str = "", code: int = 0) -> tuple[str, str]:
        forget_settings(self._patch)
        self._patch.setattr("sys.stdin", io.StringIO(f"{pin}\n" if pin else ""))
        self._capfd.readouterr()
        found = run([*arguments, "--data", str(self._home.settings.data)])
        out, err = self._capfd.readouterr()
        assert found == code, err
        return out.strip(), err.strip()


@pytest.fixture
def shell(home: Home, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Shell:
    return Shell(home, capfd, monkeypatch)


@pytest.fixture
def shared_shell(shared_home: Home, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Shell:
    return Shell(shared_home, capfd, monkeypatch)


def test_a_person_and_a_device_of_the_command_line_sign_in(home: Home, shell: Shell) -> None:
    badge, _ = shell("users", "add", "Maria Alvarez", "--role", "ma@NORTH", "--language", "es", pin=PIN)
    token, said = shell("devices", "enroll", "Front desk 2", "--site", "NORTH")
    assert f"/enroll#{token}" in said
    browser = home.client()
    browser.enroll(token)
    session = browser.sign_in(badge)
    assert (session["name"], session["language"]) == ("Maria Alvarez", "es")
    assert badge in shell("users", "list")[0]
    assert "Front desk 2" in shell("devices", "list")[0]
    shell("devices", "revoke", "1")
    assert browser.http.get("/api/v1/session").status_code == 401
    assert "revoked" in shell("devices", "list")[0]


def test_a_program_gets_a_token_with_a_role(home: Home, shell: Shell) -> None:
    token, said = shell("devices", "enroll", "Gateway", "--site", "*", "--service", "lab")
    assert "Authorization: Bearer" in said
    assert home.client(token=token).http.get("/api/v1/stock").status_code == 200


def test_a_disabled_badge_is_out_until_it_has_a_new_pin(home: Home, shell: Shell) -> None:
    browser = home.signed_in("ma", "NORTH")
    shell("users", "disable", browser.badge)
    assert browser.http.get("/api/v1/session").status_code == 401
    assert "disabled" in shell("users", "list")[0]
    shell("users", "set-pin", browser.badge, pin="9246-1108")
    browser.sign_in(browser.badge, "9246-1108")


def test_new_roles_end_what_was_open_under_the_old_ones(home: Home, shell: Shell) -> None:
    browser = home.signed_in("ma", "NORTH")
    shell("users", "set-roles", browser.badge, "--role", "manager@*")
    assert browser.http.get("/api/v1/session").status_code == 401
    assert browser.sign_in(browser.badge)["role"] == "manager"


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        (("users", "add", "X", "--role", "boss@NORTH"), "write one of ma, courier, lab, manager, admin"),
        (("users", "add", "X", "--role", "ma@MARS"), "is no site"),
        (("users", "add", "X", "--role", "ma@NORTH", "--badge", "B2600001722"), "check digits"),
        (("users", "disable", "B2600001721"), "labtrail users list"),
        (("users", "set-roles", "B2600001721", "--role", "ma@NORTH"), "labtrail users list"),
        (("devices", "revoke", "99"), "labtrail devices list"),
        (("devices", "enroll", "X", "--site", "MARS"), "is no site"),
        (("devices", "enroll", "X", "--site", "*", "--service", "boss"), "is no role"),
    ],
)
def test_a_command_that_can_not_be_done_says_in_one_line_what_to_do(
    shared_shell: Shell, arguments: tuple[str, ...], wanted: str
) -> None:
    _, said = shared_shell(*arguments, pin=PIN, code=1)
    assert wanted in said
    assert len(said.splitlines()) == 1


def test_a_pin_comes_from_standard_input_and_must_be_there(shared_shell: Shell) -> None:
    assert "no PIN" in shared_shell("users", "add", "X", "--role", "ma@NORTH", code=1)[1]
    assert "8 to 64" in shared_shell("users", "add", "X", "--role", "ma@NORTH", pin="short", code=1)[1]


def test_every_change_is_in_the_audit_trail(home: Home, shell: Shell) -> None:
    badge, _ = shell("users", "add", "X", "--role", "ma@NORTH", pin=PIN)
    shell("users", "set-pin", badge, pin="9246-1108")
    shell("users", "set-roles", badge, "--role", "lab@CORE")
    shell("users", "disable", badge)
    assert [e.action for e in home.audited(badge)] == ["user disabled", "roles set", "PIN set", "user added"]
    shell("devices", "enroll", "X", "--site", "*")
    shell("devices", "revoke", "1")
    assert [e.action for e in home.audited("1")] == ["device revoked", "device enrolled"]


def test_a_demonstration_has_one_person_of_each_role_who_can_sign_in(home: Home) -> None:
    made = create_demo_people(home.engine, home.settings, home.catalog, home.clock())
    assert sorted(p.role for p in made.people) == ["admin", "courier", "lab", "ma", "manager"]
    browser = home.client()
    browser.enroll(made.token)
    for person in made.people:
        assert browser.sign_in(person.badge, person.pin)["role"] == person.role
        assert any(person.pin in line and person.badge in line for line in made.lines("http://x"))


def test_a_demonstration_keeps_its_people_in_a_file_that_only_its_owner_reads(home: Home) -> None:
    first = create_demo_people(home.engine, home.settings, home.catalog, home.clock())
    assert create_demo_people(home.engine, home.settings, home.catalog, home.clock()) == first
    path = home.settings.data / FILE
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with reading(home.engine) as connection:
        assert len(list_devices(connection)) == 1


def test_a_demonstration_whose_file_is_gone_gets_new_pins_for_the_same_people(home: Home, tmp_path: Path) -> None:
    first = create_demo_people(home.engine, home.settings, home.catalog, home.clock())
    (home.settings.data / FILE).unlink()
    again = create_demo_people(home.engine, home.settings, home.catalog, home.clock())
    assert [p.badge for p in again.people] == [p.badge for p in first.people]
    assert [p.pin for p in again.people] != [p.pin for p in first.people]
    with reading(home.engine) as connection:
        assert find_user(connection, first.people[0].badge) is not None
    assert msgspec.json.decode((home.settings.data / FILE).read_bytes())["token"] == again.token
