import psycopg
from django.db.backends.postgresql.creation import DatabaseCreation as PostgreSQLCreation

from local_postgres.server import allow_tests

# Not DROP DATABASE ... WITH (FORCE): during an autovacuum of the database it requires the right to signal others.
TERMINATE = """
SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
WHERE datname = %s AND usename = current_user AND pid <> pg_backend_pid()
"""


class DatabaseCreation(PostgreSQLCreation):
    def create_test_db(
        self, verbosity: int = 1, autoclobber: bool = False, serialize: bool | None = None, keepdb: bool = False
    ) -> str:
        """Create a test database, which the application's role may not do outside of tests."""
        allow_tests(self.connection.settings_dict)
        return super().create_test_db(verbosity, autoclobber, serialize, keepdb)

    def destroy_test_db(
        self,
        old_database_name: str | None = None,
        verbosity: int = 1,
        keepdb: bool = False,
        suffix: str | None = None,
    ) -> None:
        """Destroy a test database, also if a thread of a test died without closing its connection."""
        if not keepdb:
            self.connection.close_pool()
            settings = self.get_test_db_clone_settings(suffix) if suffix else self.connection.settings_dict
            with psycopg.connect(**self.connection.get_connection_params()) as session:
                session.execute(TERMINATE, [settings["NAME"]])
        super().destroy_test_db(old_database_name, verbosity, keepdb, suffix)
