"""Setting aside: one case that can't be judged does not keep the others from being judged."""

from collections.abc import Iterator
from contextlib import contextmanager

from msgspec import Struct
from sqlalchemy.exc import SQLAlchemyError


class Judged(Struct, frozen=True, order=True):
    """A case that can't be judged. `fault`: the name of the error; its text may hold what an event says."""

    kind: str
    subject: str
    fault: str


@contextmanager
def by_itself(faults: list[Judged], kind: str, subject: str) -> Iterator[None]:
    """Judge one case: an error is added to `faults`. A fault of the database is not the case's: raised."""
    try:
        yield
    except SQLAlchemyError:
        raise
    except Exception as fault:  # noqa: BLE001 - one odd row must not keep the others from being judged
        faults.append(Judged(kind, subject, type(fault).__name__))
