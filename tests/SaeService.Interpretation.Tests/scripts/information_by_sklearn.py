"""Held-out linear V-information by scikit-learn, for the tests: an independent optimum of the same objective.

usage: information_by_sklearn.py FOLDER
FOLDER holds meta.json {"dimension": d, "lambda": l} and, for train and test, X.f32 [n, d] (as captured, not standardised) and y.i32 [n].
Prints one JSON object. Every test label must occur on train.
"""
import json
import os
import sys

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.preprocessing import StandardScaler

folder = sys.argv[1]
meta = json.load(open(os.path.join(folder, "meta.json")))


def read(part):
    x = np.fromfile(os.path.join(folder, part + ".X.f32"), dtype="<f4").reshape(-1, meta["dimension"]).astype(np.float64)
    return x, np.fromfile(os.path.join(folder, part + ".y.i32"), dtype="<i4")


x, y = read("train")
xt, yt = read("test")
scale = StandardScaler().fit(x)
x, xt = scale.transform(x), scale.transform(xt)
probe = LogisticRegression(C=1 / (len(y) * meta["lambda"]), tol=1e-6, max_iter=5000).fit(x, y)
if len(probe.classes_) == 2:
    raise SystemExit("two classes: scikit-learn fits one weight vector there, another penalty")


def code(x, y):
    p = probe.predict_proba(x)[np.arange(len(y)), np.searchsorted(probe.classes_, y)]
    return -np.log(np.maximum(p, 1e-6))


share = dict(zip(*np.unique(y, return_counts=True)))
marginal = np.mean([-np.log2(share[c] / len(y)) for c in yt])
conditional = code(xt, yt).mean() / np.log(2)
print(json.dumps({
    "objective": code(x, y).mean() + meta["lambda"] / 2 * float((probe.coef_ ** 2).sum()),
    "marginalBits": marginal,
    "informationBits": marginal - conditional,
    "accuracy": float(np.mean(probe.predict(xt) == yt)),
    "macroF1": f1_score(yt, probe.predict(xt), labels=np.unique(yt), average="macro"),
}))
