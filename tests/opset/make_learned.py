#!/usr/bin/env python3
"""Makes tests/opset/learned/: models of scikit-learn, LightGBM and XGBoost as their converters write them, and single nodes of
domain ai.onnx.ml, with inputs and the outputs expected; case_file.py says what a case is.

usage: make_learned.py [FOLDER]     needs onnx, onnxruntime, numpy, scikit-learn, skl2onnx, onnxmltools, lightgbm, xgboost

onnxruntime gives what is expected.
"""
import pathlib
import sys
import warnings

import lightgbm
import numpy as np
import onnx
import onnxmltools
import onnxruntime
import xgboost
from onnx import TensorProto, helper, numpy_helper
from onnxmltools.convert.common.data_types import FloatTensorType
from skl2onnx import to_onnx
from sklearn import (ensemble, linear_model, naive_bayes, neighbors, neural_network, pipeline,
                     preprocessing, svm, tree)
from sklearn.impute import SimpleImputer

from case_file import write_all

warnings.filterwarnings("ignore")
random = np.random.default_rng(5)
cases = {}
FLOAT, DOUBLE, INT64, STRING = (TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.INT64,
                                TensorProto.STRING)
TRAINED = random.standard_normal((300, 5)).astype(np.float32)
TARGET = (TRAINED[:, 0] * TRAINED[:, 1] + TRAINED[:, 2]).astype(np.float32)
TWO, THREE = (TARGET > 0).astype(np.int64), (TARGET > 0).astype(np.int64) + (TARGET > 1)
ROWS = random.standard_normal((9, 5)).astype(np.float32)
GAPS = np.where(random.random(ROWS.shape) < 0.3, np.nan, ROWS).astype(np.float32)


def add(name, model, *inputs):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(model.SerializeToString(), options)
    names = [entry.name for entry in session.get_inputs()]
    model.doc_string = f"expected by onnxruntime {onnxruntime.__version__}"
    assert name not in cases, name
    cases[name] = (model, inputs, session.run(None, dict(zip(names, inputs))))


