"""`labtrail topics`: create and check the topics in Kafka; rewind the workers."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from labtrail.shared import CommandError, Data, settings_for

if TYPE_CHECKING:
    from kafka import KafkaAdminClient

    from agents.log.kafka_topics import TopicPlan

REWIND_START = "start"


def topics(
    check: Annotated[bool, typer.Option("--check", help="Only look; make and change nothing.")] = False,
    apply: Annotated[bool, typer.Option("--apply", help="Give existing topics the planned settings.")] = False,
    grow: Annotated[
        bool, typer.Option("--add-partitions", help="Raise existing topics to LABTRAIL_PARTITIONS.")
    ] = False,
    replication: Annotated[
        int | None,
        typer.Option("--replication", metavar="N", min=1, help="Copies of each record; as many as brokers, up to 3."),
    ] = None,
    min_insync: Annotated[
        int | None,
        typer.Option("--min-insync", metavar="N", min=1, help="Copies that an append waits for; all but one."),
    ] = None,
    retention_days: Annotated[
        float | None,
        typer.Option("--retention-days", metavar="D", min=1, help="Days kept; LABTRAIL_RETENTION_DAYS."),
    ] = None,
    rewind: Annotated[
        str | None,
        typer.Option(
            "--rewind", metavar="TIME", help="Read again what was appended since; `start`: all that is kept."
        ),
    ] = None,
    data: Data = None,
) -> None:
    """Create the topics in Kafka, and check partitions, replicas and retention.

    Differences from the plan are listed, a line each, with what to do; --check then exits with 1. After restoring a
    backup of the database, --rewind to before the backup: events that are in the tables change nothing.
    """
    from agents.log.kafka import KafkaLog
    from agents.log.kafka_client import access_of
    from agents.log.kafka_topics import TopicPlan
    from agents.log.port import GROUP, TOPICS

    since = _moment(rewind) if rewind and rewind != REWIND_START else None
    settings = settings_for(data)
    if settings.embedded:
        raise CommandError(
            "the embedded log makes its own topics: this is for a LABTRAIL_BROKER of kafka://host:9092"
        )
    plans = [
        TopicPlan(
            name=name,
            partitions=settings.partitions,
            replication=replication,
            min_insync=min_insync,
            retention_days=retention_days or settings.retention_days,
        )
        for name in TOPICS
    ]
    log = KafkaLog(access_of(settings))
    try:
        if rewind is not None:
            log.ask(lambda admin: _rewind(admin, GROUP, since))
        else:
            found = log.ask(lambda admin: _bring(admin, plans, check=check, apply=apply, grow=grow))
            for line in found:
                typer.echo(line)
            if found and check:
                raise CommandError(f"{len(found)} things differ from the plan: do what each line says")
            if not found:
                typer.echo(f"{len(plans)} topics are as planned")
    finally:
        log.close()


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise typer.BadParameter(
            f"{text!r} is no moment with an offset: write it like 2026-11-21T18:00:00Z, or `start`",
            param_hint="--rewind",
        )
    return moment


def _bring(admin: "KafkaAdminClient", plans: "list[TopicPlan]", *, check: bool, apply: bool, grow: bool) -> list[str]:
    """Do what was asked; the remaining differences."""
    from agents.log.kafka_topics import add_partitions, apply_settings, create_missing, differences

    if not check:
        for name in create_missing(admin, plans):
            typer.echo(f"{name}: made")
        for name in add_partitions(admin, plans) if grow else ():
            typer.echo(f"{name}: partitions added; start the workers again")
        if apply:
            apply_settings(admin, plans)
    return differences(admin, plans)


def _rewind(admin: "KafkaAdminClient", group: str, since: datetime | None) -> None:
    from agents.log.kafka_topics import rewind as set_back
    from models.rules.events import SPECIMENS_TOPIC, SUPPLIES_TOPIC

    for (topic, partition), offset in set_back(admin, group, [SPECIMENS_TOPIC, SUPPLIES_TOPIC], since).items():
        typer.echo(f"{topic} partition {partition}: reads again from {offset}")


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: LABTRAIL_BROKER=kafka://localhost:9092 labtrail topics --replication 3")(topics)
