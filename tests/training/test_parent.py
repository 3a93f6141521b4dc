"""A training that starts from a trained model: what is handed down, what is matched, what is refused."""

from pathlib import Path

import pytest
import torch

from aigc import methods
from aigc.core import files, paths
from aigc.core.errors import ConfigError, StorageError
from aigc.model.card import Card, read_card, write_model
from aigc.model.contract import Method, Shape
from aigc.networks.blocks import ClassEmbedding
from aigc.training import parent
from aigc.training.parent import Parent
from small import small_model

OLD = ["kind 0", "kind 1", "kind 2"]
NEW = ["kind 2", "kind 9", "kind 0", "kind 1"]  # another order, one more
PER_CLASS = [name for name in methods.available() if methods.method_class(name).conditional
             and name != "cyclegan"]


def trained(folder: Path, method: str, classes: int = 3, **options: int) -> tuple[Parent, Method]:
    """A model as a parent, and itself."""
    place = small_model(folder, method, classes=2 if method == "cyclegan" else classes, **options)
    found = Parent(read_card(place), files.read_tensors(place / "model.safetensors")[0])
    return found, methods.load(place)[0]


def settings_of(card: Card, **changes: object):
    return methods.config_class(card.method).model_validate({**card.config, **changes})


@pytest.mark.parametrize("name", methods.available())
def test_all_networks_are_handed_down_and_what_is_fitted_anew_is_not(tmp_path: Path, name: str) -> None:
    found, model = trained(tmp_path, name)
    for key in model.made_anew:
        assert any(entry.partition(".")[0] == key for entry in model.state_dict()), f"{name} has no {key}"
    torch.manual_seed(1)
    child = found.build(settings_of(found.card, images=7), model.shape, found.card.classes)
    torch.manual_seed(1)
    fresh = methods.build(name, settings_of(found.card), model.shape).state_dict()
    for key, tensor in child.state_dict().items():
        source = fresh if key.partition(".")[0] in model.made_anew else model.state_dict()
        assert torch.equal(tensor, source[key]), key


@pytest.mark.parametrize("name", PER_CLASS)
def test_a_class_keeps_its_pictures_when_others_come_and_the_order_changes(tmp_path: Path, name: str) -> None:
    found, model = trained(tmp_path, name)
    changes = {"truncation": 1.0} if name == "stylegan" else {}
    child = found.build(settings_of(found.card, **changes), Shape(1, 16, len(NEW)), NEW).eval()
    model = methods.load(tmp_path / name, sampling={key: str(value) for key, value in changes.items()})[0]
    latents = model.latents(3, torch.Generator().manual_seed(0))
    with torch.inference_mode():
        before = model.decode(latents, torch.tensor([OLD.index(kind) for kind in OLD]))
        after = child.decode(latents, torch.tensor([NEW.index(kind) for kind in OLD]))
        other = model.decode(latents, torch.tensor([1, 2, 0]))
    torch.testing.assert_close(after, before, atol=1e-5, rtol=0)
    assert not torch.allclose(other, before, atol=1e-3), "the label makes no difference, so nothing is tested"


def test_a_new_class_starts_at_the_mean_and_rows_of_no_class_keep_their_place() -> None:
    theirs = torch.arange(8.0).view(4, 2)  # 3 classes, no class
    own = torch.empty(5, 2)
    found = parent._matched(own, theirs, NEW, OLD)
    assert found.tolist() == [[4, 5], [2, 3], [0, 1], [2, 3], [6, 7]]
    assert parent._matched(own[:3], theirs, ["kind 1", "x"], OLD).tolist() == [[2, 3], [2, 3], [6, 7]]


def test_every_embedding_of_classes_is_known_as_one() -> None:
    """Its rows change with the number of classes; the rows of any other embedding do not."""
    for name in PER_CLASS:
        few, many = (methods.build(name, methods.load_config(name), Shape(1, 16, count)) for count in (3, 5))
        changed = {key for key, tensor in few.state_dict().items()
                   if tensor.shape != many.state_dict()[key].shape and key not in few.made_anew}
        assert changed == {f"{key}.weight" for key, layer in few.named_modules()
                           if isinstance(layer, ClassEmbedding)}, name


@pytest.mark.parametrize(("name", "changes", "shape", "why"), [
    ("gan", {"width": 16}, Shape(1, 16, 3), "`gan.width` is 8 there, 16 here"),
    ("gan", {"latent": 5, "images": 9}, Shape(1, 16, 3), "`gan.latent` is 64 there, 5 here;"),
    ("gan", {}, Shape(3, 16, 3), "its pictures are 1 x 16 x 16, those here 3 x 16 x 16"),
    ("vae", {}, Shape(1, 28, 3), "its pictures are 1 x 16 x 16, those here 1 x 28 x 28"),
    ("flow", {}, Shape(1, 16, 0), "it learned classes, and the pictures here have none"),
    ("transformer", {"heads": 1}, Shape(1, 16, 3), "`transformer.heads` is 4 there, 1 here"),
])
def test_what_differs_is_named_and_refused(tmp_path: Path, name: str, changes: dict[str, object],
                                           shape: Shape, why: str) -> None:
    found, _ = trained(tmp_path, name)
    classes = found.card.classes if shape.has_classes else []
    with torch.device("meta"), pytest.raises(ConfigError, match=why) as caught:
        found.build(settings_of(found.card, **changes), shape, classes)
    assert "\n" not in str(caught.value)


def test_a_parent_that_is_not_there_or_is_another_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch
                                                            ) -> None:
    found, _ = trained(tmp_path, "gan")
    monkeypatch.chdir(tmp_path)
    name = parent.name_of(found.card)
    settings = settings_of(found.card, init_from=name)
    with pytest.raises(StorageError, match=f"models/parents/{name}: missing, .*dvc pull"):
        parent.start("gan", settings)
    paths.parent(name).parent.mkdir(parents=True)
    (tmp_path / "gan").rename(paths.parent(name))
    started = parent.start("gan", settings)
    assert started is not None and started.ancestors == [found.card.sha256]
    with pytest.raises(ConfigError, match="`vae.init_from` is a model of gan, not of vae"):
        parent.start("vae", settings)
    small_model(tmp_path, "vae")
    with pytest.raises(StorageError, match="holds the model"):
        (tmp_path / "vae").rename(paths.parent("0" * 16))
        parent.start("vae", settings_of(read_card(paths.parent("0" * 16)), init_from="0" * 16))
    weights = paths.parent(name) / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    with pytest.raises(StorageError, match=r"model\.safetensors: sha256 is"):
        parent.start("gan", settings)


def test_the_card_names_the_ancestors_and_a_model_without_any_keeps_its_bytes(tmp_path: Path) -> None:
    found, model = trained(tmp_path, "gan")
    assert "ancestors" not in files.read_json(tmp_path / "gan/config.json")
    facts = {key: value for key, value in vars(found.card).items() if key not in ("files", "ancestors")}
    child = write_model(tmp_path / "child", model, **facts, ancestors=found.ancestors)
    assert read_card(tmp_path / "child") == child and child.sha256 != found.card.sha256
    assert Parent(child, {}).ancestors == [child.sha256, found.card.sha256]


def test_people_are_told_which_classes_are_new_and_which_are_gone(tmp_path: Path) -> None:
    found, _ = trained(tmp_path, "cgan")
    assert found.told(["kind 1", "x"]) == (f"cgan: starts from the model {parent.name_of(found.card)}; "
                                           "new classes: x; classes left out: kind 0, kind 2")
