"""Text models compiled: encoder and head in one graph, from token ids to probabilities."""
