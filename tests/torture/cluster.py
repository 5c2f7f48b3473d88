"""Kafka, PostgreSQL and workers as processes of this machine, with the faults that the runs inject."""

import json
import os
import signal
import sys
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.request import urlopen

from sqlalchemy import Engine, text
from sqlalchemy.exc import SQLAlchemyError

from agents.log.kafka import KafkaLog
from agents.log.kafka_client import KafkaAccess
from agents.log.port import GROUP, TOPICS
from config.errors import LabtrailError
from embedded.records import NewRecord
from models.database.engine import make_engine, reading
from models.database.migrate import migrate
from models.rules.events import route
from models.views.exports import export_rows
from tests.support.homes import PURE, commit, export, new_home, new_store, sqlite_url
from tests.support.kafka.broker import Broker
from tests.support.postgres.server import Postgres, create_database
from tests.support.processes import Server, ServerFault, free_port, wait_until
from tests.support.story import CATALOG, POLICY, us
from tests.torture.proxy import Proxy
from tests.torture.workload import ITEM, Load, ids

PARTITIONS = 8
WORKER_SECONDS = 90
APPEND_TRIES = 60
CHUNK = 500
DRAIN_SECONDS = 300


class Worker:
    """One `labtrail worker`, started again as often as the run kills it."""

    def __init__(self, number: int, folder: Path, environ: dict[str, str]) -> None:
        self.number = number
        self.port = free_port()
        self.environ = environ | {"LABTRAIL_PORT": str(self.port), "LABTRAIL_DATA": str(folder)}
        command = [sys.executable, "-m", "labtrail", "worker"]
        self.process = Server(f"worker {number}", command, folder / f"worker{number}.log")

    def start(self) -> None:
        """Start, or start again; returns when it has joined the group and works."""

        def up() -> bool:
            return "Labtrail is up" in self.process.said and self.answers()

        self.process.start(up, WORKER_SECONDS, environ=self.environ)

    def answers(self) -> bool:
        try:
            with urlopen(f"http://127.0.0.1:{self.port}/healthz", timeout=5) as answer:
                return answer.status == 200
        except OSError:
            return False

    def metric(self, name: str) -> float:
        """The sum over all labels of one metric of this process now."""
        with urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=10) as answer:
            lines = answer.read().decode().splitlines()
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.split("{")[0].split(" ")[0] == name)


