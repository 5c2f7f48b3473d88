"""One run on Kafka and PostgreSQL in a process of its own: `python -m bench.network_runs RUN JOB`, JSON line out.

JOB is JSON of bench.network_job.Job. Topics and database are fresh; bench/network.py makes them.
"""

import asyncio
import os
import sys
import time
from itertools import islice
from pathlib import Path

import msgspec

from agents import app as labtrail_app
from agents.log.kafka import KafkaLog
from bench.home import new_records, peak_kib, read_events, say
from bench.network_job import Job, cpu_seconds
from bench.network_limit import capture, limit
from bench.network_servers import access
from bench.network_workers import backlog, growth, latency
from bench.orm_agent import OrmTables
from bench.runs import Clock, count_batches, count_each, record_each, run_agents
from config.settings import Settings, load_settings

APPEND = 5000
"""As many at a time as `labtrail publish` appends."""
TOLD_EVERY = 500_000


def fill(job: Job) -> dict[str, object]:
    """Every event of the file into the topics, 5000 at a time: our idempotent producer, all replicas in sync.

    The file is read as it goes; each piece is durable before the next is sent, as `labtrail publish` does it.
    """
    log, done = KafkaLog(access(job.kafka)), 0
    try:
        log.ends()  # connected: a client takes a while for that
        kafka_cpu, cpu, began = cpu_seconds(job.kafka_pid), time.process_time(), time.perf_counter()
        waiting = new_records(read_events(Path(job.events), job.count))
        while piece := list(islice(waiting, APPEND)):
            log.append(piece)
            done += len(piece)
            if done % TOLD_EVERY == 0:
                print(f"{done:,} events appended", file=sys.stderr, flush=True)
        seconds, used = time.perf_counter() - began, time.process_time() - cpu
        kafka_used = cpu_seconds(job.kafka_pid) - kafka_cpu
    finally:
        log.close()
    if done != job.count:
        raise SystemExit(f"{job.events} has {done} events, not {job.count}")
    return {
        "events": done,
        "seconds": seconds,
        "rate": done / seconds,
        "cpu_us": 1e6 * used / done,
        "kafka_cpu_us": 1e6 * kafka_used / done,
        "peak_mib": peak_kib() / 1024,
    }


def _settings(job: Job) -> Settings:
    return load_settings({"LABTRAIL_BROKER": f"kafka://{job.kafka}"}, data=Path(job.folder))


def _fausts_own_transport() -> None:
    """Faust's own Kafka consumer instead of Labtrail's strict one, for this process only."""
    strict = labtrail_app.faust_broker
    labtrail_app.faust_broker = lambda settings: strict(settings).replace("kafka+strict://", "kafka://")


def noop(job: Job) -> dict[str, object]:
    """`async for event in stream: pass` with Faust's own consumer: what an agent on Kafka can reach at most."""
    _fausts_own_transport()
    return asyncio.run(run_agents(_settings(job), Clock(job.count), count_each))


def noop_batches(job: Job) -> dict[str, object]:
    """Labtrail's way of reading Kafka (strict commit, in batches), doing nothing."""
    return asyncio.run(run_agents(_settings(job), Clock(job.count), count_batches))


def naive(job: Job) -> dict[str, object]:
    """What one would write first: Faust's own consumer, one event at a time, one ORM transaction for each."""
    _fausts_own_transport()
    tables = OrmTables(job.database)
    return asyncio.run(run_agents(_settings(job), Clock(job.count), record_each(tables)))


RUNS = {run.__name__: run for run in (fill, backlog, growth, latency, capture, limit, naive, noop, noop_batches)}


def main() -> None:
    name, job_json = sys.argv[1:]
    job = msgspec.json.decode(job_json, type=Job)
    for variable in [name for name in os.environ if name.startswith("LABTRAIL_")]:
        del os.environ[variable]
    say(RUNS[name](job))


if __name__ == "__main__":
    main()
