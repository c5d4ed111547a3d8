"""The traceparent of runs."""

from collections.abc import Callable
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

from pastetrader_client import Client
from pastetrader_client.tests.stub import Stub

GIVEN = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
SPAN = NonRecordingSpan(SpanContext(0xABC, 0xDEF, is_remote=False, trace_flags=TraceFlags(1)))
OF_SPAN = "00-00000000000000000000000000000abc-0000000000000def-01"


def metadata_of(client: Client, stub: Stub, **options: Any) -> Any:
    client.run(workflow="w", concurrent=False, **options).create()
    assert client.flush()
    return stub.facts[-1].get("metadata")


def test_the_trace_context_is_that_of_the_current_span(client_of: Callable[..., Client], stub: Stub) -> None:
    client = client_of(stub.url)
    with trace.use_span(SPAN):
        assert metadata_of(client, stub) == {"traceparent": OF_SPAN}
        assert metadata_of(client, stub, tags=["a"]) == {"traceparent": OF_SPAN, "tags": ["a"]}
        assert metadata_of(client, stub, traceparent=GIVEN) == {"traceparent": GIVEN}
        assert metadata_of(client, stub, metadata={"traceparent": GIVEN}) == {"traceparent": GIVEN}
    assert metadata_of(client, stub) is None


@pytest.mark.parametrize("given", ["", "01-x", GIVEN.replace("b7ad6b7169203331", "0" * 16)])
def test_a_trace_context_that_the_ledger_would_refuse_is_left_out(
    client_of: Callable[..., Client], stub: Stub, given: str
) -> None:
    assert metadata_of(client_of(stub.url), stub, traceparent=given) is None
