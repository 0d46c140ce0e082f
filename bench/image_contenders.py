"""The contenders of bench/images.py, each a function from a few labelled pictures to what scores others.

Opening a backbone, embedding and fitting all happen inside, so that a clock around the call holds them; imports come before it.
Those on the frozen backbone start from the same weights as the fine-tuned one; those for microcontrollers see 32 x 32.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from image_task import UNLABELLED, Asked, Fit, Task, open_backbone, open_template
from image_tuning import Tuned, tune_head, tune_whole
from picture_heads import logistic, untrained

if TYPE_CHECKING:
    from modelgpt_edge.architecture.image.template import PictureTemplate
    from modelgpt_edge.parameters.image.generate import PicturesGenerated

TINY_SIZE = 32
# Sets whose pictures mean something else in a mirror.
WRITTEN = ("mnist", "digits")


@dataclass(frozen=True)
class ImageContender:
    """A contender.

    Attributes:
        key: its name on the command line; title: in tables.
        needs: modules that must import; distributions: packages whose versions its results record.
        words: it can start from names of classes alone.
        slow: minutes a fit, so that --slow-seeds, --slow-shots and --slow-size hold for it.
        tiny: it sees 32 x 32, whatever --size says.
    """

    key: str
    title: str
    fit: Callable[[Task], Fit]
    needs: tuple[str, ...]
    distributions: tuple[str, ...]
    words: bool = False
    slow: bool = False
    tiny: bool = False

    def why_not(self, shots: int) -> str | None:
        """Why it can't learn such a task; None if it can."""
        return None if shots or self.words else "needs pictures"


def _joined(parts: Iterable[tuple[np.ndarray, ...]]) -> tuple[np.ndarray, ...]:
    """Channels of batches as those of all."""
    return tuple(map(np.concatenate, zip(*parts)))


def _ours(task: Task) -> Fit:
    return _chosen(task, None)


def _unlabelled(task: Task) -> Fit:
    return _chosen(task, task.apart)


def _chosen(task: Task, apart: np.ndarray | None) -> Fit:
    """On the backbone, or on the tiny trunk where held-out pictures clearly favour that, as a build without limits has it."""
    from modelgpt_edge.architecture.image.template import TrunkTemplate
    from modelgpt_edge.parameters.image.choosing import CLEAR, clearly_better
    from modelgpt_edge.parameters.text.judging import typical

    clear = typical(np.bincount(task.labels)) >= CLEAR
    templates: list[PictureTemplate] = [open_template(task.size), *([TrunkTemplate.shipped()] if clear else [])]
    made = [_generated(task, template, apart) for template in templates]
    place = clearly_better([one.row_losses for one in made])
    return _fit(task, templates[place], made[place])


def _tiny(trained: bool) -> Callable[[Task], Fit]:
    def fit(task: Task) -> Fit:
        from modelgpt_edge.architecture.image.template import TrunkTemplate
        from modelgpt_edge.architecture.image.trunk import Trunk

        trunk = Trunk.shipped()
        template = TrunkTemplate((trunk if trained else untrained(trunk)).with_colours())
        return _fit(task, template, _generated(task, template, None))

    return fit


def _generated(task: Task, template: PictureTemplate, apart: np.ndarray | None) -> PicturesGenerated:
    """What `build` does on a template between reading its request and compiling."""
    from modelgpt_edge.parameters.image.generate import generate_pictures
    from modelgpt_edge.parameters.image.space import Traits

    classes = task.found.classes
    prior = None if template.classifier is None else _names(classes, template.classifier)
    channels = template.channels(task.found.at(template.size, task.learnt))
    around = None if apart is None else template.channels(task.found.at(template.size, apart))
    traits = Traits.of(template)
    return generate_pictures(channels, task.labels, prior, len(classes), task.seed, around=around, traits=traits)


def _fit(task: Task, template: PictureTemplate, made: PicturesGenerated) -> Fit:
    def scores(asked: Asked) -> np.ndarray:
        seen = asked.channels if template.kind == "backbone" else _joined(map(template.channels, asked.batches(template.size)))
        return made.head.logits(made.space.of(seen))

    facts = {"generator": made.generator, "template": template.kind}
    return Fit(scores, facts, lambda asked: _in_int8(made, template, task, asked))


def _names(classes: tuple[str, ...], classifier: np.ndarray) -> np.ndarray:
    """The head that names alone give, by the sentence encoder opened afresh."""
    from modelgpt_edge.architecture.text.encoder import TextEncoder
    from modelgpt_edge.architecture.text.files import find_encoder
    from modelgpt_edge.parameters.image.prior import ImagenetNames, picture_prior

    return picture_prior(ImagenetNames.shipped(), TextEncoder.of(find_encoder()), classes, {}, classifier)


