"""Networks in ONNX that tests make: exported from torch, or node by node."""

from __future__ import annotations

import torch  # noqa: TID251 - what networks are exported from
from onnx import TensorProto, helper
from torch import nn  # noqa: TID251

SIDE, WIDTH = 32, 24


class Net(nn.Module):
    """A small network whose features may be negative, or not where it ends in ReLU."""

    def __init__(self, pooled: bool = True, negative: bool = True) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.body = nn.Sequential(
            nn.Conv2d(3, 12, 3, 2, 1), nn.BatchNorm2d(12), nn.SiLU(), nn.Conv2d(12, 12, 3, 1, 1, groups=12), nn.ReLU(),
            nn.Conv2d(12, WIDTH, 3, 2, 1), nn.Tanh() if negative else nn.ReLU(),
        )  # fmt: skip
        nn.init.uniform_(self.body[1].running_var, 0.5, 1.5)
        nn.init.normal_(self.body[1].running_mean, 0, 0.2)
        self.pooled = pooled
        self.eval()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        maps = self.body(x)
        return maps.mean((2, 3)) if self.pooled else maps


def exported(net: nn.Module, opset: int = 18, free: bool = True, side: int = SIDE) -> bytes:
    shapes = ({0: torch.export.Dim.DYNAMIC},) if free else None
    program = torch.onnx.export(
        net,
        (torch.zeros(2 if free else 1, 3, side, side),),
        input_names=["pictures"],
        output_names=["features"],
        opset_version=opset,
        dynamic_shapes=shapes,
        verbose=False,
    )
    return program.model_proto.SerializeToString()


def model_of(nodes, weights=(), inputs=None, outputs=None, opset=17) -> bytes:
    """Nodes from ``pictures`` to ``features``, maps where nothing else is said."""
    features = value("features", sizes=("N", "D", "H", "W"))
    graph = helper.make_graph(nodes, "given", inputs or [value("pictures")], outputs or [features], list(weights))
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    return model.SerializeToString()


def value(name, kind=TensorProto.FLOAT, sizes=("N", 3, SIDE, SIDE)):
    return helper.make_tensor_value_info(name, kind, list(sizes))
