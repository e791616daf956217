"""Tables: what their columns hold, and how they are read.

`schema` says what a table must look like, by the rows of `schemas.csv`, and `read` checks one cell
by cell. Measurements as people write them come in any layout: `cells` reads the rows, `columns`
says what their columns mean, `layouts` brings them to a row a setting; `sweeps` makes sweeps over
the number of draft tokens of them (`sweep`), `passes` costs.
"""
