"""The synthetic prior: random tables of many kinds, on which the Parameter Generator is meta-trained.

numpy alone; the same seed gives the same bits.
"""

from modelgpt_edge.training.priors.draw import draw_table
from modelgpt_edge.training.priors.sizes import Sizes, draw_sizes
from modelgpt_edge.training.priors.table import Drawn

__all__ = ["Drawn", "Sizes", "draw_sizes", "draw_table"]
