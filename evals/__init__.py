"""Suites, data, scorers and statistics: a leaf that knows no Dagster. Scored evals come with the next slices."""
