"""What each discrepancy means and what to do about it, in a lab manager's words."""

from msgspec import Struct


class Meaning(Struct, frozen=True):
    means: str
    do: str


MEANINGS: dict[str, Meaning] = {
    "missing-step": Meaning(
        "A later step is on record, but the step named here is not.",
        "Ask who did that step to scan it late; if it was not done, write down why.",
    ),
    "out-of-order": Meaning(
        "Two steps have times that contradict each other by more than the clocks of two devices may differ.",
        "Compare the clocks of the two devices; void the event with the wrong time and record it again.",
    ),
    "repeated-step": Meaning(
        "A step that happens once was recorded more than once.",
        "Ask both people; void the event that did not happen.",
    ),
    "label-mismatch": Meaning(
        "What the scanner read back from the tube is not this specimen's number.",
        "Stop work on the tube, find out whose it is, label it again or collect again.",
    ),
    "superseded-label": Meaning(
        "A label that had been replaced was scanned: the old one is still on a tube.",
        "Find the tube with the old label, remove that label, check that only one tube has this number.",
    ),
    "identity-mismatch": Meaning(
        "Two records disagree about the patient or the order.",
        "Stop work; check patient and order at the source, then void the wrong event or collect again.",
    ),
    "wrong-destination": Meaning(
        "The tube was received at another site than the one that it was sent to.",
        "Send it on, or change the destination with the sender; mind its stability.",
    ),
    "not-on-manifest": Meaning(
        "The tube travelled with a manifest that it was not listed on.",
        "Tell the sender; check the other tubes of that bag, one by one.",
    ),
    "missing-from-manifest": Meaning(
        "The tube was listed on the manifest but was not in the bag.",
        "Search the sender's bench, the courier's car and the bag; scan it as found, or collect again.",
    ),
    "temperature-excursion": Meaning(
        "A measured temperature was outside what this tube or this kind of transport allows.",
        "Ask the lab whether each test is still valid; reject the tube if not.",
    ),
    "stability-exceeded": Meaning(
        "It took longer from collection to the lab than the shortest limit among the tests.",
        "Ask the lab which tests are still valid; collect again for the others.",
    ),
    "seal-mismatch": Meaning(
        "The number of the seal at pick-up is not the one with which the bag was closed.",
        "Treat the bag as opened: count and check every tube, and ask who opened it.",
    ),
    "expired-supply": Meaning(
        "A tube or other supply was used after its expiry date.",
        "Ask the lab whether the results hold; take the expired lot off the shelf.",
    ),
    "recalled-supply": Meaning(
        "The maker has taken back the lot of a supply that was used.",
        "Read the recall notice; decide about results and a new collection; take the lot off the shelf.",
    ),
    "future-time": Meaning(
        "The event's time lies after the moment at which the system got it: that device's clock is wrong.",
        "Set the clock of the device; void the event and record it with the right time.",
    ),
    "after-disposal": Meaning(
        "The tube was scanned after it had been disposed of.",
        "Find out which of the two happened; void the event that did not.",
    ),
}
