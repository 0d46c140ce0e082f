"""modelgpt-edge."""
