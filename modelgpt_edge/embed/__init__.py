"""Small apps around a package's model, in the language of whoever embeds it: files to read, compile and go on from."""
