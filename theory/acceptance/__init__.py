"""Acceptance: metrics, estimation and laws."""
