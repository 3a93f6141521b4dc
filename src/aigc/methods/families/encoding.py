"""What methods with an encoder share: encoder and decoder, the reconstruction loss, reconstruction."""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from aigc.core.config import Count
from aigc.model.contract import LearningRate, Method, MethodConfig, Player, Shape
from aigc.model.exports import Exports, Network
from aigc.networks import trunks
from aigc.networks.mixture import GaussianMixture

Likelihood = Literal["bernoulli", "gaussian"]


class EncodingConfig(MethodConfig):
    latent: Count
    width: Count
    max_width: Count
    learning_rate: LearningRate
    trunk: trunks.Trunk
    likelihood: Likelihood


class Encoding(Method):
    """encoder: images -> `outputs` numbers per latent dimension. decoder: latents -> logits of the pixels."""

    reconstructs = encodes = True
    config: EncodingConfig

    def __init__(self, config: EncodingConfig, shape: Shape, outputs: int = 1) -> None:
        super().__init__(shape)
        self.config = config
        self.latent_shape = (config.latent,)
        self.encoder, self.decoder = trunks.encoder_and_decoder(
            config.trunk, shape.image, outputs * config.latent, config.latent, config.width, config.max_width)

    def players(self) -> dict[str, Player]:
        return {"autoencoder": Player(list(self.parameters()), self.config.learning_rate)}

    def decode(self, latents: Tensor, labels: Tensor) -> Tensor:
        """The mean of p(x|z), in [-1, 1]."""
        return pixels(self.decoder(latents))

    def exports_with(self, prior: GaussianMixture | None) -> Exports:
        """As Method.exports, with latents from `prior`; None = normal ones."""
        normal = super().exports()
        if prior is None:
            return normal
        draws = {"uniform": torch.rand(2), "noise": torch.randn(2, self.config.latent)}
        return Exports({"prior": Network(prior, draws, "latents"), **normal.networks}, (
            "latents = run('prior', uniform=rng.random(count, np.float32),\n"
            f"              noise=rng.standard_normal((count, {self.config.latent}), np.float32))\n"
            "images = run('decoder', latents=latents)\n"))

    def codes(self, images: Tensor) -> Tensor:
        """The latents of images: (B, C, H, W) in [-1, 1] -> (B, latent)."""
        codes: Tensor = self.encoder(images)
        return codes

    def reconstruct(self, images: Tensor) -> Tensor:
        """Images through encoder and decoder: (B, C, H, W) in [-1, 1] -> the same."""
        return pixels(self.decoder(self.codes(images)))

    def own_measures(self, real: Tensor, labels: Tensor, rng: torch.Generator) -> dict[str, Tensor]:
        """reconstruction_error: mean squared error of a pixel in [-1, 1], from the codes without noise."""
        return {"reconstruction_error": (self.reconstruct(real) - real).square().mean((1, 2, 3))}

    def reconstruction_loss(self, logits: Tensor, real: Tensor, deviation: float | None = None) -> Tensor:
        """-log p(x|z) in nats, summed over pixels: (B,). See `negative_log_likelihood`."""
        return negative_log_likelihood(self.config.likelihood, logits, real, deviation)


def negative_log_likelihood(likelihood: Likelihood, logits: Tensor, real: Tensor,
                            deviation: float | None = None) -> Tensor:
    """-log p(x|z) in nats, summed over pixels: logits and real (B, C, H, W) -> (B,).

    bernoulli: binary cross-entropy with pixels in [0, 1] as probabilities. This is the expected value
    for an image whose pixels are drawn black or white; it is no density of the grey image (Loaiza-Ganem
    & Cunningham 2019). gaussian: pixels in [-1, 1] with one standard deviation. None = the
    maximum-likelihood value for this batch, sigma^2 = mean squared error (Rybkin 2021, eq. 5).
    """
    if likelihood == "bernoulli":
        return F.binary_cross_entropy_with_logits(logits, (real + 1) / 2, reduction="none").sum((1, 2, 3))
    error = (pixels(logits) - real).square()
    variance = error.mean().detach() if deviation is None else real.new_full((), deviation**2)
    return error.sum((1, 2, 3)) / (2 * variance) + real[0].numel() / 2 * (2 * torch.pi * variance).log()


def pixels(logits: Tensor) -> Tensor:
    """Logits -> pixels in [-1, 1]: 2 sigmoid(a) - 1."""
    return torch.tanh(logits / 2)
