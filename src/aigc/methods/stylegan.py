"""Style-based GAN (Karras et al. 2019, 2020, 2020 ADA): a mapping network turns z into a style w, which
scales the feature maps of every convolution of the generator.

    w = map(z, y),  s = affine(w)          w''_oik = s_i w_oik / sqrt(sum_ik (s_i w_oik)^2)
    layer(h) = leaky_relu(w'' * h + bias + strength noise)
    G = tanh(sum of the levels' pictures)  truncation: w <- mean + truncation (w - mean)

The losses are those of `families.adversarial`; R1 is lazy. The critic sees how much the pictures of a batch
differ, and what it sees is augmented with a probability that follows how far it overfits (ADA). With labels
both networks know the class. All random inputs of a picture are in its latents: z, the z of a second style to
mix in, and the noise of each layer.

Departures from the papers:
- The critic is dcgan's. Both networks are narrow, and a picture may be made in patches of pixels.
- No path length penalty. Weights that are demodulated start smaller, so that they learn faster.
- z is not normalised, so that `generate.temperature` has an effect. The output has a tanh.
- The mean of w is that of the class, of the averaged weights, computed after training.
"""

from collections.abc import Iterable
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from aigc.core import paths
from aigc.core.config import Count, NonNegative, Share
from aigc.core.errors import ConfigError
from aigc.methods.families.adversarial import Adversarial, GANLossConfig
from aigc.model.contract import Shape, slerp
from aigc.networks import blocks
from aigc.networks.adaptive import AdaptiveAugmentation, Augmentation
from aigc.networks.convolutional import Critic
from aigc.networks.style import StyleGenerator, Synthesis

MEAN_OF = 4096  # draws of z, for the mean of w


class StyleGANConfig(GANLossConfig):
    width: Count
    max_width: Count
    patch: Count
    depth: Annotated[int, Field(ge=0)]
    style: Count
    mapping: Count
    critic_hidden: Annotated[int, Field(ge=0)]
    mixing: Share
    augmentations: list[Augmentation]
    overfitting: Annotated[float, Field(ge=-1, le=1)]
    ramp: Count
    truncation: NonNegative
    mixed: Annotated[int, Field(ge=0)]


class StyleGAN(Adversarial):
    config: StyleGANConfig
    generator: StyleGenerator
    w_mean: Tensor
    conditional = True  # where the pictures have classes
    sampling_settings = ("truncation", "mixed")
    made_anew = ("w_mean",)

    def __init__(self, config: StyleGANConfig, shape: Shape) -> None:
        levels, sides = blocks.pyramid(config.width, shape.size, config.max_width)
        coarser = config.patch.bit_length() - 1
        if sides[coarser:-1] == [] or sides[coarser] * config.patch != shape.size:
            raise ConfigError(f"{paths.PARAMS}: `stylegan.patch` ({config.patch}) must be a power of 2 that "
                              f"divides the pictures' side of {shape.size} pixels into 8 parts or more")
        classes = shape.classes if shape.has_classes else 0
        synthesis = Synthesis(levels[coarser:], sides[coarser:], shape.channels, config.patch,
                              config.depth, config.style)
        if config.mixed > synthesis.layers:
            raise ConfigError(f"`stylegan.mixed` ({config.mixed}) is more than the {synthesis.layers} layers "
                              f"of a generator of {shape.size} x {shape.size} pixels")
        with_none = classes + 1 if classes else 0  # an unlabelled picture has a class of its own
        super().__init__(
            config, shape,
            StyleGenerator(config.latent, config.mapping, config.style, synthesis, classes),
            Critic(shape.channels, levels, sides, with_none, config.critic_hidden, see_batch=True))
        self.conditional = shape.has_classes
        self.latent_shape = (2 * config.latent + synthesis.pixels,)
        self.augmentation = AdaptiveAugmentation(config.augmentations, config.overfitting, config.ramp)
        self.register_buffer("w_mean", torch.zeros(max(1, classes), config.style))

    def generated(self, labels: Tensor, rng: torch.Generator) -> Tensor:
        """Images for training: with probability `mixing` of two styles, from a random layer on."""
        layers, count = self.generator.synthesis.layers, len(labels)
        first = torch.randint(1, layers, (count, 1), generator=rng, device=rng.device)
        is_mixed = torch.rand(count, 1, generator=rng, device=rng.device) < self.config.mixing
        images: Tensor = self.generator(self.latents(count, rng), torch.where(is_mixed, first, layers),
                                        *self.condition(labels))
        return images

    def augmented(self, images: Tensor, rng: torch.Generator) -> Tensor:
        """As Adversarial.augmented, after the adaptive augmentation."""
        if self.config.augmentations:
            images = self.augmentation.augmented(images, rng)
        return super().augmented(images, rng)

    def heed(self, real_logits: Tensor) -> None:
        """Adjust the augmentation by the critic's scores of real pictures."""
        self.augmentation.observe(real_logits)

    @torch.no_grad()
    def fit_after_training(self, batches: Iterable[Tensor], seed: int) -> None:
        """Estimate the mean of w, of each class where there are classes."""
        rng = torch.Generator(self.w_mean.device).manual_seed(seed)
        z = torch.randn(MEAN_OF, self.config.latent, generator=rng, device=rng.device)
        for label, mean in enumerate(self.w_mean):
            labels = torch.full((MEAN_OF,), label, device=rng.device)
            mean.copy_(self.generator.map(z, *self.condition(labels)).mean(0))

    def styles(self, latents: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """The w of each layer, mixed and truncated as the settings say, and the noise."""
        layers = self.generator.synthesis.layers
        crossover = torch.full((latents.shape[0], 1), layers - self.config.mixed, device=latents.device)
        w, noise = self.generator.styles(latents, crossover, *self.condition(labels))
        mean = self.w_mean[labels if self.conditional else torch.zeros_like(labels)][:, None]
        return (w if self.config.truncation == 1 else torch.lerp(mean, w, self.config.truncation)), noise

    def decode(self, latents: Tensor, labels: Tensor) -> Tensor:
        images: Tensor = self.generator.synthesis(*self.styles(latents, labels))
        return images

    def decode_between(self, start: Tensor, end: Tensor, share: Tensor, labels: Tensor) -> Tensor:
        """As Method.decode_between: w goes along a straight line, the noise along an arc."""
        (w_0, noise_0), (w_1, noise_1) = self.styles(start, labels), self.styles(end, labels)
        images: Tensor = self.generator.synthesis(torch.lerp(w_0, w_1, share[:, None, None]),
                                                  slerp(noise_0, noise_1, share))
        return images
