"""The traceparent (W3C Trace Context) of the code that makes a run."""

import re
import sys

TRACEPARENT = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


def traceparent_of(given: str | None) -> str | None:
    """Return the one that is given, else that of the current span of OpenTelemetry; None if it is not one. A program
    that has a span has imported OpenTelemetry."""
    found = given
    if found is None and (trace := sys.modules.get("opentelemetry.trace")) is not None:
        span = trace.get_current_span().get_span_context()
        found = f"00-{span.trace_id:032x}-{span.span_id:016x}-{int(span.trace_flags):02x}"
    return found if found is not None and TRACEPARENT.fullmatch(found) else None
