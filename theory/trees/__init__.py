"""Draft trees, several drafts and verification rules."""
