"""A ladder of small models, trained on any text, to measure speculation on."""
