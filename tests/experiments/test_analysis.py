"""The report's tables from planted results, checked by hand or by another library."""

from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from bloomdiff.experiments.analysis import clinic, comparisons, domains, nested, shots
from bloomdiff.experiments.analysis.predictions import class_names, settings
from bloomdiff.experiments.analysis.predictors import predictor_table
from bloomdiff.experiments.analysis.reliability import calibration_table, reject_table
from bloomdiff.experiments.analysis.traits import trait_table
from bloomdiff.experiments.summary import estimate_methods
from bloomdiff.metrics.calibration import scale_temperature
from bloomdiff.metrics.classification import macro_f1
from bloomdiff.metrics.costs import CostParams
from bloomdiff.metrics.resampling import paired_bootstrap
from bloomdiff.report.fidelity_sections import morphology_section

CLASSES = ["lymphocyte", "myeloblast", "neutrophil_band", "neutrophil_segmented"]
ABOUT = {"test_fraction": 0.2, "confidence": 0.95}
METHODS = [("none", "0"), ("good", "1"), ("bad", "1")]


def planted(n_folds=5, n_seeds=2, n=120, temperature=2.0):
    """Test cells on six slides a fold; `good` errs half as often as real-only, `bad` doubly."""
    rng = np.random.default_rng(0)
    rate = {"none": 0.2, "good": 0.1, "bad": 0.4}
    predictions, calibration = [], []
    for fold in range(n_folds):
        truth = rng.integers(4, size=n)
        for generator, ratio in METHODS:
            for seed in range(n_seeds):
                wrong = rng.random(n) < rate[generator]
                chosen = np.where(wrong, (truth + 1 + rng.integers(3, size=n)) % 4, truth)
                # Errors are less confident, so that deferring helps.
                sure = np.where(wrong, 0.5, 0.9) + 0.05 * rng.random(n)
                proba = np.tile(((1 - sure) / 3)[:, None], 4)
                proba[np.arange(n), chosen] = sure
                key = {"fold": f"r0f{fold}", "generator": generator, "ratio": ratio, "seed": seed}
                cells = pd.DataFrame(
                    {
                        "cell_id": [f"{fold}-{i}" for i in range(n)],
                        "group": [f"{fold}-slide{i % 6}" for i in range(n)],
                        "true": np.array(CLASSES)[truth],
                    }
                ).assign(**key)
                columns = pd.DataFrame(proba, columns=[f"p.{name}" for name in CLASSES])
                predictions.append(pd.concat([cells, columns], axis=1))
                calibration.append({**key, "temperature": temperature})
    return pd.concat(predictions, ignore_index=True), pd.DataFrame(calibration)


@pytest.fixture(scope="module")
def judged():
    return list(settings(*planted()))


def test_settings_scale_and_keep_the_classes():
    predictions, calibration = planted(n_folds=1)
    assert class_names(predictions) == CLASSES
    one = next(settings(predictions, calibration))
    raw = predictions.iloc[:120][[f"p.{name}" for name in CLASSES]].to_numpy()
    np.testing.assert_allclose(one.proba, scale_temperature(raw, 2.0))
    plain = next(settings(predictions, calibration.assign(temperature=np.nan)))
    np.testing.assert_allclose(plain.proba, raw)
    # A class that only another fold knows has probability 0, not NaN.
    gap = predictions.assign(**{"p.plasma_cell": np.nan})
    assert next(settings(gap, calibration)).proba[:, -1].max() < 1e-3


def test_estimates_leave_out_folds_without_a_value_and_pair_the_rest():
    rng = np.random.default_rng(0)
    keys = [(f, g, r, s) for g, r in METHODS for f in range(5) for s in range(2)]
    table = pd.DataFrame(keys, columns=["fold", "generator", "ratio", "seed"])
    table["x"] = rng.normal(size=len(table))
    table.loc[(table["generator"] == "good") & (table["fold"] == 3), "x"] = np.nan
    found = estimate_methods(table, "x", **ABOUT).set_index("generator")
    assert found["n_folds"].to_dict() == {"none": 5, "good": 4, "bad": 5}
    means = table.groupby(["generator", "fold"])["x"].mean()
    gains = (means["good"] - means["none"]).dropna()
    assert found.loc["good", "gain"] == pytest.approx(gains.mean())
    assert found.loc["good", "effect_size"] == pytest.approx(gains.mean() / gains.std())
    t = gains.mean() / (gains.std() * np.sqrt(1 / 4 + 0.25))
    assert found.loc["good", "p_value"] == pytest.approx(2 * stats.t.sf(abs(t), 3))


