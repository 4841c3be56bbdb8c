"""What is measured against real servers, by hand: ``make live`` (docs/live.md)."""
