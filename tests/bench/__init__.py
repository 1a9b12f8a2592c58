"""Measures every bar of the project side by side; ``python -m tests.bench`` writes bench-report.md."""
