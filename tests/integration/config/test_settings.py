"""Settings: where a value comes from, how a mistake is reported, and that a secret stays one."""

import stat
from pathlib import Path

import pytest

from config.errors import LabtrailError
from config.home import make_home
from config.policy import Policy
from config.settings import Secret, Settings, fields, load_settings, unknown_variables
from config.values import SettingsError, wanted


def test_an_empty_environment_gives_the_embedded_defaults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    settings = load_settings({})
    assert settings.data == tmp_path / "var/labtrail"
    assert settings.broker == f"sqlite:///{tmp_path}/var/labtrail/log.db"
    assert settings.database == f"sqlite:///{tmp_path}/var/labtrail/labtrail.db"
    assert settings.embedded
    assert settings.policy == Policy()
    assert not (tmp_path / "var").exists(), "loading settings writes nothing"


def test_the_environment_goes_before_the_file_and_the_file_before_the_default(tmp_path: Path) -> None:
    (tmp_path / "labtrail.toml").write_text("port = 1000\nexpiring_days = 45\nhost = '0.0.0.0'\n")
    settings = load_settings({"LABTRAIL_PORT": "2000"}, data=tmp_path)
    assert (settings.port, settings.expiring_days, settings.host) == (2000, 45.0, "0.0.0.0")
    assert settings.policy.expiring_days == 45.0


def test_the_command_line_goes_before_the_environment_and_the_file_for_the_home(tmp_path: Path) -> None:
    config = tmp_path / "elsewhere.toml"
    config.write_text(f'data = "{tmp_path}/file"\n')
    assert load_settings({"LABTRAIL_CONFIG": str(config)}).data == tmp_path / "file"
    environ = {"LABTRAIL_CONFIG": str(config), "LABTRAIL_DATA": f"{tmp_path}/environment"}
    assert load_settings(environ).data == tmp_path / "environment"
    settings = load_settings(environ, data=tmp_path / "line")
    assert settings.data == tmp_path / "line"
    assert settings.database == f"sqlite:///{tmp_path}/line/labtrail.db"


def test_a_value_may_stand_in_a_file_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "url").write_text("postgresql+psycopg://labtrail:geheim@db/labtrail\n")
    settings = load_settings({"LABTRAIL_DATABASE_FILE": str(tmp_path / "url")}, data=tmp_path)
    assert settings.database == "postgresql+psycopg://labtrail:geheim@db/labtrail"
    with pytest.raises(LabtrailError, match="both set"):
        load_settings({"LABTRAIL_DATABASE_FILE": "x", "LABTRAIL_DATABASE": "y"}, data=tmp_path)
    with pytest.raises(LabtrailError, match="LABTRAIL_PEPPER_FILE"):
        load_settings({"LABTRAIL_PEPPER_FILE": str(tmp_path / "none")}, data=tmp_path)


