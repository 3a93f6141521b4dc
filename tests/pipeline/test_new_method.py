"""A new method is one file, a section in params.yaml and a name under `methods:`."""

from pathlib import Path

from ruamel.yaml import YAML

from projects import run_in

PAGE = '''"""One picture that training moves to the mean of the real ones, plus noise: a very small method."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from aigc.model.contract import LearningRate, Method, MethodConfig, Player, Shape


class MeanPictureConfig(MethodConfig):
    learning_rate: LearningRate


class MeanPicture(Method):
    def __init__(self, config: MeanPictureConfig, shape: Shape) -> None:
        super().__init__(shape)
        self.latent_shape, self.learning_rate = shape.image, config.learning_rate
        self.mean = nn.Parameter(torch.zeros(shape.image))

    def players(self) -> dict[str, Player]:
        return {"mean": Player([self.mean], self.learning_rate)}

    def updates(self, real: Tensor, labels: Tensor, rng: torch.Generator) -> Iterator[tuple[str, Tensor]]:
        yield "mean", (self.mean - real).square().mean()

    def decode(self, latents: Tensor, labels: Tensor) -> Tensor:
        return (self.mean + 0.1 * latents).clamp(-1, 1)
'''
SECTION = """
mean_picture:
  <<: *training
  images: 3000              # length of the training in pictures seen
  learning_rate: 0.05       # Adam
"""


def stages(project: Path) -> dict[str, object]:
    found: dict[str, object] = YAML(typ="safe", pure=True).load(project / "dvc.lock")["stages"]
    return found


def test_a_method_of_one_file_runs_from_train_to_report_and_makes_no_other_train_again(project: Path) -> None:
    before = stages(project)
    (project / "src/aigc/methods/mean_picture.py").write_text(PAGE)
    params = project / "params.yaml"
    params.write_text(
        params.read_text().replace("methods: [vae, gan]", "methods: [vae, gan, mean_picture]") + SECTION
    )
    stale = run_in(project, "aigc", "deps", "--check", check=False, PYTHONPATH="src")
    assert stale.returncode == 1 and "run `aigc deps`" in stale.stderr
    run_in(project, "aigc", "deps", PYTHONPATH="src")
    run_in(project, "dvc", "repro")
    after = stages(project)
    for stage in ("train", "generate", "evaluate"):
        assert f"{stage}@mean_picture" in after
        assert all(after[f"{stage}@{name}"] == before[f"{stage}@{name}"] for name in ("vae", "gan"))
    assert "mean_picture" in (project / "reports/report.html").read_text()
    assert "reports/plots/mean_picture/history.csv: [loss/mean]" in (project / "dvc.yaml").read_text()
    shown = run_in(project, "aigc", "params", "mean_picture", PYTHONPATH="src").stdout
    assert "mean_picture.learning_rate" in shown and "pictures per step" in shown
