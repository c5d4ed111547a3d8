"""The traceparent (W3C Trace Context) of the code that creates a run."""

import re
import sys

TRACEPARENT = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


def traceparent_of(given: str | None) -> str | None:
    """Return the given traceparent, else that of OpenTelemetry's current span; None if it is invalid. OpenTelemetry is
    not imported here: a program with a span has imported it."""
    found = given
    if found is None and (trace := sys.modules.get("opentelemetry.trace")) is not None:
        span = trace.get_current_span().get_span_context()
        found = f"00-{span.trace_id:032x}-{span.span_id:016x}-{int(span.trace_flags):02x}"
    return found if found is not None and TRACEPARENT.fullmatch(found) else None
