"""Answers in the words of an engine: schedules and simulated acceptance as it takes them."""
