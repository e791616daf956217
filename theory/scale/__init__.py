"""How small a draft: the turning point in draft scale."""
