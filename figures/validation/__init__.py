"""Tests of truth: predictions against published and own measurements, with rivals."""
