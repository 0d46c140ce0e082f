"""Models of pictures compiled: backbone and head in one graph, from pixels to probabilities."""
