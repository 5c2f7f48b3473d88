"""The print queue in the database: a job for each print of a label, in order per printer.

Every change of state is one row of TRANSITIONS and one conditional update, so two workers never take the same
job, and a job whose printing is in doubt is never printed again by a program: a second label on the wrong tube is
a patient-safety hazard. Connections are of writing transactions, unless a function only reads.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from msgspec import Struct
from sqlalchemy import Connection, Row, exists, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from config.errors import LabtrailError
from config.messages import Message, dumped, loaded
from models.printing.states import IN_HAND, MAYBE_PRINTED, TRANSITIONS, WAITING, JobState
from models.printing.tables import label_counters, print_jobs

LIST_MAX = 1000
NOTE_CHARACTERS_MAX = 500
REASON_CHARACTERS_MAX = 500


class PrintJobError(LabtrailError):
    """A print job can't be created or changed like this; the message says what to do."""


class NewJob(Struct, frozen=True, kw_only=True):
    """What is to be printed where."""

    printer: str
    layout: str
    subject: str
    site: str
    requested_by: str
    """Badge of the person who asked."""
    copies: int = 1
    details: str | None = None


class Job(NewJob, frozen=True, kw_only=True):
    """One print of a label."""

    id: int
    state: JobState
    serial: str
    reason: str | None
    voids: str | None
    note: str
    worker: str | None
    created_us: int
    changed_us: int


class Change(Struct, frozen=True):
    """A job's new state."""

    id: int
    state: JobState
    note: str = ""


_COLUMNS = (print_jobs.c.message, *(print_jobs.c[name] for name in Job.__struct_fields__))
_c = print_jobs.c


def _job(row: Row[Any]) -> Job:
    values = dict(row._mapping)
    message = values.pop("message")
    return Job(**values | {"state": JobState(row.state), "note": loaded(row.note, message)})


def _noted(note: str) -> dict[str, str | None]:
    """The columns of a note."""
    shown = note[:NOTE_CHARACTERS_MAX]
    return {"note": shown, "message": dumped(note) if shown == note else None}


def next_serial(connection: Connection, subject: str) -> str:
    """The serial of the next label of a subject: `ACCESSION-1`, `-2` …, never given twice."""
    make = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    statement = (
        make(label_counters)
        .values(subject=subject, number=1)
        .on_conflict_do_update(
            index_elements=[label_counters.c.subject], set_={"number": label_counters.c.number + 1}
        )
        .returning(label_counters.c.number)
    )
    return f"{subject}-{connection.execute(statement).scalar_one()}"


def _add(connection: Connection, new: NewJob, now_us: int, reason: str | None, voids: str | None) -> Job:
    values = {field: getattr(new, field) for field in NewJob.__struct_fields__} | {
        "state": JobState.QUEUED,
        "serial": next_serial(connection, new.subject),
        "reason": reason,
        "voids": voids,
        "note": "",
        "worker": None,
        "created_us": now_us,
        "changed_us": now_us,
    }
    made = connection.execute(insert(print_jobs).values(**values, announced=0).returning(*_COLUMNS))
    return _job(made.one())


def labels_of(connection: Connection, subject: str) -> list[Job]:
    """Every print of a subject's label, the oldest first, at most LIST_MAX."""
    rows = connection.execute(select(*_COLUMNS).where(_c.subject == subject).order_by(_c.id).limit(LIST_MAX))
    return [_job(row) for row in rows]


def superseded_by(connection: Connection, serial: str) -> str | None:
    """The serial of the label that made this one void; None while it is valid (or was never printed here)."""
    found = select(_c.serial).where(_c.voids == serial, _c.state == JobState.CONFIRMED).order_by(_c.id).limit(1)
    return connection.execute(found).scalar()


def standing(connection: Connection, subject: str) -> Job | None:
    """The latest print of a subject's label that has been or may still be printed (reads only)."""
    found = (
        select(*_COLUMNS).where(_c.subject == subject, _c.state.in_(MAYBE_PRINTED)).order_by(_c.id.desc()).limit(1)
    )
    row = connection.execute(found).first()
    return None if row is None else _job(row)


