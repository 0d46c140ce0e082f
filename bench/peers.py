"""The peers, each a small function from raw training columns to a fitted model, with the preprocessing that suits it.

Defaults are the libraries' own; what is set is threads, seed, silence, and iterations enough to converge. A peer's library is
imported inside its function: one that is missing leaves the others running.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from contender import Contender, Fitted
from datasets import without
from encoding import Encoding, Raw

CLASSIFICATION, REGRESSION = "classification", "regression"


@dataclass(frozen=True)
class Task:
    """What a peer is fitted on: an encoding of the training columns, the view it asks for, and the targets.

    Attributes:
        y: class numbers (N,) int, or values (N,) float for regression.
        classes: class names; empty for regression.
    """

    encoding: Encoding
    columns: Raw
    y: np.ndarray
    classes: tuple[str, ...]
    seed: int
    threads: int

    @property
    def regression(self) -> bool:
        return not self.classes

    def view(self, name: str) -> Any:
        return getattr(self.encoding, name)(self.columns)


@dataclass(frozen=True)
class Model:
    """An estimator with the view of the raw rows that it was fitted on."""

    encoding: Encoding
    view: str
    estimator: Any
    classes: tuple[str, ...]

    def outputs(self, rows: Raw) -> np.ndarray:
        """Probabilities (N, K), or values (N, 1)."""
        x = getattr(self.encoding, self.view)(rows)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="X does not have valid feature names")
            if self.classes:
                return np.asarray(self.estimator.predict_proba(x))
            return np.asarray(self.estimator.predict(x)).reshape(-1, 1)


def _majority(task: Task) -> tuple[str, Any]:
    from sklearn.dummy import DummyClassifier, DummyRegressor

    estimator = DummyRegressor() if task.regression else DummyClassifier(strategy="prior")
    return "standardised", estimator.fit(task.view("standardised"), task.y)


def _linear(task: Task) -> tuple[str, Any]:
    from sklearn.linear_model import LogisticRegression, RidgeCV

    estimator = RidgeCV(alphas=np.logspace(-3, 4, 22)) if task.regression else LogisticRegression(max_iter=2000)
    return "standardised", estimator.fit(task.view("standardised"), task.y)


def _forest(task: Task) -> tuple[str, Any]:
    from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

    kind = RandomForestRegressor if task.regression else RandomForestClassifier
    estimator = kind(n_estimators=200, random_state=task.seed, n_jobs=task.threads)
    return "standardised", estimator.fit(task.view("standardised"), task.y)


def _histgb(task: Task) -> tuple[str, Any]:
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    kind = HistGradientBoostingRegressor if task.regression else HistGradientBoostingClassifier
    estimator = kind(random_state=task.seed, categorical_features=task.encoding.native_categories or None)
    return "native", estimator.fit(task.view("native"), task.y)


def _lightgbm(task: Task) -> tuple[str, Any]:
    import lightgbm

    kind = lightgbm.LGBMRegressor if task.regression else lightgbm.LGBMClassifier
    estimator = kind(random_state=task.seed, n_jobs=task.threads, verbosity=-1)
    return "native", estimator.fit(task.view("native"), task.y, categorical_feature=task.encoding.native_categories)


def _xgboost(task: Task) -> tuple[str, Any]:
    import xgboost

    kind = xgboost.XGBRegressor if task.regression else xgboost.XGBClassifier
    return "gaps_kept", kind(random_state=task.seed, n_jobs=task.threads).fit(task.view("gaps_kept"), task.y)


def _xgboost_tuned(task: Task) -> tuple[str, Any]:
    from tuned_xgboost import tune_xgboost

    return "gaps_kept", tune_xgboost(task.view("gaps_kept"), task.y, len(task.classes), task.seed, task.threads)


def _catboost(task: Task) -> tuple[str, Any]:
    import catboost

    kind = catboost.CatBoostRegressor if task.regression else catboost.CatBoostClassifier
    estimator = kind(random_seed=task.seed, thread_count=task.threads, verbose=False, allow_writing_files=False)
    return "frame", estimator.fit(task.view("frame"), task.y, cat_features=list(task.encoding.words))


def _mlp(task: Task) -> tuple[str, Any]:
    from sklearn.compose import TransformedTargetRegressor
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPClassifier, MLPRegressor
    from sklearn.preprocessing import StandardScaler

    if task.regression:  # values of a few thousand would never be reached at its learning rate
        estimator = TransformedTargetRegressor(MLPRegressor(random_state=task.seed), transformer=StandardScaler())
    else:
        estimator = MLPClassifier(random_state=task.seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # its default is 200 epochs, and the default is what is compared
        return "standardised", estimator.fit(task.view("standardised"), task.y)


def _seed_child(task: Task) -> tuple[str, Any]:
    from seed_child import train_seed_child

    return "standardised", train_seed_child(task.view("standardised"), task.y, len(task.classes), task.seed)


def fit_peer(key: str, columns: Raw, labels: Sequence, kind: str, seed: int, threads: int = 1) -> Fitted:
    """Fit the peer named `key` on raw columns and labels, timed from the raw columns on.

    Its size is that of its pickle: encoder and estimator, all that would have to be kept to predict.
    """
    import pickle  # noqa: TID251 - only the length of the bytes is used; nothing is ever read back

    start = time.perf_counter()
    encoding = Encoding.fit(columns)
    if kind == REGRESSION:
        classes, y = (), np.array([float(v) for v in labels], np.float32)
    else:
        names, y = np.unique(np.array([str(v) for v in labels]), return_inverse=True)
        classes = tuple(names.tolist())
    view, estimator = ESTIMATORS[key](Task(encoding, columns, y, classes, seed, threads))
    model = Model(encoding, view, estimator, classes)
    seconds = time.perf_counter() - start
    return Fitted(model.outputs, classes, len(pickle.dumps(model)), seconds)


ESTIMATORS = {
    "majority": _majority,
    "linear": _linear,
    "forest": _forest,
    "histgb": _histgb,
    "lightgbm": _lightgbm,
    "xgboost": _xgboost,
    "xgboost-tuned": _xgboost_tuned,
    "catboost": _catboost,
    "mlp": _mlp,
    "seed-child": _seed_child,
}


def _fit(key: str, train: dict[str, list], label: str, kind: str, seed: int) -> Fitted:
    return fit_peer(key, without(train, label), train[label], kind, seed)


def _peer(key: str, title: str, kinds: tuple[str, ...], **libraries: str) -> Contender:
    """`libraries` are the modules a peer needs and the distributions that bring them."""
    return Contender(key, title, tuple(libraries), ("numpy", *libraries.values()), kinds, partial(_fit, key))


CLASSES, VALUES = (CLASSIFICATION,), (REGRESSION,)
BOTH = CLASSES + VALUES
PEERS = (
    _peer("majority", "majority class", CLASSES, sklearn="scikit-learn"),
    _peer("majority", "mean", VALUES, sklearn="scikit-learn"),
    _peer("linear", "logistic regression", CLASSES, sklearn="scikit-learn"),
    _peer("linear", "ridge", VALUES, sklearn="scikit-learn"),
    _peer("forest", "random forest, 200 trees", BOTH, sklearn="scikit-learn"),
    _peer("histgb", "HistGradientBoosting", BOTH, sklearn="scikit-learn"),
    _peer("lightgbm", "LightGBM", BOTH, lightgbm="lightgbm", sklearn="scikit-learn"),
    _peer("xgboost", "XGBoost", BOTH, xgboost="xgboost-cpu", sklearn="scikit-learn"),
    _peer("xgboost-tuned", "XGBoost tuned, 30 trials", BOTH, xgboost="xgboost-cpu"),
    _peer("catboost", "CatBoost", BOTH, catboost="catboost", pandas="pandas"),
    _peer("mlp", "MLP, Adam", BOTH, sklearn="scikit-learn"),
    _peer("seed-child", "ModelGPT's child, trained", CLASSES, torch="torch"),
)
