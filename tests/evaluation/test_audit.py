"""What methods answer beyond fidelity: own measures by closed forms, GAN-train on real digits, labels beside their floor."""

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
from aigc.evaluation.gan_train import hits_on_real
from aigc.features.classifier import Classifier, ClassifierConfig
from aigc.features.extractor import ClassifierExtractor
from aigc.metrics.intervals import flat
from aigc.model.card import write_model
from aigc.model.contract import Method, Player, Shape
from aigc.networks.blocks import as_model_space

LEARNING = ClassifierConfig(images=4000, batch_size=64, ema_halflife=200.0, warmup=0.05, decay=0.5, learning_rate=0.002, width=8, features=32)


class Brightness(Method):
    """A method whose own measures are known: the mean of each picture, and what a batch of it holds."""

    def players(self) -> dict[str, Player]:
        return {}

    def updates(self, real: Tensor, labels: Tensor, rng: torch.Generator) -> Iterator[tuple[str, Tensor]]:
        yield from ()

    def decode(self, latents: Tensor, labels: Tensor) -> Tensor:
        return latents

    def own_measures(self, real: Tensor, labels: Tensor, rng: torch.Generator) -> dict[str, Tensor]:
        return {"brightness": real.mean((1, 2, 3)), "is_labelled": labels >= 0, "batch": torch.full((len(real),), float(len(real))),
                "classes": torch.full((len(real),), float(len(labels.unique())))}


@pytest.fixture(scope="module")
def some(digits: tuple[np.ndarray, np.ndarray]) -> tuple[Pictures, Pictures]:
    order = np.random.default_rng(0).permutation(5000)
    names = [str(n) for n in range(10)]
    return tuple(Pictures(digits[0][rows], digits[1][rows], names) for rows in (order[:1500], order[1500:2000]))


def test_an_own_measure_is_its_mean_over_test_pictures_beside_that_over_training_pictures(
        some: tuple[Pictures, Pictures], device: runtime.Device) -> None:
    train, test = some
    found = own_measures.measure(Brightness(Shape(1, 28, 10)), test, train, len(train), 20, device)
    assert found["brightness"]["value"] == pytest.approx(as_model_space(torch.from_numpy(test.images)).mean().item(), rel=1e-5)
    assert found["brightness"]["train"] == pytest.approx(as_model_space(torch.from_numpy(train.images)).mean().item(), rel=1e-5)
    assert found["brightness"]["low"] < found["brightness"]["value"] < found["brightness"]["high"]
    assert found["is_labelled"]["value"] == 1


def test_own_measures_are_taken_in_mixed_batches_of_the_trainings_size_though_a_split_lies_class_by_class(
        some: tuple[Pictures, Pictures], device: runtime.Device) -> None:
    by_class = [Pictures(split.images[order], split.labels[order], split.classes) for split in some
                for order in [np.argsort(split.labels, kind="stable")]]
    found = own_measures.measure(Brightness(Shape(1, 28, 10)), by_class[1], by_class[0], 400, 16, device)
    assert found["batch"] == {"value": 16, "train": 16}
    assert found["classes"]["value"] > 6 and found["classes"]["train"] > 6
    assert own_measures.measure(Brightness(Shape(1, 28, 10)), by_class[1], by_class[0], 100, 128, device)["batch"]["value"] == 100 // own_measures.FEWEST_BATCHES


@pytest.mark.parametrize(("name", "measures"), [
    ("autoencoder", {"reconstruction_error"}), ("vae", {"reconstruction_error", "elbo"}), ("flow", {"matching_loss"}),
    ("gan", {"critic_accuracy_pairs", "critic_accuracy_real", "critic_accuracy_generated"}), ("wgan_gp", {"wasserstein_estimate", "critic_accuracy_pairs"}),
    ("cgan", {"critic_accuracy_pairs", "critic_accuracy_real", "critic_accuracy_generated"}),
])
def test_each_family_has_its_own_measure_one_value_a_picture_and_repeatable(name: str, measures: set[str]) -> None:
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
    with torch.inference_mode():  # q = N(0, I): no divergence; every pixel at one half: log 2 nats each, whatever the picture
        found = method.own_measures(torch.rand(3, 1, 28, 28) * 2 - 1, torch.arange(3), torch.Generator().manual_seed(0))
    torch.testing.assert_close(found["elbo"], torch.full((3,), -28 * 28 * float(np.log(2))))


def test_gan_train_learns_from_true_labels_and_not_from_false_ones(some: tuple[Pictures, Pictures], device: runtime.Device) -> None:
    train, test = some
    true = hits_on_real(train, test, LEARNING, device)
    false = hits_on_real(Pictures(train.images, (train.labels + 1) % 10, train.classes), test, LEARNING, device)
    assert true.shape == (500,) and true.mean() > 0.5 > 0.2 > false.mean()


