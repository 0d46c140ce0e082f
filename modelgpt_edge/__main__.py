"""``python -m modelgpt_edge``."""

from modelgpt_edge.cli import main

main()
