"""Printing: labels asked for by events, drawn and sent by the printers of the catalog, off the event loop."""

import asyncio
import logging

from sqlalchemy import Connection, Engine

from config.catalog import Catalog
from config.settings import Settings
from labels.errors import LabelError
from labels.of_specimen import label_of
from labels.printers import make_printer
from labels.render import render
from models.database import reading

log = logging.getLogger(__name__)


class Printing:
    def __init__(self, settings: Settings, catalog: Catalog, engine: Engine) -> None:
        self.settings, self.catalog, self.engine = settings, catalog, engine
        self._wake = asyncio.Event()
        self._waiting: list[tuple[str, str]] = []

    def queue(self, connection: Connection, accession: str, printer: str, now_us: int) -> None:
        self._waiting.append((accession, printer))

    def wake(self) -> None:
        self._wake.set()

    async def step(self) -> None:
        await self._wake.wait()
        self._wake.clear()
        while self._waiting:
            await asyncio.to_thread(self._print, *self._waiting.pop(0))

    def _print(self, accession: str, name: str) -> None:
        row = self.catalog.printers.get(name)
        if row is None:
            raise LabelError(f"no printer {name}")
        printer = make_printer(row, self.settings.data)
        with reading(self.engine) as connection:
            label = label_of(connection, accession, self.catalog)
        printer.send(render(label, printer.format, printer.dpi), label.serial)

    def close(self) -> None:
        self._waiting.clear()
