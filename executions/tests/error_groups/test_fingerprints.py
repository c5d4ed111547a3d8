"""Equal failures have equal fingerprints, others have others: tracebacks and messages as engines send them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from executions.error_groups import tracebacks
from executions.error_groups.fingerprints import Fingerprint, make_fingerprint
from executions.error_groups.tracebacks import Raised
from executions.models import ErrorRule

PYTHON = """Traceback (most recent call last):
  File "/srv/releases/20261128/app/jobs/prices.py", line 31, in run
    rows = fetch(day)
           ^^^^^^^^^^
  File "/srv/releases/20261128/app/jobs/prices.py", line 12, in fetch
    return book["close"]
  File "/srv/venv/lib/python3.12/site-packages/books/core.py", line 7, in __getitem__
    raise KeyError(name)
KeyError: 'close'
"""
CHAINED = """Traceback (most recent call last):
  File "/app/jobs/db.py", line 3, in connect
    socket.connect(address)
  File "/usr/lib/python3.12/socket.py", line 99, in connect
ConnectionRefusedError: [Errno 111] Connection refused

The above exception was the direct cause of the following exception:

Traceback (most recent call last):
  File "/app/jobs/load.py", line 8, in load
    connect()
app.errors.StoreUnavailable: no connection to 10.0.0.7:5432
"""
GROUP = """  + Exception Group Traceback (most recent call last):
  |   File "/app/jobs/all.py", line 5, in main
  |     run_all()
  | ExceptionGroup: unhandled errors in a TaskGroup (1 sub-exception)
  +-+---------------- 1 ----------------
    | Traceback (most recent call last):
    |   File "/app/jobs/one.py", line 2, in one
    |     raise ValueError(1)
    | ValueError: 1
    +------------------------------------
"""
WINDOWS = """Traceback (most recent call last):
  File "C:\\\\jobs\\\\app\\\\load.py", line 8, in load
    connect()
  File "C:\\\\venv\\\\Lib\\\\site-packages\\\\psycopg\\\\connection.py", line 1, in connect
psycopg.OperationalError: timeout
"""
JAVA = """Exception in thread "main" org.acme.JobFailed: job 17 failed
	at org.acme.Runner.run(Runner.java:44)
	at java.base/java.lang.Thread.run(Thread.java:833)
Caused by: java.sql.SQLTransientException: timeout after 3000 ms
	at org.postgresql.jdbc.PgConnection.connect(PgConnection.java:91)
	at org.acme.Store.lambda$open$0(Store.java:12)
	at org.acme.Store.open(Store.java:9)
	at org.springframework.aop.Proxy.invoke(Proxy.java:1)
	... 12 more
"""
JAVASCRIPT = """/app/dist/load.js:12
    throw new TypeError('x')
    ^

