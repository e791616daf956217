"""Cascades, overlap and batched verification."""
