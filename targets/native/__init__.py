"""The tabular template in C, compiled once an architecture, and the tables of a child laid out for it."""
