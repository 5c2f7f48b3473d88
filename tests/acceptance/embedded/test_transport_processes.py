"""The transport notices what another process appends."""

import asyncio
import subprocess
import sys
from pathlib import Path

from tests.integration.embedded.test_transport import run, running


def test_an_append_of_another_process_is_seen_by_polling(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from embedded.log import Log; from embedded.records import NewRecord;"
        "log = Log.open(Path(sys.argv[1])); log.append([NewRecord('things', None, b'from afar')]); log.close()"
    )

    async def story() -> None:
        async with running(tmp_path) as it:
            await asyncio.to_thread(subprocess.run, [sys.executable, "-c", code, str(it.log.path)], check=True)
            await it.until(lambda: it.got == [b"from afar"], "it arrives")

    run(story)
