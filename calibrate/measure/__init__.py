"""Measuring real draft and target models with torch and transformers."""