@pytest.mark.parametrize(
    ("variable", "text", "says"),
    [
        ("LABTRAIL_PORT", "eighty", "LABTRAIL_PORT is 'eighty': write a whole number from 0 to 65535"),
        ("LABTRAIL_AT_RISK_FRACTION", "1.5", "write a number above 0 and at most 1"),
        ("LABTRAIL_LABEL_MINUTES_MAX", "0", "write a number above 0"),
        ("LABTRAIL_SERIAL_DIGITS", "11", "a whole number from 6 to 10"),
        ("LABTRAIL_FROZEN_MAX_C", "nan", "write a number"),
        ("LABTRAIL_LOG_LEVEL", "LOUD", "one of DEBUG, INFO, WARNING, ERROR"),
        ("LABTRAIL_BROKER", "redis://here", "sqlite:///PATH or kafka://host:9092"),
        ("LABTRAIL_DATABASE", "mysql://here", "postgresql+psycopg://user:password@host/name"),
        ("LABTRAIL_OUTSIDE_IDENTIFIERS", "(", "no regular expression"),
        ("LABTRAIL_REFRIGERATED_MIN_C", "20", "swap them"),
        ("LABTRAIL_KAFKA_SECURITY", "SASL_SSL", "set LABTRAIL_KAFKA_USERNAME and LABTRAIL_KAFKA_PASSWORD"),
        ("LABTRAIL_PATIENT_KEY", "1234567890", "64 hex digits"),
    ],
)
def test_a_wrong_value_is_named_with_what_to_write(variable: str, text: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(LabtrailError) as fault:
        load_settings({variable: text}, data=tmp_path)
    message = str(fault.value)
    assert says in message
    assert variable in message
    assert "\n" not in message
    assert "1234567890" not in message, "a secret is never in a message"


def test_a_wrong_line_in_the_file_is_named(tmp_path: Path) -> None:
    file = tmp_path / "labtrail.toml"
    for text, says in [
        ("prot = 80", "there is no setting prot: write port"),
        ("port = '80'", "port is '80': write a whole number"),
        ("[labels]\nx = 1", "there is no setting labels"),
        ("port = ", "is no TOML"),
    ]:
        file.write_text(text)
        with pytest.raises(LabtrailError, match=says) as fault:
            load_settings({}, data=tmp_path)
        assert str(file) in str(fault.value)


def test_an_empty_variable_is_not_set_except_where_empty_means_none(tmp_path: Path) -> None:
    environ = {
        "LABTRAIL_PORT": "",
        "LABTRAIL_DATABASE": "",
        "LABTRAIL_PRINT_ON_COLLECTION": "",
        "LABTRAIL_CATALOG": "",
    }
    settings = load_settings(environ, data=tmp_path)
    defaults = load_settings({}, data=tmp_path)
    assert (settings.port, settings.database) == (defaults.port, defaults.database)
    assert settings.catalog == defaults.catalog
    assert settings.print_on_collection == ""


def test_secrets_and_passwords_are_in_no_repr(tmp_path: Path) -> None:
    environ = {
        "LABTRAIL_DATABASE": "postgresql+psycopg://labtrail:canary-1@db/labtrail?password=canary-2",
        "LABTRAIL_KAFKA_PASSWORD": "canary-3",
        "LABTRAIL_PEPPER": "canary-4",
        "LABTRAIL_PATIENT_KEY": "cafe" * 16,
    }
    settings = load_settings(environ, data=tmp_path)
    seen = repr(settings) + str(settings) + str(settings.shown()) + f"{settings.pepper} {settings.pepper!r}"
    assert "canary" not in seen
    assert "cafe" not in seen
    assert "labtrail:(set, not shown)@db" in seen
    assert settings.pepper.reveal() == "canary-4"


def test_a_home_makes_its_two_keys_once_and_for_its_owner_only(tmp_path: Path) -> None:
    home = tmp_path / "deep" / "home"
    made = make_home(load_settings({}, data=home))
    assert len(made.patient_key.reveal()) == 64
    assert made.pepper.reveal() != made.patient_key.reveal()
    again = load_settings({}, data=home)
    assert again.patient_key.reveal() == made.patient_key.reveal()
    assert make_home(again).pepper.reveal() == made.pepper.reveal()
    for name in ("pepper.key", "patient_key.key"):
        assert stat.S_IMODE((home / name).stat().st_mode) == 0o600
    assert sorted(p.name for p in home.iterdir()) == ["patient_key.key", "pepper.key"]
    given = make_home(load_settings({"LABTRAIL_PEPPER": "given"}, data=home))
    assert given.pepper.reveal() == "given"


def test_a_home_that_cannot_be_made_says_which_and_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LabtrailError, match="--data or LABTRAIL_DATA"):
        make_home(load_settings({}, data=tmp_path / "file" / "home"))


def test_a_misspelt_variable_is_found() -> None:
    environ = {
        "LABTRAIL_PROT": "1",
        "LABTRAIL_PORT": "1",
        "LABTRAIL_PEPPER_FILE": "",
        "LABTRAIL_CONFIG": "",
        "HOME": "",
    }
    assert unknown_variables(environ) == ["LABTRAIL_PROT"]


def test_every_setting_is_described_and_its_default_can_be_written_down() -> None:
    for field in fields():
        assert field.meta.description, field.name
        assert len(field.meta.description) > 20, field.name
        assert wanted(field)
    assert {field.name for field in fields()} >= set(Policy.__struct_fields__)
    assert {field.name for field in fields()} == set(Settings.__struct_fields__)


def test_an_empty_secret_is_false() -> None:
    assert not Secret()
    assert repr(Secret()) == "(not set)"


def test_identifiers_from_outside_are_a_pattern(tmp_path: Path) -> None:
    settings = load_settings({"LABTRAIL_OUTSIDE_IDENTIFIERS": "Q[0-9]{8}"}, data=tmp_path)
    assert settings.outside is not None
    assert settings.outside.fullmatch("Q12345678")
    assert load_settings({}, data=tmp_path).outside is None


@pytest.mark.parametrize("pattern", ["Q[0-9", "(?u)Q[0-9]{8}"])
def test_a_pattern_that_can_not_be_used_is_refused_at_the_start(pattern: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="LABTRAIL_OUTSIDE_IDENTIFIERS is no regular expression"):
        load_settings({"LABTRAIL_OUTSIDE_IDENTIFIERS": pattern}, data=tmp_path)
