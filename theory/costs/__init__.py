"""Cost laws: time of a round, batch, load and memory."""