class Cluster:
    """The servers of one run, its workers, and one publisher. Everything is in `folder`."""

    def __init__(self, folder: Path, broker: Broker, postgres: Postgres, *, kafka: str | None = None) -> None:
        self.folder, self.broker, self.postgres = folder, broker, postgres
        self.kafka = kafka or broker.bootstrap
        self.url = create_database(postgres.url())
        self.engine: Engine = make_engine(self.url)
        migrate(self.engine)
        (folder / "home").mkdir(exist_ok=True)
        self.environ = {
            "PATH": os.environ["PATH"],
            "LABTRAIL_BROKER": f"kafka://{self.kafka}",
            "LABTRAIL_DATABASE": self.url,
            "LABTRAIL_PARTITIONS": str(PARTITIONS),
            "LABTRAIL_PRINT_ON_COLLECTION": "",
        }
        self.log = KafkaLog(KafkaAccess(servers=(self.kafka,), timeout_seconds=20))
        self.log.ensure_topics(dict.fromkeys(TOPICS, PARTITIONS))
        self.workers = [Worker(number, folder / "home", self.environ) for number in (1, 2)]
        self.proxy: Proxy | None = None
        """The proxy between Kafka and its clients, if the test asked for one."""
        self.append_faults = 0
        """Appends that failed and were retried: each may have left a second copy of its records."""

    def new_database(self, *, migrated: bool = True) -> None:
        """An empty database in place of this one, for workers that are started from now on."""
        self.engine.dispose()
        self.url = create_database(self.postgres.url())
        self.engine = make_engine(self.url)
        if migrated:
            migrate(self.engine)
        for worker in self.workers:
            worker.environ["LABTRAIL_DATABASE"] = self.url

    def close(self) -> None:
        for worker in self.workers:
            worker.process.kill()
        self.log.close()
        self.engine.dispose()

    # ---- load ----------------------------------------------------------------------------------------------

    def publish(self, arrivals: Sequence[bytes]) -> None:
        """Append all, retrying while the log refuses; returns when all are durable."""
        for start in range(0, len(arrivals), CHUNK):
            records = [NewRecord(*route(record), record) for record in arrivals[start : start + CHUNK]]
            for _ in range(APPEND_TRIES):
                try:
                    self.log.append(records)
                    break
                except LabtrailError:
                    self.append_faults += 1
            else:
                raise ServerFault(f"the log refused {APPEND_TRIES} times")

    def publishing(self, arrivals: Sequence[bytes]) -> threading.Thread:
        """The same in a thread beside the test; join it."""
        thread = threading.Thread(target=self.publish, args=(arrivals,), name="publisher")
        thread.start()
        return thread

    def recorded(self) -> int:
        """Events in the tables now; -1 while the database does not answer."""
        try:
            with reading(self.engine) as connection:
                return int(connection.scalar(text("SELECT count(*) FROM events")) or 0)
        except SQLAlchemyError:
            self.engine.dispose()
            return -1

    def lag(self) -> int:
        """Records that the group has yet to commit."""
        ends, committed = self.log.ends(), self.log.committed(GROUP)
        return sum(end - committed.get(place, 0) for place, end in ends.items() if place[0] != "lab.alerts")

    def drain(self) -> None:
        """Wait until everything appended is committed by the group."""
        wait_until(lambda: self.lag() == 0, DRAIN_SECONDS, "everything committed", every=0.2)

    def wait_recorded(self, more_than: int, seconds: float = 60) -> None:
        wait_until(
            lambda: self.recorded() > more_than, seconds, f"more than {more_than} events recorded", every=0.005
        )

    # ---- checks --------------------------------------------------------------------------------------------

    def assert_true_to(self, load: Load) -> None:
        """The tables match the story: by its own count, and byte for byte with a run without faults."""
        where = f"seed {load.seed}"
        with reading(self.engine) as connection:
            rows = {
                table: list(export_rows(connection, table, us(5000), catalog=CATALOG, policy=POLICY))
                for table in ("specimens", "stock", "quarantine")
            }
            seen = {row[0] for row in connection.execute(text("SELECT id FROM events"))}
        lost = sorted(ids(load.events) - seen)
        assert not lost, f"{where}: {len(lost)} events lost: {self.where_in_the_log(lost)}"
        assert seen == ids(load.events), where
        assert {row["accession"]: row["status"] for row in rows["specimens"]} == load.statuses, where
        stock = {(row["site"], row["lot"]): row["on_hand"] for row in rows["stock"] if row["item"] == ITEM}
        assert stock == load.on_hand, where
        reasons = Counter(row["reason"] for row in rows["quarantine"])
        if self.append_faults:  # a chunk that was appended twice brings its bad records twice
            assert set(reasons) == set(load.refused), where
            assert all(reasons[reason] >= count for reason, count in load.refused.items()), where
        else:
            assert reasons == load.refused, where
        found, alone = export(self.engine), self.without_faults(load)
        for table in PURE:
            differing = set(found[table].splitlines()) ^ set(alone[table].splitlines())
            # the quarantine depends on arrivals: the home without faults got no bad record
            differing = {line for line in differing if '"quarantined-events"' not in line}
            assert not differing, f"{where}: {table}: {sorted(differing)[:6]}"

    def where_in_the_log(self, lost: Sequence[str]) -> str:
        """Partitions and offsets of lost events, for the message of a failure."""
        wanted = set(lost)
        places: dict[tuple[str, int], list[int]] = {}
        for position, record in self.log.replay():
            if record.value.startswith(b"{") and json.loads(record.value).get("id") in wanted:
                places.setdefault((position.topic, position.partition), []).append(position.offset)
        return ", ".join(f"{t}/{p}: {min(o)}-{max(o)} ({len(o)})" for (t, p), o in sorted(places.items()))

    def without_faults(self, load: Load) -> dict[str, str]:
        """The exports of one SQLite home that gets every event once, in order."""
        engine = new_home(sqlite_url(self.folder, f"alone{load.seed}"))
        store = new_store(engine)
        for start in range(0, len(load.events), CHUNK):
            commit(store, load.events[start : start + CHUNK], start)
        exports = export(engine)
        engine.dispose()
        return exports

    def chain_heads(self) -> dict[str, tuple[int, bytes]]:
        """{subject: (length, hash)} of every chain of the ledger."""
        with reading(self.engine) as connection:
            rows = connection.execute(text("SELECT subject, length, head FROM chains")).all()
        return {subject: (length, bytes(head)) for subject, length, head in rows}


def graceful(worker: Worker, seconds: float = 12) -> int | None:
    """SIGTERM, and the exit code; it must end in time without being killed."""
    worker.process.stop(seconds, signal.SIGTERM)
    return worker.process.exit_code


def until(condition: Callable[[], bool], seconds: float, what: str) -> None:
    wait_until(condition, seconds, what, every=0.02)
