"""Promises, incidents and the channels that tell people: a functional core that knows no Dagster."""
