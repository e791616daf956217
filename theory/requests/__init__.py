"""Requests of finite length: rounds, percentiles, completion."""
