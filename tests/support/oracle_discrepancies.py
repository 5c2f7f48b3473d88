"""The contract's discrepancies, as plain as possible: see tests/support/oracle.py."""

from datetime import timedelta
from itertools import pairwise

from config.catalog import Catalog
from config.policy import Policy
from tests.support.oracle import STATUS, Event, Events, Histories, ancestors, first, key, of_type, tests_of
from tests.support.oracle_orders import cancellations, order_of, orders
from tests.support.oracle_results import by_test

SEEN = (STATUS.keys() - {"specimen.missing", "specimen.disposed"}) | {"specimen.aliquoted", "specimen.found"}
"""The scans of the tube itself, before its disposal."""


def on_another(history: list[Event], scan: Event) -> bool:
    """Whether another manifest had the specimen when it was first scanned under this one: `not-on-manifest`."""
    scan = next(e for e in history if e["data"].get("manifest") == scan["data"]["manifest"])
    for event in of_type(history, "specimen.dispatched"):
        manifest = event["data"]["manifest"]
        received = [e for e in of_type(history, "specimen.received") if e["data"].get("manifest") == manifest]
        over = bool(received) and received[0]["at"] < scan["at"]
        if manifest != scan["data"].get("manifest") and event["at"] <= scan["at"] and not over:
            return True
    return False


def missing_steps(history: list[Event], is_child: bool) -> set[str]:
    """The steps that must have happened, since later ones did."""
    kinds = {event["type"] for event in history}
    moved = kinds & {"specimen.dispatched", "specimen.picked-up", "specimen.received"}
    handled = moved | kinds & {"specimen.aliquoted", "specimen.stored", "result.reported"}
    found = set()
    collected = first(history, "specimen.collected")
    if collected is None and not is_child:
        found.add("collected")
    if handled and not is_child and not kinds & {"specimen.labeled", "specimen.relabeled"}:
        found.add("labeled")
    manifests = {e["data"]["manifest"] for e in history if e["data"].get("manifest") and e["type"] in moved}
    legs = []
    for manifest in manifests:
        on = [e for e in history if e["data"].get("manifest") == manifest]
        has = {step: first(on, f"specimen.{step}") for step in ("dispatched", "picked-up", "received")}
        legs.append((min(e["at"] for e in on), has))
    legs.sort(key=lambda leg: leg[0])
    lost = "specimen.missing" in kinds
    for number, (_, has) in enumerate(legs):
        scans = [scan for scan in (has["picked-up"], has["received"]) if scan is not None]
        if has["dispatched"] is None and not all(on_another(history, scan) for scan in scans):
            found.add("dispatched")
        if has["picked-up"] is None and has["received"] is not None:
            found.add("picked-up")
        further = number + 1 < len(legs)
        if has["received"] is None and not lost and further:
            found.add("received")
    home = (collected or history[0])["site"]
    away = [
        event
        for event in of_type(history, "specimen.rejected", "specimen.aliquoted", "specimen.stored")
        if event["site"] != home
    ]
    arrived = legs[-1][1]["received"] is not None if legs else is_child or "specimen.received" in kinds
    if ("result.reported" in kinds or away) and not arrived:
        found.add("received")
    return found


def codes(history: list[Event], policy: Policy, catalog: Catalog) -> set[str]:
    """The discrepancies of one specimen that follow from its own history."""
    found = set()
    accession = history[0]["subject"]
    seen: set[tuple[str, str | None]] = set()
    void_labels: set[str] = set()
    for event in history:
        data, kind = event["data"], event["type"]
        if kind in STATUS and kind not in ("specimen.relabeled", "specimen.stored", "specimen.missing"):
            step = (kind, data.get("manifest") or data.get("label"))
            if step in seen:
                found.add("repeated-step")
            seen.add(step)
        if kind == "specimen.labeled":
            if key(data["scanned"]) != accession:
                found.add("label-mismatch")
            if data["label"] in void_labels:
                found.add("superseded-label")
        if kind == "specimen.relabeled":
            void_labels.add(data["voids"])
    disposed = first(history, "specimen.disposed")
    late = timedelta(minutes=policy.clock_skew_minutes)
    if disposed is not None and any(e["at"] > disposed["at"] + late for e in of_type(history, *SEEN)):
        found.add("after-disposal")
    return (
        found
        | legs_codes(history, policy, catalog)
        | stability_codes(history, catalog)
        | order_codes(history, policy)
        | correction_codes(history, policy)
    )


