"""A metric is one row of the table: everything that lists metrics shows a row that is added."""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from aigc.commands import runs
from aigc.core import runtime
from aigc.evaluation import any_pictures, fidelity
from aigc.evaluation.config import EvaluateConfig
from aigc.evaluation.fidelity import MAIN, Extractors
from aigc.features.classifier import Classifier, ClassifierConfig
from aigc.features.contract import Features
from aigc.features.extractor import ClassifierExtractor
from aigc.metrics import table
from aigc.metrics.intervals import Number
from aigc.metrics.real import MetricSettings, RealStatistics
from aigc.metrics.table import Metric
from aigc.model.card import write_model
from aigc.model.contract import Shape
from aigc.reporting import page, report
from small import Quarters, committed_params, evaluated_run, random_pictures

CONFIG = ClassifierConfig(images=64, batch_size=8, ema_halflife=10.0, warmup=0.0, decay=0.0,
                          learning_rate=0.01, width=4,
                          features=6)


def feature_counts(real: RealStatistics, features: np.ndarray, _: np.ndarray, __: MetricSettings) -> Number:
    """The number of generated and of real features, in one number."""
    return {"value": 100.0 * features.shape[1] + real.features.shape[1]}


def new_metric(extractor: str = "") -> Metric:
    return Metric("feature_counts", "feature counts", "higher", feature_counts, "none", None,
                  "Counts features, at n = {n}.", table.ALL, extractor=extractor)


@pytest.fixture
def added(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "METRICS", (*table.METRICS, new_metric()))


def write_evaluator(folder: Path) -> None:
    """An untrained classifier of 8 x 8 pictures as models/evaluator, with its accuracy."""
    torch.manual_seed(0)
    shape = Shape(1, 8, 3)
    write_model(folder / "models/evaluator", Classifier(CONFIG, shape), method="evaluator",
                config=CONFIG.model_dump(),
                shape=vars(shape), classes=["a", "b", "c"], seed=0, data_sha256="", origin={})
    (folder / "reports/metrics").mkdir(parents=True)
    (folder / "reports/metrics/evaluator.json").write_text('{"accuracy": 0.5}')


def test_a_new_row_is_measured(added: None, rng: np.random.Generator) -> None:
    settings = fidelity.settings_of(EvaluateConfig(sample_size=40))
    features = {MAIN: Features(rng.normal(size=(50, 3)), np.zeros((50, 0)))}
    numbers = fidelity.measure(fidelity.real_statistics(features, settings), features, settings)
    assert numbers["feature_counts"] == {"value": 303}


def test_a_new_row_is_in_the_table_of_aigc_evaluate(added: None, tmp_path: Path,
                                                    monkeypatch: pytest.MonkeyPatch,
                                                    device: runtime.Device,
                                                    capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    write_evaluator(tmp_path)
    for name, seed in (("real", 0), ("fake", 1)):
        np.save(tmp_path / f"{name}.npy", random_pictures(100, seed=seed))
    any_pictures.run(Path("real.npy"), Path("fake.npy"), EvaluateConfig(), device, 40, False,
                     lambda path: False)
    row, = (line.split() for line in capsys.readouterr().out.splitlines()
            if line.startswith("feature_counts"))
    assert row == ["feature_counts", "1414", "–", "1414", "1414", "higher"]


def test_a_new_row_is_a_column_of_the_report_with_its_meaning(added: None) -> None:
    numbers = {metric.name: {"value": 5.25} for metric in table.METRICS}
    protocol = {"n": 40, "extractor": "small", "extractor_sha256": "0" * 64, "precision_neighbours": 3,
                "coverage_neighbours": 5, "intervals": table.interval_texts()}
    facts = report.reference_facts({"floor": numbers, "ceiling": numbers, "protocol": protocol,
                                    "ruler": {"undamaged": numbers},
                                    "audit": {"controls": {"holdout": {"passes": True, "pixels": {},
                                                                       "features": {}}}}})
    data = {"counts": {"train": 1, "holdout": 1, "test": 1}, "size": 8, "channels": 1, "classes": [],
            "doubtful": {"count": 0},
            "origin": {"source": "digits", "licence": "", "attribution": "", "url": ""},
            "failed_expectations": [],
            "ingested": {"used": 3, "found": 3, "quarantined": 0},
            "validation": {"success": True, "results": [], "rows": 3}}
    html = page.render(page.REPORT, methods=[], ranked=[], apart=[], shown=0, ranking=None, trade_offs=[],
                       real_row=b"", sample_rows={}, row_width=1, row_height=1, verdict="", standings={},
                       as_far_as={}, collapse=[], **data,
                       **facts, **report.settings_facts(committed_params())).decode()
    assert '<th scope="col" class="n">feature counts ↑</th>' in html
    assert "<dt>feature counts ↑</dt><dd>Counts features, at n = 40.</dd>" in html
    assert html.count('<td class="n">5.25</td>') == 3 * len(table.on_page("report"))  # floor, ceiling, ruler


def test_a_new_row_is_a_column_of_the_page_of_runs(added: None, tmp_path: Path,
                                                   monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run = evaluated_run("a", 0, 10.0)
    monkeypatch.setattr("aigc.tracking.finished.every",
                        lambda: [replace(run, metrics={**run.metrics, "feature_counts": 606.0})])
    monkeypatch.setattr("aigc.tracking.growth.newest", lambda found: ([], []))
    assert runs.run(argparse.Namespace()) == 0
    html = (tmp_path / "reports/runs.html").read_text()
    assert '<th scope="col" class="n">feature counts ↑</th>' in html and '<td class="n">606</td>' in html


def test_a_metric_with_its_own_extractor_gets_features_of_that_extractor(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch, device: runtime.Device) -> None:
    monkeypatch.chdir(tmp_path)
    write_evaluator(tmp_path)
    monkeypatch.setattr(table, "METRICS", (*table.METRICS, new_metric("classifier")))
    config = EvaluateConfig(sample_size=40, extractor="inception")
    extractors, settings = Extractors(Quarters(), config, device), fidelity.settings_of(config)
    features = extractors.extract(random_pictures(50), "pictures", 40)
    classifier = ClassifierExtractor(device)
    np.testing.assert_array_equal(features["classifier"].features,
                                  classifier.extract(random_pictures(50)).features)
    fidelity.write_real_statistics(tmp_path, fidelity.real_statistics(features, settings))
    numbers = fidelity.measure(fidelity.read_real_statistics(tmp_path, settings), features, settings)
    assert numbers["feature_counts"] == {"value": 1414}  # the classifier has 14 features, Quarters 4
    protocol = fidelity.protocol(extractors, config)
    assert fidelity.hashes(protocol) == {MAIN: Quarters.sha256, "classifier": classifier.sha256}


def test_the_protocol_has_one_extractor_if_all_metrics_use_that_of_the_run(device: runtime.Device) -> None:
    assert "extractors" not in fidelity.protocol(Extractors(Quarters(), EvaluateConfig(), device),
                                                 EvaluateConfig())
