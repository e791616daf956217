"""Gamma chosen while decoding: controllers, a bandit, and how they compare."""
