"""The database that studies lie in: SQLite for the processes of one machine, PostgreSQL for many machines."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import optuna
import sqlalchemy as sql
from optuna.storages import RDBStorage

from dfd.errors import StoreError

Database = RDBStorage

UNFIT = (sql.exc.SQLAlchemyError, optuna.exceptions.OptunaError, ImportError, RuntimeError, ValueError, OSError)

optuna.logging.set_verbosity(optuna.logging.WARNING)


@contextmanager
def open_database(url: str) -> Iterator[Database]:
    """A database, with its tables; it is closed after the block.

    Args:
        url: as SQLAlchemy writes it: `sqlite:///FILE`, `postgresql+psycopg2://USER:PASSWORD@HOST/DATABASE`.

    Raises:
        StoreError: it cannot be opened.
    """
    try:
        address = sql.make_url(url)
        lite = address.get_backend_name() == "sqlite"
        if lite and address.database:
            Path(address.database).parent.mkdir(parents=True, exist_ok=True)
        options: dict[str, Any] = {"connect_args": {"timeout": 120}} if lite else {"pool_pre_ping": True}
        _check_free(url, options)
        found = _with_tables(url, options)
    except UNFIT as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise StoreError(f"the trials' database {shown(url)} cannot be opened: {reason}") from None
    if lite:
        _lock_whole_transactions(found.engine)
    try:
        yield found
    finally:
        found.remove_session()
        found.engine.dispose()


def shown(url: str) -> str:
    """A database's address as it may be written down: without the password."""
    try:
        return sql.make_url(url).render_as_string(hide_password=True)
    except sql.exc.ArgumentError:  # no address: there is no telling what in it is the password
        return "(no URL)"


def _check_free(url: str, options: dict[str, Any]) -> None:
    """Optuna and MLflow count their schema's version in tables of the same name.

    Raises:
        OSError: the database is another program's.
    """
    engine = sql.create_engine(url, **options)
    try:
        tables = sql.inspect(engine).get_table_names()
    finally:
        engine.dispose()
    if "alembic_version" in tables and "version_info" not in tables:
        raise OSError("it holds another program's tables, such as MLflow's; name a database of its own")


def _with_tables(url: str, options: dict[str, Any]) -> Database:
    for _ in range(3):
        try:
            return Database(url, engine_kwargs=options)
        except (sql.exc.OperationalError, sql.exc.ProgrammingError, sql.exc.IntegrityError):
            time.sleep(0.5)  # another process may be making them at this moment
    return Database(url, engine_kwargs=options)


def _lock_whole_transactions(engine: sql.Engine) -> None:
    """Every transaction takes SQLite's write lock as it begins.

    Optuna hands a waiting trial to one process alone by SELECT ... FOR UPDATE, which SQLite has not: two processes can
    come to the same trial (optuna/optuna#4002). The recipe is SQLAlchemy's, of its page on SQLite.
    """

    @sql.event.listens_for(engine, "connect")
    def _by_hand(connection: Any, record: Any) -> None:
        connection.isolation_level = None  # sqlite3 begins no transaction of itself

    @sql.event.listens_for(engine, "begin")
    def _at_once(connection: sql.Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    engine.dispose()  # connections from before