def _in_int8(made: PicturesGenerated, template: PictureTemplate, task: Task, asked: Asked) -> np.ndarray:
    """Probabilities of a package's int8 graph, calibrated on what was learnt from, or on samples where there was nothing."""
    from modelgpt_edge.architecture.image.samples import sample_pictures
    from modelgpt_edge.compile.image.source import PictureSource
    from modelgpt_edge.targets.onnxruntime import executor_of, open_session

    given = task.found.at(template.size, task.learnt) if len(task.learnt) else sample_pictures(template.size)
    pictures = np.random.default_rng(task.seed).permutation(given)
    source = PictureSource(template, made.space, made.head, task.found.classes, pictures, False, "bench")
    executor = executor_of(open_session(source.onnx("pixels", "int8"), task.threads))
    return np.concatenate([executor.run(np.zeros((len(part), 0), np.float32), part) for part in asked.batches(template.size)])


def _last_layer(task: Task) -> np.ndarray:
    """Features (N, D) of the pictures that are learnt from."""
    return open_backbone().channels(task.pictures())[0]


def _logistic(task: Task) -> Fit:
    weight, bias = _by_one_thread(_last_layer(task), task.labels)
    return Fit(lambda asked: asked.channels[0] @ weight + bias)


def _by_one_thread(values: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Logistic regression as `logistic` has it; on few rows more threads of BLAS cost CPU time and win none."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1, "blas"):
        return logistic(values, labels)


def _prototypes(task: Task) -> Fit:
    """Cosine to the mean of each class, of features less their mean, each of length one (Wang et al. 2019, CL2N)."""
    features, labels = _last_layer(task), task.labels
    middle = features.mean(0)
    away = _unit(features - middle)
    means = _unit(np.stack([away[labels == k].mean(0) for k in range(len(task.found.classes))]))
    return Fit(lambda asked: _unit(asked.channels[0] - middle) @ means.T)


def _unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)


def _head(task: Task) -> Fit:
    tuned = tune_head(_last_layer(task), task.labels, len(task.found.classes), task.seed, task.threads)
    return Fit(lambda asked: tuned.scores(asked.channels[0]), _told(tuned))


def _full(task: Task) -> Fit:
    weights, mirror = open_backbone().weights, task.found.name not in WRITTEN
    tuned = tune_whole(task.pictures(), task.labels, len(task.found.classes), task.seed, task.threads, weights, mirror)
    return Fit(lambda asked: np.concatenate([tuned.scores(part) for part in asked.batches()]), _told(tuned))


def _told(tuned: Tuned) -> dict[str, Any]:
    return {"rate": tuned.rate, "epochs": tuned.epochs, "last_cpu_seconds": tuned.cpu_seconds}


def _pixels(task: Task) -> Fit:
    """Bare levels, one of each three where the set is grey."""
    kept = slice(0, 1) if task.found.grey else slice(None)

    def flat(pictures: np.ndarray) -> np.ndarray:
        return pictures[..., kept].reshape(len(pictures), -1).astype(np.float32) / 255

    weight, bias = _by_one_thread(flat(task.pictures()), task.labels)
    return Fit(lambda asked: np.concatenate([flat(part) for part in asked.batches()]) @ weight + bias)


OWN = (), ("modelgpt-edge", "onnxruntime")
SKLEARN = ("sklearn",), ("scikit-learn", "onnxruntime")
TUNED = ("torch", "efficientnet_lite_pytorch"), ("torch", "efficientnet-lite-pytorch")
OURS = ImageContender("ours", "modelgpt-edge", _ours, *OWN, words=True)
FULL = ImageContender("full", "fine-tuning, all weights", _full, *TUNED, slow=True)
CONTENDERS = (
    OURS,
    ImageContender("unlabelled", f"modelgpt-edge, {UNLABELLED} unlabelled pictures", _unlabelled, *OWN, words=True),
    ImageContender("logistic", "frozen backbone + logistic regression", _logistic, *SKLEARN),
    ImageContender("prototypes", "frozen backbone + class means", _prototypes, *OWN),
    ImageContender("head", "frozen backbone + AdamW on the head", _head, ("torch",), ("torch", "onnxruntime")),
    FULL,
    ImageContender("trunk", "modelgpt-edge, tiny trunk", _tiny(True), *OWN, tiny=True),
    ImageContender("pixels", "pixels of 32 x 32 + logistic regression", _pixels, ("sklearn",), ("scikit-learn",), tiny=True),
    ImageContender("random", "modelgpt-edge on the untrained tiny trunk", _tiny(False), *OWN, tiny=True),
)
