"""The hypernetwork as a service, and its client: requests over HTTP, gathered into batches, emitted in worker processes."""