TypeError: Cannot read properties of undefined (reading 'close')
    at fetchPrices (/app/src/prices.js:10:15)
    at async run (file:///app/src/main.js:4:3)
    at /app/src/steps.js:1:1
    at Module._compile (node:internal/modules/cjs/loader:1105:14)
    at Object.<anonymous> (/app/node_modules/runner/index.js:3:1)
"""


class TestTracebacks:
    @pytest.mark.parametrize(
        ("text", "exception", "frames"),
        [
            (PYTHON, "KeyError", ("jobs/prices.py: run", "jobs/prices.py: fetch")),
            (CHAINED, "StoreUnavailable", ("jobs/load.py: load",)),
            (GROUP, "ValueError", ("jobs/one.py: one",)),
            (WINDOWS.replace("\\\\", "\\"), "OperationalError", ("app/load.py: load",)),
            (JAVA, "SQLTransientException", ("org.acme.Store.open", "org.acme.Store.lambda$open$#")),
            (JAVASCRIPT, "TypeError", ("src/steps.js: ", "src/main.js: run", "src/prices.js: fetchPrices")),
            ("no traceback at all", "", ()),
            ("", "", ()),
        ],
    )
    def test_the_exception_and_the_own_frames(self, text: str, exception: str, frames: tuple[str, ...]) -> None:
        assert tracebacks.parse(text) == Raised(exception, frames)

    def test_a_recursion_counts_once(self) -> None:
        call = '  File "/app/a.py", line 1, in walk\n    walk()\n'
        found = {
            tracebacks.parse(f"Traceback (most recent call last):\n{call * depth}RecursionError: too deep")
            for depth in (3, 900)
        }
        assert found == {Raised("RecursionError", ("app/a.py: walk",))}

    @given(st.text(max_size=300))
    def test_any_text_is_read(self, text: str) -> None:
        tracebacks.parse(text)
        tracebacks.parse(f"Traceback (most recent call last):\n{text}")
        tracebacks.parse(f"{text}\n\tat a.b(c:1)")


def of(message: str | None, traceback: str | None = None, rule: ErrorRule = ErrorRule.TRACEBACK) -> Fingerprint:
    return make_fingerprint(message, traceback, "load", rule)


class TestEqualFailures:
    @pytest.mark.parametrize(
        ("one", "other"),
        [
            ("no prices for 2026-11-28", "no prices for 2026-11-29"),
            ("user 17 not found", "user 18 not found"),
            ("no file /data/a/17.csv", "no file /data/b/x.csv"),
            ("timeout of https://a.example/1?x=2", "timeout of https://b.example/7"),
            ("row 0191f2ea-7c1e-7b0a-9d5e-aa0000000001", "row 0191f2ea-7c1e-7b0a-9d5e-aa0000000002"),
            ("key 'close' is missing", "key 'open' is missing"),
            ("<Book object at 0x7f00a>", "<Book object at 0x7f00b>"),
            ("no connection to 10.0.0.7:5432", "no connection to 10.0.0.8:6543"),
            ("at 12:00:01.123Z", "at 13:10:59.9Z"),
            ("KeyError: 'close'", "KeyError: 'open'"),
        ],
    )
    def test_messages_that_differ_in_what_always_differs(self, one: str, other: str) -> None:
        assert of(one).digest == of(other).digest

    def test_tracebacks_that_differ_in_lines_and_releases(self) -> None:
        later = PYTHON.replace("line 31", "line 40").replace("20261128", "20261129").replace("'close'", "'open'")
        assert of("'close'", PYTHON).digest == of("'open'", later).digest


class TestDifferentFailures:
    @pytest.mark.parametrize(
        ("one", "other"),
        [
            ("no prices", "no server"),
            ("KeyError: 'close'", "IndexError: 'close'"),
            ("Database error\n  relation is missing", "Database error\n  permission denied"),
            ("SSL error", "TLS error"),
            (None, "no prices"),
        ],
    )
    def test_messages(self, one: str | None, other: str | None) -> None:
        assert of(one).digest != of(other).digest

    def test_other_frames_and_another_exception(self) -> None:
        texts = [
            PYTHON,
            PYTHON.replace("in fetch", "in read"),
            PYTHON.replace("KeyError: ", "IndexError: "),
            CHAINED,
            JAVA,
        ]
        assert len({of("failed", text).digest for text in texts}) == len(texts)


class TestRules:
    @pytest.mark.parametrize(
        ("rule", "values"),
        [
            (
                ErrorRule.TRACEBACK,
                {"exception": "KeyError", "frames": ["jobs/prices.py: run", "jobs/prices.py: fetch"]},
            ),
            (ErrorRule.MESSAGE, {"exception": "KeyError", "message": "“…”"}),
            (ErrorRule.CLASS, {"exception": "KeyError"}),
            (ErrorRule.NODE, {"node": "load"}),
        ],
    )
    def test_the_values_by_which_a_failure_was_grouped(self, rule: ErrorRule, values: dict[str, object]) -> None:
        assert of("'close'", PYTHON, rule).values == values

    def test_a_title_holds_nothing_that_differs_from_failure_to_failure(self) -> None:
        assert of("'close'", PYTHON).title == "KeyError: “…”"
        assert of("no prices for 2026-11-28").title == "no prices for #"
        assert of("KeyError: 'close'").title == "KeyError: “…”"

    def test_a_class_without_own_frames_is_not_enough(self) -> None:
        library = PYTHON.replace("/srv/releases/20261128/app", "/usr/lib/python3.12")
        assert of("no connection", library).digest != of("no memory", library).digest
