"""Autoencoder with noise on its codes, and a density fitted to them after training (that density: Ghosh et
al. 2020).

    loss = -log p(x|z) + decay_codes |encoder(x)|^2 / 2,   z = encoder(x) + noise e,  e ~ N(0, I)
    afterwards  q(z) = a Gaussian mixture over the codes of the training pictures;   sampling: decode z ~ q

The training loss does not make the codes follow a known distribution. The mixture learns their distribution.
"""

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

from aigc.core.config import Count, NonNegative
from aigc.methods.families.encoding import Encoding, EncodingConfig
from aigc.model.contract import Shape
from aigc.model.exports import Exports
from aigc.networks.mixture import GaussianMixture


class AutoencoderConfig(EncodingConfig):
    decay_codes: NonNegative
    noise: NonNegative
    components: Count


class Autoencoder(Encoding):
    made_anew = ("density",)
    config: AutoencoderConfig

    def __init__(self, config: AutoencoderConfig, shape: Shape) -> None:
        super().__init__(config, shape)
        self.density = GaussianMixture(config.components, config.latent)

    def updates(self, real: Tensor, labels: Tensor, rng: torch.Generator) -> Iterator[tuple[str, Tensor]]:
        codes = self.codes(real)
        z = codes + self.config.noise * torch.randn(codes.shape, generator=rng, device=rng.device)
        reconstruction = self.reconstruction_loss(self.decoder(z), real)
        yield "autoencoder", (reconstruction + self.config.decay_codes * codes.square().sum(1) / 2).mean()

    def fit_after_training(self, batches: Iterable[Tensor], seed: int) -> None:
        """Fit the mixture to the codes of all training pictures."""
        self.density.fit(torch.cat([self.codes(batch) for batch in batches]), seed)

    def latents(self, count: int, rng: torch.Generator, temperature: float = 1.0) -> Tensor:
        """z ~ q(z), each Gaussian's standard deviations times the temperature: float32 (count, latent)."""
        return self.density.sample(count, rng, temperature)

    def exports(self) -> Exports:
        return self.exports_with(self.density)

    def interpolate(self, start: Tensor, end: Tensor, share: Tensor) -> Tensor:
        """A straight line: the codes are not near a sphere."""
        return torch.lerp(start, end, share[:, None])