def queue_first(connection: Connection, new: NewJob, now_us: int) -> Job | None:
    """Queue the first label of a subject; None when it has one, or one that may still be printed."""
    return None if standing(connection, new.subject) else _add(connection, new, now_us, None, None)


def queue_again(connection: Connection, new: NewJob, reason: str, now_us: int) -> Job:
    """Queue a reprint: a new serial, which voids the current one when printed.

    Raises PrintJobError without a reason, without a label to replace, or while one is being printed.
    """
    said = " ".join(reason.split())
    if not 0 < len(said) <= REASON_CHARACTERS_MAX:
        raise PrintJobError(
            Message("a reprint needs a reason of at most {n} characters: say why", n=REASON_CHARACTERS_MAX)
        )
    now = standing(connection, new.subject)
    if now is None:
        raise PrintJobError(Message("{number} has no label to replace: print its first one", number=new.subject))
    if now.state in WAITING:
        raise PrintJobError(
            Message(
                "{serial} is {state} on {printer}: wait, or cancel it first",
                serial=now.serial,
                state=Message(now.state),
                printer=now.printer,
            )
        )
    return _add(connection, new, now_us, said, now.serial)


def work_for(connection: Connection, printer: str, worker: str, now_us: int, lease_us: int) -> bool:
    """Whether a worker has anything to do for a printer (reads only): print, recover, or announce."""
    lost = _c.state.in_(IN_HAND) & ((_c.worker == worker) | (_c.changed_us <= now_us - lease_us))
    silent = (_c.state == JobState.CONFIRMED) & (_c.announced == 0)
    found = select(_c.id).where(_c.printer == printer, (_c.state == JobState.QUEUED) | lost | silent).limit(1)
    return connection.execute(found).first() is not None


def claim(connection: Connection, printer: str, worker: str, now_us: int, limit: int = 1) -> list[Job]:
    """Claim a printer's oldest queued jobs; none while any worker has a claim on one of its jobs."""
    other = print_jobs.alias()
    busy = exists().where(other.c.printer == printer, other.c.state.in_(IN_HAND))
    oldest = select(_c.id).where(_c.printer == printer, _c.state == JobState.QUEUED).order_by(_c.id).limit(limit)
    ids = connection.execute(oldest).scalars().all()
    if not ids:
        return []
    taken = connection.execute(
        update(print_jobs)
        .where(_c.id.in_(ids), _c.state == JobState.QUEUED, ~busy)
        .values(state=JobState.SENDING, worker=worker, changed_us=now_us)
        .returning(*_COLUMNS)
    )
    return sorted((_job(row) for row in taken), key=lambda job: job.id)


def change(connection: Connection, changes: Iterable[Change], now_us: int) -> None:
    """Change the states of jobs. Raises PrintJobError for a transition that is not allowed."""
    for one in changes:
        before = [state for state, after in TRANSITIONS.items() if one.state in after]
        values: dict[str, Any] = {"state": one.state, "changed_us": now_us, **_noted(one.note)}
        if one.state not in IN_HAND:
            values["worker"] = None
        done = connection.execute(update(print_jobs).where(_c.id == one.id, _c.state.in_(before)).values(**values))
        if done.rowcount != 1:
            raise PrintJobError(f"print job {one.id} can't become {one.state}: see labtrail print-jobs list")


def find(connection: Connection, job_id: int) -> Job:
    """A job by its number (reads only). Raises PrintJobError when there is none."""
    row = connection.execute(select(*_COLUMNS).where(_c.id == job_id)).first()
    if row is None:
        raise PrintJobError(f"there is no print job {job_id}: see labtrail print-jobs list")
    return _job(row)


def cancel(connection: Connection, job_id: int, by: str, now_us: int) -> None:
    """Take a job out of the queue before it is sent. Raises PrintJobError once it is claimed or printed."""
    state = find(connection, job_id).state
    if state != JobState.QUEUED:
        raise PrintJobError(f"print job {job_id} is {state}: only one that is queued can be cancelled")
    change(connection, [Change(job_id, JobState.CANCELLED, Message("cancelled by {badge}", badge=by))], now_us)