def correction_codes(history: list[Event], policy: Policy) -> set[str]:
    """A correction that bears an earlier time than the final that it corrects."""
    skew = timedelta(minutes=policy.clock_skew_minutes)
    for reports in by_test(history).values():
        finals = [e["at"] for e in reports if e["data"]["status"] == "final"]
        corrections = [e["at"] for e in reports if e["data"]["status"] == "corrected"]
        if finals and any(at < max(finals) - skew for at in corrections):
            return {"out-of-order"}
    return set()


def identity(history: list[Event], field: str) -> set[str]:
    """Whose, or for which order, a tube is by its own events."""
    return {key(event["data"][field]) for event in history if event["data"].get(field)}


def identity_codes(accession: str, events: Events, of_specimens: Histories) -> tuple[set[str], set[str]]:
    """`identity-mismatch` by the tube, its orders and what was poured into it; and whether that is left open.

    Left open: an add-on for another order than the tube's, what is wrong with a parent by itself, and an order that
    was placed again for another patient.
    """
    history = of_specimens.get(accession, [])
    parents = [of_specimens[tube] for tube in ancestors(accession, events) - {accession} if tube in of_specimens]
    placed = orders(events)

    def whose(of: list[Event]) -> set[str]:
        named = [placed[order] for order in identity(of, "order") if order in placed]
        return identity(of, "patient") | {key(order["placings"][0]["data"]["patient"]) for order in named}

    added = of_type(history, "specimen.test-added")
    drawn = [event for event in history if event not in added]
    own = len(whose(history)) > 1 or len(identity(drawn, "order")) > 1
    between = any(
        len(
            identity(drawn, field)
            | set().union(*(identity(of_type(p, "specimen.collected"), field) for p in parents))
        )
        > 1
        for field in ("patient", "order")
    )
    if own or between:
        return {"identity-mismatch"}, set()
    twice = any(
        len(identity(placed[order]["placings"], "patient")) > 1
        for order in identity(history, "order") & placed.keys()
    )
    doubtful = (
        twice
        or len(identity(history, "order")) > 1
        or any(
            len(whose(history) | whose(p)) > 1 or len(identity(history, "order") | identity(p, "order")) > 1
            for p in parents
        )
    )
    return set(), {"identity-mismatch"} if doubtful else set()


def state_codes(accession: str, events: Events, of_specimens: Histories, policy: Policy) -> tuple[set[str], set[str]]:
    """`result-on-rejected` and `cancelled-order`; and those of the two that are left open.

    Left open: what lies within the clock skew, the cancellation of a test of a rejected tube, results on an aliquot
    of one, an order that was placed again after it was cancelled, a recollection of a cancelled order.
    """
    skew = timedelta(minutes=policy.clock_skew_minutes)
    history = of_specimens.get(accession, [])
    found, left_open = set(), set()
    rejected = min((e["at"] for e in of_type(history, "specimen.rejected")), default=None)
    for report in of_type(history, "result.reported"):
        if rejected is None or report["data"]["status"] == "preliminary" or report["at"] < rejected:
            continue
        late = report["at"] > rejected + skew and report["data"]["status"] != "cancelled"
        (found if late else left_open).add("result-on-rejected")
    above = [of_specimens.get(tube, []) for tube in ancestors(accession, events)]
    if any(of_type(parent, "specimen.rejected") for parent in above) and of_type(history, "result.reported"):
        left_open.add("result-on-rejected")
    order = order_of(history)
    drawn = first(history, "specimen.collected")
    if order is not None and drawn is not None:
        cancelled = cancellations(events, order)
        again = orders(events).get(order, {}).get("open")
        if cancelled and drawn["at"] >= cancelled[0]:
            sure = drawn["at"] > cancelled[0] + skew and not again
            (found if sure else left_open).add("cancelled-order")
        if order.startswith("RC-") and of_type(events, "order.cancelled"):
            left_open.add("cancelled-order")
    return found, left_open - found


