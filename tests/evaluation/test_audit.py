"""The audit: own measures by closed forms, GAN-train on real digits, label metrics with their floor."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from aigc import methods
from aigc.core import config, runtime
from aigc.core.errors import DataError
from aigc.data.pictures import Pictures
from aigc.evaluation import audit, diversity, fidelity, labels, own_measures
from aigc.evaluation.audit import AuditContext, Samples
from aigc.evaluation.config import AuditConfig, EvaluateConfig
from aigc.evaluation.fidelity import Extractors
from aigc.evaluation.gan_train import correct_on_real
from aigc.features.classifier import Classifier, ClassifierConfig
from aigc.features.extractor import ClassifierExtractor
from aigc.metrics.intervals import flat
from aigc.model.card import write_model
from aigc.model.contract import Method, Player, Shape
from aigc.networks.blocks import as_model_space

LEARNING = ClassifierConfig(images=4000, batch_size=64, ema_halflife=200.0, warmup=0.05, decay=0.5,
                            learning_rate=0.002, width=8, features=32)


class Brightness(Method):
    """A method whose own measures are known: the mean of each picture, the size of the batch and its classes.
    """

    def players(self) -> dict[str, Player]:
        return {}

    def updates(self, real: Tensor, labels: Tensor, rng: torch.Generator) -> Iterator[tuple[str, Tensor]]:
        yield from ()

    def decode(self, latents: Tensor, labels: Tensor) -> Tensor:
        return latents

    def own_measures(self, real: Tensor, labels: Tensor, rng: torch.Generator) -> dict[str, Tensor]:
        return {"brightness": real.mean((1, 2, 3)), "is_labelled": labels >= 0,
                "batch": torch.full((len(real),), float(len(real))),
                "classes": torch.full((len(real),), float(len(labels.unique())))}


@pytest.fixture(scope="module")
def some(digits: tuple[np.ndarray, np.ndarray]) -> tuple[Pictures, Pictures]:
    order = np.random.default_rng(0).permutation(5000)
    names = [str(n) for n in range(10)]
    return tuple(Pictures(digits[0][rows], digits[1][rows], names)
                 for rows in (order[:1500], order[1500:2000]))


def test_an_own_measure_is_the_mean_over_test_pictures_with_that_over_training_pictures(
        some: tuple[Pictures, Pictures], device: runtime.Device) -> None:
    train, test = some
    found = own_measures.measure(Brightness(Shape(1, 28, 10)), test, train, len(train), 20, device)
    on_test, on_train = (as_model_space(torch.from_numpy(split.images)).mean().item() for split in some[::-1])
    assert found["brightness"]["value"] == pytest.approx(on_test, rel=1e-5)
    assert found["brightness"]["train"] == pytest.approx(on_train, rel=1e-5)
    assert found["brightness"]["low"] < found["brightness"]["value"] < found["brightness"]["high"]
    assert found["is_labelled"]["value"] == 1


def test_own_measures_use_mixed_batches_of_the_size_of_the_training_even_if_a_split_is_sorted_by_class(
        some: tuple[Pictures, Pictures], device: runtime.Device) -> None:
    by_class = [Pictures(split.images[order], split.labels[order], split.classes) for split in some
                for order in [np.argsort(split.labels, kind="stable")]]
    found = own_measures.measure(Brightness(Shape(1, 28, 10)), by_class[1], by_class[0], 400, 16, device)
    assert found["batch"] == {"value": 16, "train": 16}
    assert found["classes"]["value"] > 6 and found["classes"]["train"] > 6
    assert own_measures.measure(Brightness(Shape(1, 28, 10)), by_class[1], by_class[0], 100, 128,
                                device)["batch"]["value"] == 100 // own_measures.MIN_BATCHES


@pytest.mark.parametrize(("name", "measures"), [
    ("autoencoder", {"reconstruction_error"}), ("vae", {"reconstruction_error", "elbo"}),
    ("flow", {"matching_loss"}),
    ("gan", {"critic_accuracy_pairs", "critic_accuracy_real",
             "critic_accuracy_generated"}), ("wgan_gp", {"wasserstein_estimate", "critic_accuracy_pairs"}),
    ("cgan", {"critic_accuracy_pairs", "critic_accuracy_real", "critic_accuracy_generated"}),
])
def test_own_measures_have_one_value_a_picture_and_repeat(name: str, measures: set[str]) -> None:
    torch.manual_seed(0)
    method = methods.build(name, methods.load_config(name), Shape(1, 28, 10)).eval()
    real, asked = torch.rand(6, 1, 28, 28) * 2 - 1, torch.arange(6)
    with torch.inference_mode():
        first, second = (method.own_measures(real, asked, torch.Generator().manual_seed(3)) for _ in range(2))
    assert set(first) == measures
    for measure, values in first.items():
        assert values.shape == (6,)
        assert torch.equal(values, second[measure])


def test_the_elbo_of_a_vae_that_ignores_its_latents_is_the_likelihood_alone() -> None:
    torch.manual_seed(0)
    method = methods.build("vae", methods.load_config("vae"), Shape(1, 28, 10)).eval()
    for network in (method.encoder, method.decoder):
        for parameter in network.parameters():
            torch.nn.init.zeros_(parameter)
    with torch.inference_mode():  # q = N(0, I): the KL term is 0; each pixel is one half: log 2 nats
        found = method.own_measures(torch.rand(3, 1, 28, 28) * 2 - 1, torch.arange(3),
                                    torch.Generator().manual_seed(0))
    torch.testing.assert_close(found["elbo"], torch.full((3,), -28 * 28 * float(np.log(2))))


def test_gan_train_learns_from_true_labels_and_not_from_false_ones(some: tuple[Pictures, Pictures],
                                                                   device: runtime.Device) -> None:
    train, test = some
    true = correct_on_real(train, test, LEARNING, device)
    false = correct_on_real(Pictures(train.images, (train.labels + 1) % 10, train.classes), test, LEARNING,
                            device)
    assert true.shape == (500,) and true.mean() > 0.5 > 0.2 > false.mean()


def test_the_table_of_labels_has_one_row_a_class_with_floor_and_confusion(rng: np.random.Generator) -> None:
    requested = np.repeat([0, 1], 30)
    predicted = np.where(np.arange(60) % 10 == 0, 1 - requested, requested)
    numbers, report = labels.measure(requested, predicted, np.arange(10) < 7, 2)
    assert (numbers["gan_test"]["value"], numbers["gan_train"]["value"],
            numbers["recall"]["value"]) == (0.9, 0.7, 0.9)
    table = labels.table(report, [{"value": 2.0, "n": 30}, {"n": 1}], [{"value": 1.0, "n": 30}, {"n": 1}],
                         ["no", "yes"])
    assert table[["seen as no", "seen as yes"]].to_numpy().tolist() == [[27, 3], [3, 27]]
    assert table["fid"].tolist()[0] == 2 and np.isnan(table["fid"].tolist()[1])
    assert table["fid_floor"].tolist()[0] == 1


def test_a_conditional_method_has_label_metrics_for_each_class_and_another_method_has_none(
        some: tuple[Pictures, Pictures], device: runtime.Device,
        tmp_path: Path) -> None:
    shape, names = Shape(1, 28, 10), [str(n) for n in range(10)]
    torch.manual_seed(0)
    write_model(tmp_path / "extractor", Classifier(LEARNING, shape), method="evaluator",
                config=LEARNING.model_dump(),
                shape=vars(shape), classes=names, seed=0, data_sha256="", origin={})
    extractor = ClassifierExtractor(device, tmp_path / "extractor")
    train, rest = some
    holdout, test = (Pictures(rest.images[rows], rest.labels[rows], names)
                     for rows in (slice(0, 250), slice(250, 500)))
    settings = EvaluateConfig(sample_size=250)
    limits = config.section("audit", AuditConfig).model_copy(update={"classifier_images": 128})
    context = AuditContext(settings, limits, audit.Splits(train, holdout, test, train),
                           Extractors(extractor, settings, device),
                           extractor, device)
    test_features = extractor.extract(test.images).features
    real = audit.measure_real(context, test_features, extractor.extract(holdout.images), tmp_path / "shared")
    pictures = Pictures(holdout.images, (holdout.labels + 1) % 10, names)
    extracted = extractor.extract(pictures.images)
    predicted = context.predicted_classes(pictures.images, extracted)
    assert predicted.tolist() == extracted.logits.argmax(1).tolist()

    def audited(method: Method) -> audit.MethodAudit:
        samples = Samples(method, pictures, extracted.features, predicted, 16)
        return audit.measure_method(context, samples, test_features, real, tmp_path / "shared")

    result = audited(methods.build("cgan", methods.load_config("cgan"), shape).eval())
    assert result.confusion["actual"].tolist() == [names[label] for label in pictures.labels]
    assert result.confusion["predicted"].tolist() == [names[label] for label in predicted]
    share = np.mean(predicted == pictures.labels)
    assert result.sections["labels"]["gan_test"]["value"] == pytest.approx(share, abs=1e-6)
    assert "floor" in result.sections["labels"]["gan_test"]
    assert result.classes["support"].tolist() == np.bincount(pictures.labels, minlength=10).tolist()
    result = audited(methods.build("gan", methods.load_config("gan"), shape).eval())
    assert list(result.confusion) == ["actual", "predicted"] and result.confusion.empty
    assert "labels" not in result.sections


def test_unlabelled_samples_have_no_label_metrics() -> None:
    with pytest.raises(DataError, match="picture 0 is unlabelled"):
        labels.measure(np.full(5, -1), np.zeros(5, int), np.ones(3, bool), 10)


def test_pictures_of_one_class_have_duplicates_and_no_entropy(rng: np.random.Generator) -> None:
    images = rng.integers(0, 256, (30, 1, 28, 28), dtype=np.uint8)
    images[20:] = images[:10]
    found = diversity.measure(images, np.zeros(30, int), 1, 1e-3)
    assert set(found) == {"duplicates", "support"}
    assert found["duplicates"]["value"] == pytest.approx(20 / 30, rel=1e-5)
    assert found["support"]["value"] == 30 * 29 / 2 / 10


def test_numbers_have_their_floor_and_flat_names_in_mlflow() -> None:
    numbers = fidelity.with_references({"a": {"value": 1.0, "low": 0.5}, "b": {"value": 2.0}},
                                        floor={"a": {"value": 3.0, "low": 1.0}})
    assert numbers == {"a": {"value": 1.0, "low": 0.5, "floor": 3.0}, "b": {"value": 2.0}}
    assert flat({"memory": {"passes": True, "pixels": numbers}}) == {
        "memory/pixels/a": 1.0, "memory/pixels/a_low": 0.5, "memory/pixels/a_floor": 3.0,
        "memory/pixels/b": 2.0}
