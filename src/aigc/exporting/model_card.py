"""The model card: README.md in Hugging Face's format, with a picture of samples.

Its facts come from the model's own config.json, reports/metrics and MLflow; nothing is measured here. Format:
Hugging Face, Model Cards (metadata block, model-index), 2026.
"""

import io
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ruamel.yaml import YAML

from aigc import methods
from aigc.core import paths, runtime
from aigc.core.errors import StorageError
from aigc.core.runtime import RuntimeConfig
from aigc.core.version import VERSION
from aigc.evaluation import model_identity
from aigc.exporting import card_text
from aigc.exporting.facts import Facts
from aigc.metrics import table
from aigc.model import sampling
from aigc.model.card import Card, parameter_count
from aigc.model.contract import Method
from aigc.provenance import drawing, texts

PAGE, PICTURE = "README.md", "samples.png"
SAMPLES, SEED = 64, 0
WIDEST = 4096  # characters of a line of YAML: none is wrapped
TITLES = {metric.name: metric.title for metric in table.METRICS}
UNCONDITIONAL, TRANSLATION = "unconditional-image-generation", "image-to-image"
# The names of published sets on the hub: https://huggingface.co/datasets/NAME.
DATASETS = {"digits": "ylecun/mnist", "mnist": "ylecun/mnist", "cifar10": "uoft-cs/cifar10",
            "fashion-mnist": "zalando-datasets/fashion_mnist"}
# Identifiers of licences that the hub knows, of those that pictures have.
LICENCES = re.compile(r"apache-2\.0|mit|bsd(-[23]-clause)?|cc0-1\.0|cc-by(-nc)?(-nd|-sa)?-[234]\.0|odc-by"
                      r"|odbl|pddl|cdla-sharing-1\.0|cdla-permissive-[12]\.0|unlicense")


def of_model(place: Path, card: Card, facts: Facts, switches: RuntimeConfig,
             with_onnx: bool) -> dict[str, bytes]:
    """The files of the card of the model at `place`, by name: the page, and samples where there are any."""
    device = runtime.start_torch(switches.arithmetic, switches.threads)
    method, _ = methods.load(place, device)
    picture = samples(method, card, switches)
    text = card_text.page(
        card, facts, summary=methods.summary(card.method), translates=method.translates,
        conditional=method.conditional, parameters=parameter_count(method.state_dict()), onnx=with_onnx,
        picture=PICTURE if picture else "")
    page = f"---\n{head(card, facts, method.translates, with_onnx)}---\n\n{text}"
    return {PAGE: page.encode(), **({PICTURE: picture} if picture else {})}


def samples(method: Method, card: Card, switches: RuntimeConfig) -> bytes | None:
    """The first samples, not selected, as a contact sheet that `aigc whence` can check.

    A method that translates has samples where the pipeline made some of this model, else None.
    """
    if method.translates:
        try:
            model_identity.check_samples(card.method, card)
            return paths.grid(card.method).read_bytes()
        except (StorageError, OSError):
            return None
    labels = sampling.default_labels(method, SAMPLES)
    images = torch.cat(list(sampling.blocks(method, SEED, SAMPLES, labels))).numpy()
    claim = replace(drawing.claim_of(card, SEED, switches), index=f"0-{SAMPLES - 1}",
                    label=" ".join(map(str, labels.tolist())))
    return texts.encode(drawing.as_sheet(np.stack(list(images))), claim)


def head(card: Card, facts: Facts, translates: bool, with_onnx: bool) -> str:
    """The metadata block, as YAML. `model_sha256` names the model whole: `aigc publish` looks for it."""
    task = TRANSLATION if translates else UNCONDITIONAL
    dataset = DATASETS.get(card.origin["source"])
    content: dict[str, Any] = {
        **licence(card.origin["licence"]), "library_name": "aigc", "pipeline_tag": task,
        "tags": ["image-generation", card.method, "safetensors", *(["onnx"] if with_onnx else [])],
        **({"datasets": [dataset]} if dataset else {}), "model_sha256": card.sha256, "aigc_version": VERSION}
    if found := measured(facts.metrics):
        content["metrics"] = [name for name, _ in found]
        content["model-index"] = [{"name": f"aigc-{card.method}", "results": [{
            "task": {"type": task}, "dataset": {"type": dataset or "own-pictures", "split": "test",
                                                "name": card.origin["source"]},
            "metrics": [as_result(name, number, facts.metrics["protocol"]) for name, number in found]}]}]
    stream, yaml = io.StringIO(), YAML()
    yaml.width = WIDEST
    yaml.dump(content, stream)
    return stream.getvalue()


def licence(text: str) -> dict[str, str]:
    """The hub's keys for the licence of the training pictures, as params.yaml states it."""
    known = re.sub(r"[\s_]+", "-", text.strip().lower())
    if not known:
        return {"license": "unknown"}
    if LICENCES.fullmatch(known):
        return {"license": known}
    return {"license": "other", "license_name": re.sub(r"[^a-z0-9.]+", "-", known).strip("-")}


def measured(metrics: Mapping[str, Any]) -> list[tuple[str, Mapping[str, float]]]:
    """(name, {value, low, high, floor, ...}) of each metric of the table that the model has."""
    return [(metric.name, metrics[metric.name]) for metric in table.on_page("report")
            if metric.name in metrics]


def as_result(name: str, number: Mapping[str, float], protocol: Mapping[str, Any]) -> dict[str, Any]:
    """A metric of the model-index, with what is needed to read it."""
    bounds = [number[end] for end in ("low", "high") if end in number]
    return {"type": name, "value": number["value"], "name": f"{TITLES[name]}, own protocol",
            "args": {"interval_95": bounds, "floor_real_against_real": number.get("floor"),
                     **{key: protocol[key] for key in ("n", "extractor", "extractor_sha256")}}}
