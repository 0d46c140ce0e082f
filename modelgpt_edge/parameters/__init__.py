"""Parameter Generator: emits the weights of a child for a table, by closed-form and convex solves alone."""