def order_codes(history: list[Event], policy: Policy) -> set[str]:
    """Steps whose order in time is not the lifecycle's."""
    chain = [first(history, "specimen.collected"), first(history, "specimen.labeled")]
    manifests = {e["data"]["manifest"] for e in history if e["data"].get("manifest") and e["type"] in STATUS}
    legs = []
    for manifest in manifests:
        on = [event for event in history if event["data"].get("manifest") == manifest]
        leg = [first(on, f"specimen.{step}") for step in ("dispatched", "picked-up", "received")]
        if any(leg):
            legs.append(leg)
    for leg in sorted(legs, key=lambda steps: next(step["at"] for step in steps if step is not None)):
        chain += leg
    steps = [event for event in chain if event is not None]
    pairs = list(pairwise(steps))
    received = first(history, "specimen.received") or (steps[0] if steps else None)
    for later in (first(history, "result.reported"), first(history, "specimen.rejected")):
        if later is not None and received is not None:
            pairs.append((received, later))
    skew = timedelta(minutes=policy.clock_skew_minutes)
    return {"out-of-order" for earlier, later in pairs if later["at"] < earlier["at"] - skew}


def left_open(history: list[Event], policy: Policy) -> set[str]:
    """Codes on which the contract does not say enough.

    Is a voided label, scanned again, a repetition? Is a tube seen after its disposal if that is within the clock
    skew, or if it is only called missing or disposed of again? Was a tube drawn that nobody but these has seen?
    Does a tube that was missing on the way and went on need a receipt where it was found?
    """
    found = set()
    if len(of_type(history, "specimen.labeled")) > 1 and of_type(history, "specimen.relabeled"):
        found.add("repeated-step")
    if of_type(history, "specimen.missing"):
        found.add("missing-step:received")
    disposed = first(history, "specimen.disposed")
    if disposed is not None:
        late = disposed["at"] + timedelta(minutes=policy.clock_skew_minutes)
        again = of_type(history, "specimen.missing", "specimen.disposed")
        if any(disposed["at"] < e["at"] <= late for e in of_type(history, *SEEN)) or len(again) > 1:
            found.add("after-disposal")
    faint = ("specimen.missing", "specimen.found", "specimen.disposed", "specimen.test-added", "result.acknowledged")
    if len(of_type(history, *faint)) == len(history):
        found.add("missing-step:collected")
    return found


def legs_codes(history: list[Event], policy: Policy, catalog: Catalog) -> set[str]:
    found = set()
    dispatched = {e["data"]["manifest"]: e for e in of_type(history, "specimen.dispatched")}
    collected = first(history, "specimen.collected")
    for event in of_type(history, "specimen.picked-up", "specimen.received"):
        data = event["data"]
        leg = dispatched.get(data.get("manifest"))
        if data.get("manifest") and leg is None and on_another(history, event):
            found.add("not-on-manifest")
        if leg is not None and event["type"] == "specimen.received" and event["site"] != leg["data"]["destination"]:
            found.add("wrong-destination")
        if leg is not None and data.get("seal") and leg["data"].get("seal") not in (None, data["seal"]):
            found.add("seal-mismatch")
        celsius = data.get("temperature_c")
        if celsius is None:
            continue
        low, high = -273.0, 1000.0
        if collected is not None:
            tube = catalog.containers[collected["data"]["container"]]
            low, high = tube.temperature_min_c, tube.temperature_max_c
        if leg is not None and leg["data"].get("transport") == "refrigerated":
            low, high = max(low, policy.refrigerated_min_c), min(high, policy.refrigerated_max_c)
        if not low <= celsius <= high:
            found.add("temperature-excursion")
    return found


def stability_codes(history: list[Event], catalog: Catalog) -> set[str]:
    collected = first(history, "specimen.collected")
    at_lab = [e for e in of_type(history, "specimen.received") if catalog.sites[e["site"]].kind == "lab"]
    if collected is None or not at_lab:
        return set()
    legs = [e for e in history if e["data"].get("manifest") and e["type"] in STATUS]
    of_first = [e for e in legs if e["data"]["manifest"] == legs[0]["data"]["manifest"]]
    cold = any(e["data"].get("transport") == "refrigerated" for e in of_first)
    tests = [catalog.tests[test] for test in sorted(tests_of(history))]
    hours = [t.stability_refrigerated_hours if cold else t.stability_room_hours for t in tests]
    known = [hour for hour in hours if hour is not None]
    late = bool(known) and at_lab[0]["at"] - collected["at"] > timedelta(hours=min(known))
    return {"stability-exceeded"} if late else set()
