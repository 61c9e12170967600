"""Times as they are written: ISO 8601 in UTC, to the second."""

from datetime import UTC, datetime


def iso(moment: float | datetime) -> str:
    """A time, or seconds since the epoch, as 2026-01-31T12:00:00Z."""
    when = moment if isinstance(moment, datetime) else datetime.fromtimestamp(moment, UTC)
    return when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def elapsed_s(since: float, until: float) -> float:
    """Seconds from one wall-clock time to another; 0 when the clock was moved back between them."""
    return max(0.0, until - since)


def epoch(text: str) -> float:
    """Seconds since the epoch of an ISO 8601 time; 0 for what is none."""
    try:
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError, OSError):
        return 0.0
