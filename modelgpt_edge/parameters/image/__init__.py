"""The Parameter Generator for pictures: names of classes and perhaps pictures of them in, an emitted head out."""