def node(name, operator, inputs, outputs, version=3, **attributes):
    """A model of one node; outputs: element types."""
    names = [f"x{i}" for i in range(len(inputs))], [f"y{i}" for i in range(len(outputs))]
    made = helper.make_node(operator, *names, domain="ai.onnx.ml", **attributes)
    graph = helper.make_graph(
        [made], name,
        [helper.make_tensor_value_info(n, STRING if a.dtype == object else
                                       helper.np_dtype_to_tensor_dtype(a.dtype), [None] * a.ndim)
         for n, a in zip(names[0], inputs)],
        [helper.make_tensor_value_info(n, t, None) for n, t in zip(names[1], outputs)])
    add(name, helper.make_model(graph, ir_version=8, opset_imports=[
        helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", version)]), *inputs)


def sklearn(name, model, target, rows=ROWS, **options):
    fitted = model.fit(TRAINED, target)
    add(name, to_onnx(fitted, TRAINED[:1].astype(rows.dtype), target_opset={"": 18, "ai.onnx.ml": 3},
                      options=options or None), rows)


def trees_of_scikit_learn():
    small = {"n_estimators": 5, "max_depth": 3, "random_state": 0}
    plain = {"zipmap": False}
    sklearn("forest_regressor", ensemble.RandomForestRegressor(**small), TARGET)
    sklearn("forest_regressor_two", ensemble.RandomForestRegressor(**small),
            np.stack([TARGET, 1 - TARGET], 1))
    sklearn("forest_two", ensemble.RandomForestClassifier(**small), TWO, **plain)
    sklearn("forest_three", ensemble.RandomForestClassifier(**small), THREE, **plain)
    sklearn("forest_double", ensemble.RandomForestClassifier(**small), THREE,
            ROWS.astype(np.float64), **plain)
    sklearn("extra_two", ensemble.ExtraTreesClassifier(**small), TWO, **plain)
    sklearn("boosting_regressor", ensemble.GradientBoostingRegressor(**small), TARGET)
    sklearn("boosting_two", ensemble.GradientBoostingClassifier(**small), TWO, **plain)
    sklearn("boosting_three", ensemble.GradientBoostingClassifier(**small), THREE, **plain)
    sklearn("tree_three", tree.DecisionTreeClassifier(max_depth=4), THREE, **plain)
    sklearn("ada_regressor", ensemble.AdaBoostRegressor(n_estimators=3, random_state=0), TARGET)
    sklearn("bagging_two", ensemble.BaggingClassifier(tree.DecisionTreeClassifier(max_depth=3),
                                                      n_estimators=3, random_state=0), TWO, **plain)


def trees_of_others():
    kind = [("x", FloatTensorType([None, 5]))]
    small = {"n_estimators": 4, "max_depth": 3}
    for name, model, target in [
            ("lightgbm_regressor", lightgbm.LGBMRegressor(verbose=-1, **small), TARGET),
            ("lightgbm_two", lightgbm.LGBMClassifier(verbose=-1, **small), TWO),
            ("lightgbm_three", lightgbm.LGBMClassifier(verbose=-1, **small), THREE)]:
        add(name, onnxmltools.convert_lightgbm(model.fit(TRAINED, target), initial_types=kind,
                                               zipmap=False, target_opset=15), GAPS)
    for name, model, target in [
            ("xgboost_regressor", xgboost.XGBRegressor(**small), TARGET),
            ("xgboost_two", xgboost.XGBClassifier(**small), TWO),
            ("xgboost_three", xgboost.XGBClassifier(**small), THREE),
            ("xgboost_poisson", xgboost.XGBRegressor(objective="count:poisson", **small), THREE)]:
        add(name, onnxmltools.convert_xgboost(model.fit(TRAINED, target), initial_types=kind,
                                              target_opset=15), GAPS)


def lines_and_preparation():
    plain = {"zipmap": False}
    sklearn("linear_regression", linear_model.LinearRegression(), np.stack([TARGET, 1 - TARGET], 1))
    sklearn("ridge", linear_model.Ridge(), TARGET)
    sklearn("logistic_two", linear_model.LogisticRegression(), TWO, **plain)
    sklearn("logistic_three", linear_model.LogisticRegression(), THREE, **plain)
    sklearn("scaled_logistic", pipeline.make_pipeline(
        SimpleImputer(), preprocessing.StandardScaler(), preprocessing.Normalizer("l1"),
        linear_model.LogisticRegression()), TWO, GAPS, **plain)
    sklearn("min_max", preprocessing.MinMaxScaler(), TARGET)
    sklearn("binarizer", preprocessing.Binarizer(threshold=0.25), TARGET)
    whole = random.integers(0, 4, (30, 2))
    add("one_hot_integers", to_onnx(preprocessing.OneHotEncoder(
        handle_unknown="ignore", sparse_output=False).fit(whole), whole[:1],
        target_opset={"": 18, "ai.onnx.ml": 3}), np.array([[1, 2], [3, 9], [0, 0]]))


BRANCH = {"nodes_treeids": [0] * 5 + [1] * 3, "nodes_nodeids": [0, 1, 2, 3, 4, 0, 1, 2],
          "nodes_featureids": [1, 0, 0, 0, 0, 2, 0, 0],
          "nodes_truenodeids": [1, 3, 0, 0, 0, 1, 0, 0], "nodes_falsenodeids": [2, 4, 0, 0, 0, 2, 0, 0],
          "nodes_missing_value_tracks_true": [0, 1, 0, 0, 0, 1, 0, 0]}
LEAVES = {"treeids": [0, 0, 0, 1, 1], "nodeids": [2, 3, 4, 1, 2], "ids": [0] * 5}


def trees(modes, kind):
    leaves = {f"{kind}_{key}": value for key, value in LEAVES.items()}
    return {**BRANCH, **leaves, "nodes_modes": [modes[0], modes[1], "LEAF", "LEAF", "LEAF",
                                                modes[2], "LEAF", "LEAF"]}


def single_nodes():
    halves = (random.integers(-3, 4, (20, 3)) / 2).astype(np.float32)
    halves[random.random(halves.shape) < 0.2] = np.nan
    thresholds, weights = [0.5, -0.5, 0, 0, 0, 1, 0, 0], [0.5, -1.5, 2.5, 0.25, -0.75]
    for names in (["LEQ", "LT", "GT"], ["GTE", "EQ", "NEQ"], ["LT", "LT", "LT"]):
        modes = ["BRANCH_" + name for name in names]
        tables = trees(modes, "target")
        node("trees_" + "_".join(names).lower(), "TreeEnsembleRegressor", [halves], [FLOAT],
             nodes_values=thresholds, target_weights=weights, n_targets=1, **tables)
        as_tensors = {"nodes_values_as_tensor": numpy_helper.from_array(np.array(thresholds, float)),
                      "target_weights_as_tensor": numpy_helper.from_array(np.array(weights, float))}
        node("trees_double_" + "_".join(names).lower(), "TreeEnsembleRegressor",
             [halves.astype(np.float64)], [FLOAT], n_targets=1, **as_tensors, **tables)
    for aggregate in ("AVERAGE", "MIN", "MAX"):
        node(f"trees_{aggregate.lower()}", "TreeEnsembleRegressor", [halves], [FLOAT],
             nodes_values=thresholds, target_weights=weights, n_targets=1, base_values=[0.125],
             aggregate_function=aggregate, **trees(["BRANCH_LEQ"] * 3, "target"))
    for transform in ("NONE", "LOGISTIC", "SOFTMAX"):
        for signed in (True, False):
            node(f"classes_{transform.lower()}_{'signed' if signed else 'positive'}",
                 "TreeEnsembleClassifier", [halves], [INT64, FLOAT], nodes_values=thresholds,
                 class_weights=weights if signed else [abs(w) / 5 for w in weights],
                 classlabels_int64s=[30, 20], post_transform=transform,
                 **trees(["BRANCH_LEQ"] * 3, "class"))
    joined = {"tree_roots": [0, 2], "nodes_featureids": [1, 0, 2], "leaf_targetids": [0, 1, 0, 1, 0],
              "nodes_modes": numpy_helper.from_array(np.array([0, 6, 3], np.uint8)),
              "nodes_splits": numpy_helper.from_array(np.array([0.5, 0, 0], np.float32)),
              "nodes_truenodeids": [1, 1, 3], "nodes_trueleafs": [0, 1, 1],
              "nodes_falsenodeids": [0, 2, 4], "nodes_falseleafs": [1, 1, 1], "n_targets": 2,
              "membership_values": numpy_helper.from_array(np.array([1, 2, np.nan], np.float32)),
              "leaf_weights": numpy_helper.from_array(np.array(weights, np.float32))}
    node("trees_joined", "TreeEnsemble", [halves], [FLOAT], version=5, aggregate_function=1, **joined)
    whole, real = random.integers(0, 5, (4, 3)), random.standard_normal((4, 3)).astype(np.float32)
    for norm in ("MAX", "L1", "L2"):
        node(f"normalizer_{norm.lower()}", "Normalizer", [real], [FLOAT], 1, norm=norm)
    node("scaler_integers", "Scaler", [whole], [FLOAT], 1, offset=[1.0, 2.0, 3.0], scale=[0.5, 2.0, -1.0])
    node("imputer_integers", "Imputer", [whole], [INT64], 1, imputed_value_int64s=[7, 8, 9],
         replaced_value_int64=2)
    node("features", "FeatureVectorizer", [real, real[:, :2]], [FLOAT], 1, inputdimensions=[3, 2])
    node("columns", "ArrayFeatureExtractor", [real, np.array([[2, 0, 2]])], [FLOAT], 1)
    node("columns_of_a_list", "ArrayFeatureExtractor", [whole[0], np.array([2, 0, 2, 1])], [INT64], 1)
    node("labels_to_numbers", "LabelEncoder", [whole], [FLOAT], 2, keys_int64s=[4, 0, 2],
         values_floats=[0.5, 1.5, 2.5], default_float=-1.0)
    node("labels_double", "LabelEncoder", [np.array([[1.0, 2.0, np.nan]])], [DOUBLE], 4,
         keys_tensor=numpy_helper.from_array(np.array([2.0, np.nan])),
         values_tensor=numpy_helper.from_array(np.array([3.0, 4.0])),
         default_tensor=numpy_helper.from_array(np.array([9.0])))
    for transform in ("NONE", "LOGISTIC", "SOFTMAX_ZERO"):
        node(f"line_of_two_{transform.lower()}", "LinearClassifier", [real], [INT64, FLOAT], 1,
             coefficients=[0.5, -1.5, 1.0], intercepts=[0.25], classlabels_ints=[8, 3],
             post_transform=transform)


def texts():
    words = np.array([["b", "ü, x", "zz"], ["", "a", "b"]], dtype=object)
    node("texts_to_texts", "LabelEncoder", [words], [STRING], 2, keys_strings=["b", "a", "ü, x", ""],
         values_strings=["B", "A", "", "ε"], default_string="none")
    node("texts_to_integers", "LabelEncoder", [words], [INT64], 2, keys_strings=["b", "a"],
         values_int64s=[1, 2])
    node("integers_to_texts", "LabelEncoder", [np.array([[1, 2, 3]])], [STRING], 2,
         keys_int64s=[1, 2], values_strings=["one", "two, 2"])
    node("one_hot_texts", "OneHotEncoder", [words], [FLOAT], 1, cats_strings=["b", "a", "zz"], zeros=1)
    categories = {"cats_strings": ["b", "a"], "cats_int64s": [4, 5]}
    node("categories_of_texts", "CategoryMapper", [words], [INT64], 1, default_int64=-3, **categories)
    node("categories_of_integers", "CategoryMapper", [np.array([[4, 5, 6]])], [STRING], 1,
         default_string="q", **categories)
    node("columns_of_texts", "ArrayFeatureExtractor", [words[0], np.array([2, 0, 1])], [STRING], 1)
    named = np.where(TWO == 1, "pos, itive", "neg")
    three = np.array(["a", "b", "c"])[THREE]
    plain = {"zipmap": False}
    sklearn("forest_names", ensemble.RandomForestClassifier(3, max_depth=2, random_state=0), named, **plain)
    sklearn("logistic_names", linear_model.LogisticRegression(), three, **plain)
    sklearn("bayes_names", naive_bayes.GaussianNB(), three, **plain)
    sklearn("network_names", neural_network.MLPClassifier((4,), max_iter=20, random_state=0), named, **plain)
    sklearn("neighbours_names", neighbors.KNeighborsClassifier(3), three, **plain)


def machines():
    named = np.where(TWO == 1, "pos", "neg")
    for kernel in ("linear", "poly", "rbf", "sigmoid"):
        plain = {"zipmap": False}
        sklearn(f"machine_regressor_{kernel}", svm.NuSVR(kernel=kernel, nu=0.05), TARGET)
        sklearn(f"machine_three_{kernel}", svm.NuSVC(kernel=kernel, nu=0.05, probability=kernel != "poly",
                                                     random_state=0), THREE, **plain)
    sklearn("machine_two_names", svm.NuSVC(nu=0.05), named, **plain)
    sklearn("machine_two_probability", svm.NuSVC(nu=0.05, probability=True, random_state=0), TWO, **plain)
    sklearn("machine_outliers", svm.OneClassSVM(nu=0.05), None)


trees_of_scikit_learn()
trees_of_others()
machines()
texts()
lines_and_preparation()
single_nodes()
write_all(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent / "learned", cases)
