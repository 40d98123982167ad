"""Tables drawn from the sweep's results: what the report prints and an explorer may show.

Every function takes the tables that the stages wrote and returns plain tables; `tables` makes them
all.
"""