def test_deferring_the_doubtful_raises_accuracy(judged):
    table = reject_table(judged, **ABOUT).set_index(["generator", "coverage"])["mean"]
    assert table["none", 1.0] == pytest.approx(0.8, abs=0.05)
    assert table["none", 0.7] == pytest.approx(1.0)
    assert table["good", 1.0] > table["none", 1.0] > table["bad", 1.0]


def test_calibration_table_has_every_score_twice():
    rng = np.random.default_rng(0)
    _, table = planted()
    for name in ("ece", "brier", "log_loss"):
        table[name] = rng.random(len(table))
        table[f"{name}_scaled"] = table[name] / 2
    found = calibration_table(table, **ABOUT).set_index(["score", "generator"])["mean"]
    assert found["ece_scaled", "good"] == pytest.approx(found["ece", "good"] / 2)
    assert found["temperature", "none"] == pytest.approx(2)
    without = calibration_table(
        table.assign(temperature=np.nan, ece_scaled=np.nan, brier_scaled=np.nan), **ABOUT
    )
    assert "temperature" not in set(without["score"])


def test_costs_are_the_mean_of_the_matrix(judged):
    params = CostParams()
    table = clinic.cost_table(judged, CLASSES, params, **ABOUT)
    pairs = clinic.cost_pairs(CLASSES, params).set_index(["true", "predicted"])["cost"]
    own = [one for one in judged if one.key["generator"] == "bad"]
    by_hand = [
        pairs[CLASSES[t], CLASSES[p]]
        for one in own
        for t, p in zip(one.truth, one.predicted, strict=True)
    ]
    found = table.set_index(["decision", "generator"])
    assert found.loc[("most probable class", "bad"), "mean"] == pytest.approx(np.mean(by_hand))
    assert found.loc[("most probable class", "good"), "gain"] < 0
    # Deciding by cost cannot cost more on average than by probability where those are honest.
    assert found.loc[("least expected cost", "bad"), "mean"] < np.mean(by_hand)


def test_differentials_of_slides_and_too_few(judged):
    summary, slides = clinic.differential_tables(judged, CLASSES, minimum=20, **ABOUT)
    assert summary["n_slides"].unique().tolist() == [30]
    error = summary[summary["score"] == "mean_absolute_error"].set_index("generator")["mean"]
    assert error["good"] < error["none"] < error["bad"]
    assert set(slides["slide"]) == {f"{f}-slide{s}" for f in range(5) for s in range(6)}
    none, empty = clinic.differential_tables(judged, CLASSES, minimum=21, **ABOUT)
    assert none.empty
    assert empty.empty


def test_gains_by_class_and_by_shots():
    keys = [
        (f"r0f{f}", g, r, s, c)
        for g, r in METHODS
        for f in range(4)
        for s in range(2)
        for c in ("rare", "common", "absent")
    ]
    per_class = pd.DataFrame(keys, columns=["fold", "generator", "ratio", "seed", "class"])
    gain = {("good", "rare"): 0.2, ("bad", "common"): -0.1}
    per_class["f1"] = [
        0.5 + gain.get((g, c), 0.0) if c != "absent" else np.nan
        for g, c in zip(per_class["generator"], per_class["class"], strict=True)
    ]
    folds = pd.DataFrame(
        [
            (f"r0f{f}", f"{c}{i}", "train")
            for f in range(4)
            for c, n in (("rare", 4), ("common", 60))
            for i in range(n)
        ],
        columns=["fold", "cell_id", "role"],
    )
    labels = {name: name.rstrip("0123456789") for name in folds["cell_id"]}
    counts = shots.training_counts(folds, pd.Series(labels))
    assert counts.groupby("class")["shots"].unique().str[0].to_dict() == {"rare": 4, "common": 60}
    by_class = shots.class_gains(per_class, counts, **ABOUT).set_index(["class", "generator"])
    assert by_class.loc[("rare", "good"), "gain"] == pytest.approx(0.2)
    assert by_class.loc[("common", "bad"), "gain"] == pytest.approx(-0.1)
    assert "absent" not in by_class.index.get_level_values(0)
    by_shots = shots.shot_gains(per_class, counts, **ABOUT).set_index(["shots", "generator"])
    assert by_shots.loc[("1 to 5", "good"), "gain"] == pytest.approx(0.2)
    assert by_shots.loc[("51 to 100", "good"), "gain"] == pytest.approx(0)