def resolve(connection: Connection, job_id: int, *, printed: bool, by: str, now_us: int) -> None:
    """A person looked at an unconfirmed label and says whether it printed. Raises PrintJobError for other states."""
    state = find(connection, job_id).state
    if state != JobState.UNCONFIRMED:
        raise PrintJobError(f"print job {job_id} is {state}: only an unconfirmed one needs a decision")
    said = (
        Message("{badge} saw it printed", badge=by) if printed else Message("{badge} saw nothing printed", badge=by)
    )
    change(connection, [Change(job_id, JobState.CONFIRMED if printed else JobState.FAILED, said)], now_us)


def retry(connection: Connection, job_id: int, by: str, now_us: int) -> None:
    """Queue a failed job again, with its serial and its place. Raises PrintJobError for other states.

    When another label of the same subject has been requested since, that one is valid and this one stays failed.
    """
    job = find(connection, job_id)
    if job.state != JobState.FAILED:
        raise PrintJobError(f"print job {job_id} is {job.state}: only a failed one can be tried again")
    now = standing(connection, job.subject)
    if now is not None and now.serial != job.voids:
        raise PrintJobError(f"{job.subject} has the label {now.serial} since: reprint that one, with a reason")
    change(connection, [Change(job_id, JobState.QUEUED, Message("tried again by {badge}", badge=by))], now_us)
    # the wait for the printer starts again
    connection.execute(update(print_jobs).where(_c.id == job_id).values(created_us=now_us))


def recover(connection: Connection, now_us: int, *, lease_us: int, worker: str | None = None) -> int:
    """Mark as unconfirmed the jobs whose worker died; returns how many.

    Those that were claimed or sent longer than `lease_us` ago, and all of `worker`.
    """
    dead = _c.changed_us <= now_us - lease_us
    if worker is not None:
        dead = dead | (_c.worker == worker)
    note = Message("its printing was interrupted: look whether it printed")
    done = connection.execute(
        update(print_jobs)
        .where(_c.state.in_(IN_HAND), dead)
        .values(state=JobState.UNCONFIRMED, worker=None, changed_us=now_us, **_noted(note))
    )
    return int(done.rowcount)


def give_up(connection: Connection, printer: str, before_us: int, now_us: int) -> int:
    """Fail a printer's jobs queued before a moment, so that no label is printed hours late; returns how many."""
    note = Message("the printer was not ready for too long; nothing was sent: mend it, then try again")
    done = connection.execute(
        update(print_jobs)
        .where(_c.printer == printer, _c.state == JobState.QUEUED, _c.created_us < before_us, _c.note != "")
        .values(state=JobState.FAILED, changed_us=now_us, **_noted(note))
    )
    return int(done.rowcount)


def list_jobs(
    connection: Connection, *, printer: str | None = None, states: Sequence[JobState] = (), limit: int = 100
) -> list[Job]:
    """The latest jobs, the newest first (reads only)."""
    query = select(*_COLUMNS).order_by(_c.id.desc()).limit(min(limit, LIST_MAX))
    if printer is not None:
        query = query.where(_c.printer == printer)
    if states:
        query = query.where(_c.state.in_(states))
    return [_job(row) for row in connection.execute(query)]


def unannounced(connection: Connection, limit: int) -> list[Job]:
    """Confirmed jobs whose events are not in the log yet, the oldest first (reads only)."""
    query = select(*_COLUMNS).where(_c.announced == 0, _c.state == JobState.CONFIRMED).order_by(_c.id).limit(limit)
    return [_job(row) for row in connection.execute(query)]


def announced(connection: Connection, ids: Sequence[int]) -> None:
    """Record that the events of these jobs are in the log."""
    connection.execute(update(print_jobs).where(_c.id.in_(ids)).values(announced=1))