def test_labels_are_tabled_by_class_with_floor_and_confusion(rng: np.random.Generator) -> None:
    asked = np.repeat([0, 1], 30)
    seen = np.where(np.arange(60) % 10 == 0, 1 - asked, asked)
    numbers, report = labels.measure(asked, seen, np.arange(10) < 7, 2)
    assert (numbers["gan_test"]["value"], numbers["gan_train"]["value"], numbers["recall"]["value"]) == (0.9, 0.7, 0.9)
    table = labels.table(report, [{"value": 2.0, "n": 30}, {"n": 1}], [{"value": 1.0, "n": 30}, {"n": 1}], ["no", "yes"])
    assert table[["seen as no", "seen as yes"]].to_numpy().tolist() == [[27, 3], [3, 27]]
    assert table["fid"].tolist()[0] == 2 and np.isnan(table["fid"].tolist()[1]) and table["fid_floor"].tolist()[0] == 1


def test_a_method_that_is_told_the_class_is_judged_by_it_class_by_class(some: tuple[Pictures, Pictures], device: runtime.Device,
                                                                          tmp_path: Path) -> None:
    shape, names = Shape(1, 28, 10), [str(n) for n in range(10)]
    torch.manual_seed(0)
    write_model(tmp_path / "extractor", Classifier(LEARNING, shape), method="evaluator", config=LEARNING.model_dump(),
                shape=vars(shape), classes=names, seed=0, data_sha256="", origin={})
    extractor = ClassifierExtractor(device, tmp_path / "extractor")
    train, rest = some
    held, test = (Pictures(rest.images[rows], rest.labels[rows], names) for rows in (slice(0, 250), slice(250, 500)))
    settings = EvaluateConfig(sample_size=250)
    limits = config.section("audit", AuditConfig).model_copy(update={"classifier_images": 128})
    context = AuditContext(settings, limits, audit.Splits(train, held, test), Extractors(extractor, settings, device),
                           extractor, device)
    of_test = extractor.extract(test.images).features
    real = audit.of_real(context, of_test, extractor.extract(held.images), tmp_path / "shared")
    pictures = Pictures(held.images, (held.labels + 1) % 10, names)
    found = extractor.extract(pictures.images)
    seen = context.classes_seen(pictures.images, found)
    assert seen.tolist() == found.logits.argmax(1).tolist()

    def answer_of(method: Method) -> audit.Answer:
        samples = Samples(method, pictures, found.features, seen, 16)
        return audit.of_method(context, samples, of_test, real, tmp_path / "shared")

    answer = answer_of(methods.build("cgan", methods.load_config("cgan"), shape).eval())
    assert answer.confusion["actual"].tolist() == [names[label] for label in pictures.labels]
    assert answer.confusion["predicted"].tolist() == [names[label] for label in seen]
    assert answer.sections["labels"]["gan_test"]["value"] == pytest.approx(np.mean(seen == pictures.labels), abs=1e-6)
    assert "floor" in answer.sections["labels"]["gan_test"]
    assert answer.classes["support"].tolist() == np.bincount(pictures.labels, minlength=10).tolist()
    answer = answer_of(methods.build("gan", methods.load_config("gan"), shape).eval())
    assert list(answer.confusion) == ["actual", "predicted"] and answer.confusion.empty and "labels" not in answer.sections


def test_unlabelled_samples_have_no_label_metrics() -> None:
    with pytest.raises(DataError, match="picture 0 is unlabelled"):
        labels.measure(np.full(5, -1), np.zeros(5, int), np.ones(3, bool), 10)


def test_one_class_only_has_duplicates_and_no_entropy(rng: np.random.Generator) -> None:
    images = rng.integers(0, 256, (30, 1, 28, 28), dtype=np.uint8)
    images[20:] = images[:10]
    found = diversity.measure(images, np.zeros(30, int), 1, 1e-3)
    assert set(found) == {"duplicates", "support"}
    assert found["duplicates"]["value"] == pytest.approx(20 / 30, rel=1e-5) and found["support"]["value"] == 30 * 29 / 2 / 10


def test_a_number_stands_beside_its_floor_and_is_flat_in_mlflow() -> None:
    beside = fidelity.beside({"a": {"value": 1.0, "low": 0.5}, "b": {"value": 2.0}},
                             floor={"a": {"value": 3.0, "low": 1.0}})
    assert beside == {"a": {"value": 1.0, "low": 0.5, "floor": 3.0}, "b": {"value": 2.0}}
    assert flat({"memory": {"passes": True, "pixels": beside}}) == {
        "memory/pixels/a": 1.0, "memory/pixels/a_low": 0.5, "memory/pixels/a_floor": 3.0, "memory/pixels/b": 2.0}
