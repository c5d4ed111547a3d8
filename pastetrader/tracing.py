"""Traces by OpenTelemetry: a span for each request and for each statement of it. Off, and its packages are not needed,
unless one of its variables names a receiver (docs/operate.md)."""

from django.core.exceptions import ImproperlyConfigured

NOT_TRACED = "healthz,readyz,metrics"


def start_tracing() -> None:
    """Instrument Django and psycopg. OpenTelemetry reads OTEL_SERVICE_NAME, OTEL_TRACES_SAMPLER and others itself. A
    process that is forked later exports its own spans."""
    try:
        from opentelemetry import trace  # noqa: PLC0415  # an extra
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415  # as above
        from opentelemetry.instrumentation.django import DjangoInstrumentor  # noqa: PLC0415  # as above
        from opentelemetry.instrumentation.psycopg import PsycopgInstrumentor  # noqa: PLC0415  # as above
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415  # as above
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415  # as above
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415  # as above
    except ModuleNotFoundError as error:
        install = "pip install --require-hashes -r requirements-otel.txt (docs/operate.md#traces)"
        message = f"OTEL_EXPORTER_OTLP_ENDPOINT is set, and {error.name} is missing: {install}"
        raise ImproperlyConfigured(message) from error
    provider = TracerProvider(resource=Resource.create({"service.name": "pastetrader"}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    DjangoInstrumentor().instrument(excluded_urls=NOT_TRACED)
    PsycopgInstrumentor().instrument(skip_dep_check=True)
