"""Fields that carry a patient's identity: an event with one is refused at the edge, before anything keeps it.

Contract section 2: no patient name, birth date, MRN, SSN or phone number may be in an event; `patient` is an opaque
reference. The list is of keys, since a value alone does not tell a name from a note.
"""

import re
from functools import lru_cache
from typing import Any

IDENTITY_KEYS = frozenset(
    {
        # names
        "name",
        "patientname",
        "fullname",
        "firstname",
        "lastname",
        "givenname",
        "familyname",
        "surname",
        "middlename",
        "maidenname",
        "mothersmaidenname",
        "nickname",
        "preferredname",
        "legalname",
        "forename",
        # birth dates
        "dob",
        "birthdate",
        "birthday",
        "dateofbirth",
        "birthyear",
        # medical record numbers
        "mrn",
        "medicalrecordnumber",
        "medicalrecord",
        "chartnumber",
        # social security numbers
        "ssn",
        "socialsecurity",
        "socialsecuritynumber",
        "socialsecurityno",
        # phones, and what reaches a person as well
        "phone",
        "phonenumber",
        "telephone",
        "telephonenumber",
        "mobile",
        "mobilenumber",
        "mobilephone",
        "cellphone",
        "homephone",
        "workphone",
        "contactphone",
        "email",
        "emailaddress",
    }
)
_PREFIXES = ("patient", "pt", "subject", "person")
_NOT_LETTERS = re.compile(r"[^a-z0-9]+")
CODED = frozenset({"components", "answers"})
"""Lists of what has a code: its `name` is that of an analyte or a question."""
NODES_MAX = 20_000


def identity_fields(value: Any) -> list[str]:
    """The keys, anywhere in decoded JSON, that carry patient identity: sorted, as they are written."""
    found: set[str] = set()
    waiting = [value]
    for _ in range(NODES_MAX):
        if not waiting:
            return sorted(found)
        node = waiting.pop()
        if isinstance(node, dict):
            found.update(key for key in node if _identifies(key))
            for key, below in node.items():
                coded = key in CODED and isinstance(below, list)
                waiting.extend(map(_without_its_name, below) if coded else [below])
        elif isinstance(node, list):
            waiting.extend(node)
    return sorted(found) or ["(too many fields to look at)"]


def _without_its_name(coded: Any) -> Any:
    if isinstance(coded, dict) and "code" in coded:
        return {key: value for key, value in coded.items() if key != "name"}
    return coded


@lru_cache(4096)
def _identifies(key: str) -> bool:
    plain = _NOT_LETTERS.sub("", key.casefold())
    return any(plain.removeprefix(prefix) in IDENTITY_KEYS for prefix in ("", *_PREFIXES))