def test_shots_are_those_of_the_folds_that_test_the_class():
    """A class of one group is trained on where it is not tested, and tested where it is not."""
    per_class = pd.DataFrame(
        [
            (f"r0f{f}", g, r, 0, c, 0.5 if c == "common" else 0.0 if f == 0 else np.nan)
            for g, r in METHODS
            for f in range(4)
            for c in ("common", "alone")
        ],
        columns=["fold", "generator", "ratio", "seed", "class", "f1"],
    )
    counts = pd.DataFrame(
        [(f"r0f{f}", "common", 60) for f in range(4)]
        + [(f"r0f{f}", "alone", 40) for f in range(1, 4)],
        columns=["fold", "class", "shots"],
    )
    by_class = shots.class_gains(per_class, counts, **ABOUT).groupby("class")["shots"].first()
    assert by_class.to_dict() == {"alone": 0.0, "common": 60.0}
    by_shots = shots.shot_gains(per_class, counts, **ABOUT)
    assert by_shots["shots"].unique().tolist() == ["none", "51 to 100"]


def test_bootstrap_pools_every_cell_once(judged):
    table = comparisons.bootstrap_table(judged, 4, seed=0, confidence=0.95).set_index("generator")
    from sklearn.metrics import f1_score

    def pooled(generator):
        own = [o for o in judged if o.key["generator"] == generator]
        truth = np.concatenate([o.truth for o in own])
        return f1_score(truth, np.concatenate([o.predicted for o in own]), average="macro")

    assert table.loc["good", "boot_gain"] == pytest.approx(pooled("good") - pooled("none"))
    assert table.loc["good", "boot_low"] > 0 > table.loc["bad", "boot_high"]
    again = [
        type(one)({**one.key, "fold": f"r1{one.key['fold']}"}, *list(vars(one).values())[1:])
        for one in judged
    ]
    repeated = comparisons.bootstrap_table([*judged, *again], 4, seed=0, confidence=0.95)
    pd.testing.assert_frame_equal(repeated.set_index("generator"), table)


def scores(gain):
    rng = np.random.default_rng(0)
    rows = []
    for fold in range(4):
        for generator, shift in {"none": 0.0, **gain}.items():
            ratio = "0" if generator == "none" else "1"
            value = 0.6 + shift + 0.01 * fold + 1e-3 * rng.random()
            rows.append((f"r0f{fold}", generator, ratio, 0, value, "logistic"))
    columns = ["fold", "generator", "ratio", "seed", "macro_f1", "classifier"]
    return pd.DataFrame(rows, columns=columns)


GAIN = {"a": 0.1, "b": 0.2, "c": 0.3, "d": 0.4, "e": 0.5}


def test_the_metric_that_predicts_gain_is_found():
    table = scores(GAIN)
    rng = np.random.default_rng(1)
    rows = [
        (f"r0f{f}", g, name, "all classes", value(g))
        for f in range(4)
        for g in GAIN
        for name, value in (
            ("frechet_distance", lambda g: -GAIN[g]),
            ("recall", lambda g: rng.random()),
        )
    ]
    fidelity = pd.DataFrame(rows, columns=["fold", "generator", "metric", "scope", "value"])
    about = {"seed": 0, "confidence": 0.95}
    found = predictor_table(fidelity, table, "macro_f1", "1", **about)
    assert found["metric"].tolist()[0] == "frechet_distance"
    assert found["rho"].iloc[0] == pytest.approx(1)
    assert found["low"].iloc[0] < 0.9 < found["high"].iloc[0]
    few = fidelity[fidelity["generator"].isin(["a", "b", "c"])]
    some = table[table["generator"].isin(["none", "a", "b", "c"])]
    wider = predictor_table(fidelity, table, "macro_f1", "1", seed=0, confidence=0.99)
    assert wider["low"].iloc[0] < found["low"].iloc[0]
    note = predictor_table(few, some, "macro_f1", "1", **about)["note"]
    assert set(note) == {"too few: needs 4 generators, has 3"}


