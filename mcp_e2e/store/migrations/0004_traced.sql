-- The trace context of whoever planned the run: traceparent and, behind a blank, tracestate.
ALTER TABLE runs ADD COLUMN trace TEXT;
