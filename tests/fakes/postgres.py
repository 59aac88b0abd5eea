"""The private PostgreSQL of `altyn prove`, under the name that tests and benchmarks know it by."""

from altyn.prove.postgres import (
    PostgresFailedError,
    TemporaryPostgres,
    find_postgres_bin,
    free_port,
)

__all__ = ["PostgresFailedError", "TemporaryPostgres", "find_postgres_bin", "free_port"]