def test_ranks_of_methods_over_folds():
    methods = [("none", "0"), *((g, "1") for g in GAIN)]
    found = comparisons.rank_table(scores(GAIN), "macro_f1", methods, confidence=0.95)
    lenient = comparisons.rank_table(scores(GAIN), "macro_f1", methods, confidence=0.8)
    assert lenient["critical_difference"] < found["critical_difference"]
    frame = comparisons.ranks_frame(found)
    assert frame["generator"].tolist() == ["e", "d", "c", "b", "a", "none"]
    assert frame["mean_rank"].tolist() == [1, 2, 3, 4, 5, 6]
    # Every pair of one bar is closer than the critical difference, and no other pair is.
    ranks = frame["mean_rank"].to_numpy()
    near = np.abs(np.subtract.outer(ranks, ranks))
    shared = [[bool(set(a) & set(b)) for b in frame["bars"]] for a in frame["bars"]]
    assert (np.array(shared) == (near < frame["critical_difference"][0].item())).all()
    one_fold = scores(GAIN).query("fold == 'r0f0'")
    assert comparisons.rank_table(one_fold, "macro_f1", methods[:2], confidence=0.95) is None


def test_only_folds_on_unseen_sources_are_cross_domain(judged):
    folds = pd.DataFrame(
        [
            ("r0f0", "x1", "train"),
            ("r0f0", "y1", "test"),
            ("r0f1", "x1", "train"),
            ("r0f1", "x2", "test"),
        ],
        columns=["fold", "cell_id", "role"],
    )
    sources = pd.Series({"x1": "acevedo", "x2": "acevedo", "y1": "matek-2019"})
    crossed = domains.crossings(folds, sources)
    assert crossed.to_numpy().tolist() == [["r0f0", "acevedo", "matek-2019"]]
    found = domains.domain_table(judged, crossed, seed=0, confidence=0.95)
    assert found["n"].unique().tolist() == [120]
    assert (found["pooled_low"] < found["pooled"]).all()
    assert found["generator"].tolist() == ["none", "good", "bad"]
    gains = found.set_index("generator")
    assert gains.loc["good", "boot_low"] > 0 > gains.loc["bad", "boot_high"]
    assert domains.domain_table(judged, crossed.iloc[:0], seed=0, confidence=0.95).empty


def test_inner_estimates_stand_beside_outer_ones():
    table = nested.classifier_scores(scores({}))
    studies = {
        f"r0f{f}": {
            "logistic": {"study": {"macro_f1": 0.7 + 0.01 * f}},
            "knn": {"study": None},
        }
        for f in range(4)
    }
    found = nested.nested_table(studies, table, kind="classifier", **ABOUT)
    assert found["name"].tolist() == ["logistic"]
    assert found["optimism"].item() == pytest.approx(0.1, abs=1e-3)
    assert found["optimism_low"].item() > 0.09
    assert nested.generator_scores(scores(GAIN), "logistic", "1")["method"].nunique() == 5


def test_traits_are_judged_against_their_floor():
    rows = [
        ("diameter", "all classes", 0.9, error, 0.1, 0.0, "", f"r0f{f}", "g")
        for f, error in enumerate((0.3, 0.35, 0.4))
    ]
    rows += [("halo", "all classes", 0.1, None, None, None, "not readable", "r0f0", "g")]
    rows += [("area", "all classes", 0.8, 0.3, 0.1, 0.0, "", "r0f0", "g")]
    rows += [("area", "all classes", -5.0, None, None, None, "not readable", "r0f1", "g")]
    columns = [
        *("parameter", "scope", "r2", "error", "floor", "mean_shift", "note"),
        *("fold", "generator"),
    ]
    found = trait_table(pd.DataFrame(rows, columns=columns), **ABOUT).set_index("parameter")
    assert found.loc["diameter", "excess"] == pytest.approx(0.25)
    assert found.loc["diameter", "excess_low"] > 0
    assert found.loc["halo", "note"] == "not readable"
    assert found.loc["area", "r2"] == 0.8  # of the fold that its error is from
    assert found.loc["area", "n_folds"] == 1
    text = morphology_section(found.reset_index().assign(generator="g")).markdown()
    assert "| area | 0.80 | 1 | 0.10 | 0.30 (+0.200 [no interval]) |" in text
    assert "nan" not in text
    assert trait_table(pd.DataFrame(columns=columns), **ABOUT).empty


