"""Tables of measurements as people write them: one reader for every verb that takes some.

`cells` reads the rows of any layout, `columns` says what their columns mean, `sweeps` makes sweeps
over the number of draft tokens of them, `acceptance` statistics of acceptance.
"""
