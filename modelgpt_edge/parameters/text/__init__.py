"""Heads of text models: a prior from words, evidence from examples, solved in closed form or to convergence."""
