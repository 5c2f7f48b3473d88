"""The OpenAPI document says what the API does: schemathesis tries what it allows, and nothing breaks the station."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pytest
import schemathesis
from hypothesis import HealthCheck, given, seed, settings
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import Failure, FailureGroup
from schemathesis.specs.openapi.checks import content_type_conformance, response_schema_conformance

from models.people.users import Role
from models.rules.event_types import TYPES
from station.api.intake import REASONS
from station.api.openapi import COLLECTED
from station.auth.roles import ACTS
from tests.support.examples import examples
from tests.support.station_home import Home, collected

EXAMPLES_MAX = examples(25)
SEED = 20261121


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    home = Home(tmp_path_factory.mktemp("openapi"), api_open="true")
    home.client().post(collected("S2600012334"))
    yield home
    home.close()


def attack(home: Home, headers: Mapping[str, str], checks: Sequence[Callable[..., bool | None]]) -> dict[str, str]:
    """The failures by operation, when each is called with what the document allows and a little more."""
    schema = schemathesis.openapi.from_dict(home.client().http.get("/schema").json())
    schema.config.update(base_url=home.serving.origin)
    # the stream never ends, and signing in is slow on purpose: both have their own tests
    part = schema.include(path_regex="^/api/v1").exclude(path_regex="/live$|/session")
    found = {}
    for result in part.get_all_operations():
        operation = result.ok()

        @seed(SEED)
        @settings(max_examples=EXAMPLES_MAX, deadline=None, database=None, suppress_health_check=list(HealthCheck))
        @given(case=operation.as_strategy())
        def call(case: schemathesis.Case) -> None:
            case.call_and_validate(checks=list(checks), headers=dict(headers), timeout=60)

        try:
            call()
        except (Failure, FailureGroup) as fault:
            found[operation.label] = str(fault)
    return found


@pytest.mark.slow
def test_whatever_the_document_allows_does_not_break_the_open_api(served: Home) -> None:
    checks = (not_a_server_error, content_type_conformance, response_schema_conformance)
    assert attack(served, {}, checks) == {}, f"seed {SEED}"


def test_whatever_the_document_allows_does_not_break_the_api_of_a_signed_in_manager(served: Home) -> None:
    manager = served.signed_in("manager", "*")
    cookie = f"labtrail-session={manager.http.cookies['labtrail-session']}"
    headers = {"origin": served.serving.origin, "cookie": cookie}
    assert attack(served, headers, (not_a_server_error,)) == {}, f"seed {SEED}"


def test_it_is_openapi_3_1_with_examples_of_events(served: Home) -> None:
    document = served.client().http.get("/schema").json()
    assert document["openapi"].startswith("3.1")
    content = document["paths"]["/api/v1/events"]["post"]["requestBody"]["content"]["application/json"]
    assert content["examples"]["one"]["value"] == COLLECTED
    assert isinstance(content["examples"]["several"]["value"], list)


def test_every_operation_has_a_summary_and_a_description(served: Home) -> None:
    document = served.client().http.get("/schema").json()
    lacking = [
        f"{method} {path}"
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
        if path.startswith("/api/") and not (operation.get("summary") and operation.get("description"))
    ]
    assert lacking == []


def test_the_example_of_the_document_is_taken(served: Home) -> None:
    answer = served.client().post(COLLECTED)
    assert answer["outcome"] in ("recorded", "duplicate")


def test_every_address_and_every_reason_of_a_refusal_is_in_the_api_page(served: Home) -> None:
    page = (Path(__file__).parents[3] / "docs" / "api.md").read_text()
    document = served.client().http.get("/schema").json()
    stems = {"/".join(path.split("/")[:4]) for path in document["paths"] if path.startswith("/api/")}
    assert [stem for stem in sorted(stems) if stem not in page] == []
    assert [reason for reason in REASONS if f"`{reason}`" not in page] == []


def test_every_role_is_in_the_security_page() -> None:
    page = (Path(__file__).parents[3] / "docs" / "security.md").read_text()
    assert [role for role in Role if f"| `{role}` |" not in page] == []


def test_every_act_has_somebody_who_may_record_it() -> None:
    assert set(ACTS) == set(Role)
    assert set().union(*ACTS.values()) == set(TYPES)
