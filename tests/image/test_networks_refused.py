"""Files that are no networks from pictures to features: each is refused by what is wrong with it, and named."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from modelgpt_edge.architecture.image import feature_graph
from modelgpt_edge.architecture.image.networks import find_network
from modelgpt_edge.errors import InputError
from tests.image.networks import SIDE, Net, exported, model_of, value

FEATURES = ["features"]


def node(op, *inputs, **attributes):
    return helper.make_node(op, list(inputs), FEATURES, **attributes)


POOL = node("GlobalAveragePool", "pictures")


def taking(*inputs, by=POOL):
    return model_of([by], inputs=list(inputs))


def reshaped(*sizes):
    shape = numpy_helper.from_array(np.array(sizes), "shape")
    declared = value("features", sizes=[f"free{place}" for place in range(len(sizes))])
    return model_of([node("Reshape", "pictures", "shape")], [shape], outputs=[declared])


def two_outputs():
    other = helper.make_node("GlobalMaxPool", ["pictures"], ["more"])
    return model_of([POOL, other], outputs=[value(name, sizes=("N", 3, 1, 1)) for name in ("features", "more")])


def centred_on_the_batch():
    mean = helper.make_node("ReduceMean", ["pictures"], ["mean"], axes=[0])
    return model_of([mean, node("Sub", "pictures", "mean")])


REFUSED = {
    "words": (lambda: b"these are words, no network", "no ONNX model"),
    "nothing": (lambda: b"", "no ONNX model"),
    "cut short": (lambda: exported(Net())[:700], "no ONNX model"),
    "two inputs": (lambda: taking(value("pictures"), value("more"), by=node("Add", "pictures", "more")), "one input"),
    "texts": (
        lambda: taking(value("pictures", TensorProto.INT64, ("N", "T")), by=node("Cast", "pictures", to=TensorProto.FLOAT)),
        r"no picture \(seen: \"pictures: int64 \['N', 'T'\]\"\)",
    ),
    "bytes": (
        lambda: taking(value("pictures", TensorProto.UINT8), by=node("Cast", "pictures", to=TensorProto.FLOAT)),
        "no picture",
    ),
    "grey": (lambda: taking(value("pictures", sizes=("N", 1, 32, 32))), "no picture"),
    "free size": (lambda: taking(value("pictures", sizes=("N", 3, "H", "W"))), "which size"),
    "oblong": (lambda: taking(value("pictures", sizes=("N", 3, 32, 48))), "squares"),
    "NaN": (lambda: model_of([node("Sqrt", "pictures")]), "NaN or infinite"),
    "two outputs": (two_outputs, "one output .* must be features"),
    "tokens": (lambda: reshaped(0, 3, -1), "one output .* must be features"),
    "a batch of one": (lambda: reshaped(1, 3 * SIDE * SIDE), "one picture at a time"),
    "centred on the batch": (centred_on_the_batch, "of two pictures than of each"),
}


@pytest.fixture
def refused(tmp_path):
    """The error of a file's content."""

    def run(content):
        path = tmp_path / "given.onnx"
        path.write_bytes(content)
        with pytest.raises(InputError) as error:
            _ = find_network(str(path), None).rooted
        assert error.value.cure
        return path, error.value

    return run


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_such_network_is_refused(refused, case):
    make, said = REFUSED[case]
    path, error = refused(make())
    with pytest.raises(InputError, match=said):
        raise error
    assert str(path) in str(error)


def test_operators_of_one_runtime_are_refused(refused):
    model = onnx.load_model_from_string(exported(Net()))
    model.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    model.graph.node.append(helper.make_node("FastGelu", [model.graph.node[0].output[0]], ["more"], domain="com.microsoft"))
    assert "operators that ONNX doesn't define" in str(refused(model.SerializeToString())[1])


def test_weights_in_another_file_are_refused(tmp_path):
    model = onnx.load_model_from_string(exported(Net()))
    onnx.save(model, tmp_path / "out.onnx", save_as_external_data=True, size_threshold=0, location="out.data")
    assert (tmp_path / "out.data").is_file()
    with pytest.raises(InputError, match="lie in another file"):
        find_network(str(tmp_path / "out.onnx"), None)


def test_a_huge_file_is_refused_unread(tmp_path):
    path = tmp_path / "huge.onnx"
    path.touch()
    with path.open("r+b") as file:
        file.truncate(feature_graph.MOST_BYTES + 1)
    with pytest.raises(InputError, match="too large"):
        find_network(str(path), None)


def test_a_network_that_sees_nothing_is_refused(refused):
    zero = numpy_helper.from_array(np.zeros(1, np.float32), "zero")
    nothing = helper.make_node("Mul", ["pictures", "zero"], ["nothing"])
    assert "same of every picture" in str(refused(model_of([nothing, node("GlobalAveragePool", "nothing")], [zero]))[1])
