"""One request, measured: compile, record, decode."""
