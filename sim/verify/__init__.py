"""The verification rules on explicit distributions, and the law of what they emit."""