def test_classifiers_are_compared_on_real_cells_only():
    """Without a correction for overlapping training parts it is the plain paired t."""
    plain, rng = scores(GAIN), np.random.default_rng(2)
    ahead = plain["macro_f1"] + rng.normal(0.1, 0.01, len(plain))
    behind = plain["macro_f1"] + rng.normal(-0.1, 0.2, len(plain))
    every = pd.concat(
        [
            plain.assign(classifier="knn", macro_f1=behind),
            plain,
            plain.assign(classifier="diffusion", macro_f1=ahead),
        ]
    )
    about = {"primary": "logistic", "test_fraction": 1e-12, "confidence": 0.95}
    table = comparisons.classifier_table(every, **about).set_index("classifier")
    assert table.index[0] == "logistic"
    assert np.isnan(table.loc["logistic", "gain"])
    real = plain["generator"] == "none"
    p = {}
    for name, value in (("diffusion", ahead), ("knn", behind)):
        oracle = stats.ttest_rel(value[real], plain.loc[real, "macro_f1"])
        low, high = oracle.confidence_interval(0.95)
        found = table.loc[name, ["mean", "gain_low", "gain_high", "p_value"]].to_numpy(float)
        np.testing.assert_allclose(found, [value[real].mean(), low, high, oracle.pvalue])
        p[name] = oracle.pvalue
    assert table.loc["diffusion", "p_holm"] == pytest.approx(2 * p["diffusion"])
    assert table.loc["knn", "p_holm"] == pytest.approx(max(2 * p["diffusion"], p["knn"]))
    assert comparisons.classifier_table(plain, **about).empty


def test_slides_of_repeated_folds_count_once(judged):
    again = [replace(one, key={**one.key, "fold": "r1" + one.key["fold"][2:]}) for one in judged]
    summary, _ = clinic.differential_tables([*judged, *again], CLASSES, minimum=20, **ABOUT)
    assert summary["n_slides"].unique().tolist() == [30]


def test_the_bootstrap_is_that_of_slides_in_one_order_of_cells(judged):
    # The cells of one method come in another order.
    back = {name: slice(None, None, -1) for name in ("truth", "proba", "groups", "cell_ids")}
    mixed = [
        replace(one, **{k: getattr(one, k)[s] for k, s in back.items()})
        if one.key["generator"] == "good"
        else one
        for one in judged
    ]
    table = comparisons.bootstrap_table(mixed, 4, seed=0, confidence=0.95).set_index("generator")

    def pooled(generator):
        frames = [
            pd.DataFrame(
                {"cell": o.cell_ids, "true": o.truth, "predicted": o.predicted, "slide": o.groups}
            ).assign(seed=o.key["seed"])
            for o in judged
            if o.key["generator"] == generator
        ]
        return pd.concat(frames).sort_values(["seed", "cell"])

    good, none = pooled("good"), pooled("none")
    oracle = paired_bootstrap(
        good["true"].to_numpy(),
        good["predicted"].to_numpy(),
        none["predicted"].to_numpy(),
        partial(macro_f1, n_classes=4),
        seed=0,
        groups=good["slide"].to_numpy(dtype=str),
    )
    found = table.loc["good", ["boot_gain", "boot_low", "boot_high", "boot_p"]]
    assert found.to_numpy(float) == pytest.approx(list(oracle.values()))


def test_nested_scores_are_of_the_studys_classifier_and_ratio():
    table = scores(GAIN)
    others = [table.assign(classifier="knn", macro_f1=0.0), table.assign(ratio="2", macro_f1=0.0)]
    found = nested.generator_scores(pd.concat([table, *others]), "logistic", "1")
    assert len(found) == 4 * len(GAIN)
    assert found["macro_f1"].min() > 0.6
