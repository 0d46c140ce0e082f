"""XGBoost as a practitioner would tune it: 30 random trials, 3-fold cross-validation, early stopping, one refit.

Trees per trial are found by early stopping on the held-out fold (which favours the peer over a fixed grid), the trial by its
mean held-out loss; the final model takes the mean number of trees of the three folds.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xgboost

TRIALS, FOLDS, MOST_TREES, PATIENCE = 30, 3, 300, 15


@dataclass(frozen=True)
class TunedXGBoost:
    """The refitted booster, with the call of scikit-learn's estimators."""

    booster: xgboost.Booster

    def predict_proba(self, x: np.ndarray) -> np.ndarray:
        """Probabilities (N, K)."""
        p = self.booster.predict(xgboost.DMatrix(x, nthread=1))
        return np.stack([1 - p, p], axis=1) if p.ndim == 1 else p

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Values (N,) of a regression."""
        return self.booster.predict(xgboost.DMatrix(x, nthread=1))


def tune_xgboost(x: np.ndarray, y: np.ndarray, classes: int, seed: int, threads: int = 1) -> TunedXGBoost:
    """Tune on encoded rows (N, D) with NaN in gaps; `classes` is 0 for regression."""
    rng = np.random.default_rng([seed, 30])
    fixed = {**_objective(classes), "nthread": threads, "seed": seed, "verbosity": 0}
    folds = [
        (xgboost.DMatrix(x[~held], y[~held], nthread=threads), xgboost.DMatrix(x[held], y[held], nthread=threads))
        for held in _folds(y, classes, rng)
    ]
    best_loss, best, trees = np.inf, {}, 1
    for _ in range(TRIALS):
        trial = {**fixed, **_draw(rng)}
        losses, rounds = [], []
        for train, held in folds:
            booster = xgboost.train(
                trial, train, MOST_TREES, evals=[(held, "held")], early_stopping_rounds=PATIENCE, verbose_eval=False
            )
            losses.append(booster.best_score)
            rounds.append(booster.best_iteration + 1)
        if np.mean(losses) < best_loss:
            best_loss, best, trees = float(np.mean(losses)), trial, round(float(np.mean(rounds)))
    return TunedXGBoost(xgboost.train(best, xgboost.DMatrix(x, y, nthread=threads), trees))


def _objective(classes: int) -> dict[str, object]:
    if classes == 0:
        return {"objective": "reg:squarederror", "eval_metric": "rmse"}
    if classes == 2:
        return {"objective": "binary:logistic", "eval_metric": "logloss"}
    return {"objective": "multi:softprob", "eval_metric": "mlogloss", "num_class": classes}


def _draw(rng: np.random.Generator) -> dict[str, object]:
    def log_uniform(low: float, high: float) -> float:
        return float(np.exp(rng.uniform(np.log(low), np.log(high))))

    return {
        "learning_rate": log_uniform(0.03, 0.3),
        "max_depth": int(rng.integers(2, 9)),
        "min_child_weight": log_uniform(0.3, 20),
        "subsample": float(rng.uniform(0.5, 1)),
        "colsample_bytree": float(rng.uniform(0.3, 1)),
        "lambda": log_uniform(0.1, 20),
        "gamma": log_uniform(1e-3, 3),
    }


def _folds(y: np.ndarray, classes: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Masks (N,) of the held-out rows of each fold; for classification each class is dealt out in turn."""
    fold = np.empty(len(y), int)
    order = rng.permutation(len(y))
    if classes:
        order = order[np.argsort(y[order], kind="stable")]
    fold[order] = np.arange(len(y)) % FOLDS
    return [fold == f for f in range(FOLDS)]
