"""Scripts that measure what the documentation says, as ratios to what one would use otherwise.

They need what ``make test`` installs: ``.venv/bin/python -m tools.benchmarks.accuracy``.
"""
