"""What is done to pictures before the trunk learns from them, so that it does well on grey, drawn and inverted ones.

Pictures are (N, 3, 32, 32) floats from 0 to 1 here. All that is random comes from one generator, in one order.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch  # noqa: TID251 - what is trained is a torch model
from torch import Tensor  # noqa: TID251
from torch.nn import functional  # noqa: TID251

GREY = torch.tensor([0.299, 0.587, 0.114])[None, :, None, None]
# Shares of photographs that turn grey, that become drawings of their edges, and that lose a square.
TURNS_GREY, BECOMES_EDGES, LOSES = 0.3, 0.12, 0.3
HOLE = 9
# Shares of all pictures whose detail is lost, and that are noisy; of drawn ones that are coloured.
COARSE, NOISY, COLOURED = 0.15, 0.2, 0.3
COARSEST = 8


@dataclass(frozen=True)
class Moves:
    """How far pictures are moved, at most.

    Attributes:
        closer, farther: natural logarithms of the zoom; turn: radians; shift: shares of half a side.
        stretch: logarithm of the change of proportions; slant: of the height.
        mirrored: whether half of them are; beyond: what lies beyond the edge, in torch's words.
    """

    closer: float
    farther: float
    turn: float
    shift: float
    stretch: float
    slant: float
    mirrored: bool
    beyond: str


PHOTOGRAPHS = Moves(0.35, 0.15, 0.25, 0.15, 0.15, 0.1, True, "reflection")
DRAWN = Moves(0.15, 0.25, 0.2, 0.1, 0.15, 0.12, False, "zeros")


class Augment:
    """Changes pictures at random; the same generator gives the same changes."""

    def __init__(self, generator: torch.Generator) -> None:
        self._generator = generator

    def photographs(self, levels: Tensor) -> Tensor:
        """Photographs (N, 32, 32, 3) uint8 as pictures to learn from."""
        return self._holed(self._tinted(self._moved(_unit(levels), PHOTOGRAPHS)))

    def drawn(self, levels: Tensor) -> Tensor:
        """Drawn pictures (N, 32, 32) uint8 as pictures to learn from."""
        made = self._moved(_unit(levels[..., None]).expand(-1, 3, -1, -1), DRAWN)
        made = self._lit(made, inverted=0.3)
        ink, paper = (self._uniform(len(made), 0, 1, 3)[:, :, None, None] for _ in range(2))
        coloured = made * ink + (1 - made) * paper
        return self._worn(torch.where(self._coin(len(made), COLOURED), coloured, made))

    def _moved(self, pictures: Tensor, moves: Moves) -> Tensor:
        """Mirrored, zoomed, stretched, turned, slanted and shifted."""
        count = len(pictures)
        zoom = torch.exp(self._uniform(count, -moves.closer, moves.farther))
        stretch = torch.exp(self._uniform(count, -moves.stretch, moves.stretch))
        turn, slant = self._uniform(count, -moves.turn, moves.turn), self._uniform(count, -moves.slant, moves.slant)
        across, down = self._uniform(count, -moves.shift, moves.shift, 2).T
        side = 1 - 2 * (self._uniform(count, 0, 1) < 0.5 * moves.mirrored).float()
        cosine, sine = torch.cos(turn) * zoom, torch.sin(turn) * zoom
        first = torch.stack([side * cosine * stretch, -sine + slant, across], 1)
        second = torch.stack([side * sine, cosine / stretch, down], 1)
        grid = functional.affine_grid(torch.stack([first, second], 1), list(pictures.shape), align_corners=False)
        return functional.grid_sample(pictures, grid, padding_mode=moves.beyond, align_corners=False)

    def _tinted(self, pictures: Tensor) -> Tensor:
        """Some grey, some reduced to their edges, all others of another tint; then lit and worn."""
        count = len(pictures)
        grey = (pictures * GREY).sum(1, keepdim=True)
        wide = functional.pad(grey, (1, 1, 1, 1), mode="replicate")
        across = (wide[:, :, 1:-1, 2:] - wide[:, :, 1:-1, :-2]).abs()
        edges = (across + (wide[:, :, 2:, 1:-1] - wide[:, :, :-2, 1:-1]).abs()).clamp(0, 1)
        as_edges, as_grey = self._coin(count, BECOMES_EDGES), self._coin(count, TURNS_GREY)
        tint = torch.exp(0.15 * self._normal(count, 3, 1, 1))
        made = torch.where(as_edges, edges, torch.where(as_grey, grey, pictures))
        made = made * torch.where(as_edges | as_grey, tint[:, :1], tint)
        return self._worn(self._lit(made, inverted=0.2))

    def _lit(self, pictures: Tensor, inverted: float) -> Tensor:
        """Of another contrast and brightness, a share of them inverted."""
        count = len(pictures)
        mean = pictures.mean((1, 2, 3), keepdim=True)
        contrast, light = torch.exp(self._uniform(count, -0.5, 0.4)), self._uniform(count, -0.15, 0.15)
        made = ((pictures - mean) * contrast[:, None, None, None] + mean + light[:, None, None, None]).clamp(0, 1)
        return torch.where(self._coin(count, inverted), 1 - made, made)

    def _worn(self, pictures: Tensor) -> Tensor:
        """Some coarse, some noisy."""
        count, side = len(pictures), pictures.shape[-1]
        coarse = int(torch.randint(COARSEST, side // 2 + 1, (1,), generator=self._generator))
        small = functional.interpolate(pictures, size=(coarse, coarse), mode="area")
        back = functional.interpolate(small, size=(side, side), mode="bilinear", align_corners=False)
        made = torch.where(self._coin(count, COARSE), back, pictures)
        noise = self._uniform(count, 0, 0.08)[:, None, None, None] * self._normal(*pictures.shape)
        return torch.where(self._coin(count, NOISY), made + noise, made).clamp(0, 1)

    def _holed(self, pictures: Tensor) -> Tensor:
        """Some with a grey square in them (DeVries and Taylor 2017)."""
        count, side = len(pictures), pictures.shape[-1]
        places = torch.arange(side)
        rows, columns = torch.randint(0, side, (2, count, 1), generator=self._generator)
        inside = ((places - rows).abs() <= HOLE // 2)[:, None, :, None] & ((places - columns).abs() <= HOLE // 2)[:, None, None]
        return torch.where(inside & self._coin(count, LOSES), torch.tensor(0.5), pictures)

    def _coin(self, count: int, odds: float) -> Tensor:
        """(N, 1, 1, 1) whether."""
        return (torch.rand(count, generator=self._generator) < odds)[:, None, None, None]

    def _uniform(self, count: int, low: float, high: float, *more: int) -> Tensor:
        return torch.rand(count, *more, generator=self._generator) * (high - low) + low

    def _normal(self, *shape: int) -> Tensor:
        return torch.randn(*shape, generator=self._generator)


def _unit(levels: Tensor) -> Tensor:
    """(N, H, W, channels) uint8 as (N, channels, H, W) from 0 to 1."""
    return levels.permute(0, 3, 1, 2).float() / 255
