"""Layers of a style-based generator (Karras et al. 2019, 2020): a style scales the feature maps of each
convolution.
"""

import math
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from aigc.networks.blocks import ClassEmbedding

SLOPE = 0.2  # of the leaky ReLU
MAPPING_RATE = 0.1  # of the mapping's learning rate to the others'; 0.01 in the papers' longer trainings
INITIAL = 0.25  # standard deviation of the weights that are demodulated: the smaller, the faster they turn
EPS = 1e-8  # keeps the demodulation of a style of zeros finite


class Equalised(nn.Module):
    """A linear layer whose weights start at N(0, 1) and are scaled by gain / sqrt(fan_in) in each pass.

    Adam's steps are then of equal size, relative to the weights, in layers of all widths (Karras et al. 2018,
    section 4.1). With torch's own initial weights w would hardly depend on z, nor the styles on w, and all
    pictures would become alike. rate: factor on the learning rate. bias: its first value.
    """

    def __init__(self, fan_in: int, fan_out: int, gain: float = 1.0, rate: float = 1.0,
                 bias: float = 0.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(fan_out, fan_in) / rate)
        self.bias = nn.Parameter(torch.full((fan_out,), bias / rate))
        self.scale, self.rate = gain * rate / math.sqrt(fan_in), rate

    def forward(self, x: Tensor) -> Tensor:
        """(B, fan_in) -> (B, fan_out)"""
        return F.linear(x, self.scale * self.weight, self.rate * self.bias)


class Modulated(nn.Module):
    """A convolution whose weights a style w scales, and whose outputs are brought back to unit variance.

        s = affine(w),   w'_oik = s_i w_oik,   w''_oik = w'_oik / sqrt(sum_ik w'_oik^2 + EPS)

    (Karras 2020, eq. 1 and 3.) A convolution is linear, so here the input is scaled by s and the output by
    the root (their section 2.2): one convolution serves a batch of styles, not a group of filters a picture.
    up_to: the new side, about twice the old one, by a transposed convolution as `blocks.up`; 0 = the same
    side. A pixel then gets a quarter of the taps, so the output is doubled.
    demodulate: without it the weights are divided by sqrt(fan_in kernel^2). gain: factor on the output.
    """

    def __init__(self, fan_in: int, fan_out: int, style: int, kernel: int, up_to: int = 0,
                 demodulate: bool = True, gain: float = 1.0) -> None:
        super().__init__()
        self.affine = Equalised(style, fan_in, bias=1.0)
        self.padding, self.up_to, self.demodulate = kernel // 2, up_to, demodulate
        ends = (fan_in, fan_out) if up_to else (fan_out, fan_in)
        self.weight = nn.Parameter((INITIAL if demodulate else 1) * torch.randn(*ends, kernel, kernel))
        self.gain = gain * (2 if up_to else 1) if demodulate else gain / math.sqrt(fan_in * kernel**2)

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        """(B, fan_in, H, W), (B, style) -> (B, fan_out, H', W')"""
        s = self.affine(w)
        x = x * s[:, :, None, None]
        if self.up_to:
            x = F.conv_transpose2d(x, self.weight, stride=2, padding=1, output_padding=self.up_to % 2)
        else:
            x = F.conv2d(x, self.weight, padding=self.padding)
        return x * (self.norms(s) if self.demodulate else self.gain)

    def norms(self, s: Tensor) -> Tensor:
        """gain / sqrt(sum_ik (s_i w_oik)^2 + EPS): (B, fan_in) -> (B, fan_out, 1, 1)."""
        squares = self.weight.square().sum((2, 3))
        energy = F.linear(s.square(), squares.T if self.up_to else squares)
        return (self.gain * (energy + EPS).rsqrt())[:, :, None, None]


class StyleLayer(nn.Module):
    """Modulated convolution, noise of a learned strength, bias, leaky ReLU."""

    def __init__(self, fan_in: int, fan_out: int, style: int, up_to: int = 0) -> None:
        super().__init__()
        kernel = 4 if up_to else 3
        self.convolution = Modulated(fan_in, fan_out, style, kernel, up_to, gain=math.sqrt(2))
        self.strength = nn.Parameter(torch.zeros(1))
        self.bias = nn.Parameter(torch.zeros(fan_out, 1, 1))

    def forward(self, x: Tensor, w: Tensor, noise: Tensor) -> Tensor:
        """(B, fan_in, H, W), (B, style), (B, 1, H', W') -> (B, fan_out, H', W')"""
        return F.leaky_relu(self.convolution(x, w) + self.bias + self.strength * noise, SLOPE)


class Synthesis(nn.Module):
    """w (B, layers, style), noise (B, pixels) -> images (B, channels, size, size) in [-1, 1].

    The coarsest level starts from a learned constant. Each level makes a picture, and the output is their
    sum, each enlarged to the next side (Karras 2020, figure 7b: skip outputs). Each layer has its own style
    and noise. levels, sides: as of `blocks.pyramid`, in patches of `patch` x `patch` pixels. depth: layers of
    a level behind the one that enlarges.
    """

    def __init__(self, levels: list[int], sides: list[int], channels: int, patch: int, depth: int,
                 style: int) -> None:
        super().__init__()
        widths, self.patch, self.per_level = levels[::-1], patch, 1 + depth
        self.constant = nn.Parameter(torch.randn(widths[0], sides[-1], sides[-1]))
        layers, self.layer_sides = [StyleLayer(widths[0], widths[0], style)], [sides[-1]]
        for (coarse, fine), side in zip(pairwise(widths), sides[-2::-1], strict=True):
            layers += [StyleLayer(coarse, fine, style, side),
                       *(StyleLayer(fine, fine, style) for _ in range(depth))]
            self.layer_sides += [side] * self.per_level
        self.stack = nn.ModuleList(layers)
        self.outputs = nn.ModuleList(Modulated(width, channels * patch**2, style, 1, demodulate=False)
                                     for width in widths)
        self.bias = nn.Parameter(torch.zeros(channels, 1, 1))

    @property
    def layers(self) -> int:
        """The number of styles."""
        return len(self.stack)

    @property
    def pixels(self) -> int:
        """The noise inputs of all layers together."""
        return sum(side**2 for side in self.layer_sides)

    def forward(self, w: Tensor, noise: Tensor) -> Tensor:
        """(B, layers, style), (B, pixels) -> (B, channels, size, size)"""
        maps = noise.split([side**2 for side in self.layer_sides], dim=1)
        x, images = self.constant.expand(w.shape[0], -1, -1, -1), []
        for index, (layer, side) in enumerate(zip(self.stack, self.layer_sides, strict=True)):
            x = layer(x, w[:, index], maps[index].unflatten(1, (1, side, side)))
            if index % self.per_level == 0:  # the level's last layer
                output = self.outputs[index // self.per_level](x, w[:, index])
                images.append(F.pixel_shuffle(output, self.patch))
        image = images[0]
        for finer in images[1:]:
            image = F.interpolate(image, size=finer.shape[2:], mode="bilinear") + finer
        return (image + self.bias).tanh()


class StyleGenerator(nn.Module):
    """Latents (B, 2 * latent + pixels) [, labels (B,)] -> images (B, channels, size, size) in [-1, 1].

    Latents are z, the z of a second style, and the noise of all layers. The mapping network makes w of z and,
    with classes, an embedding of the class. The label `classes` means no class.
    """

    def __init__(self, latent: int, mapping: int, style: int, synthesis: Synthesis, classes: int = 0) -> None:
        super().__init__()
        self.latent, self.synthesis = latent, synthesis
        self.embed = ClassEmbedding(classes + 1, latent) if classes else None
        inputs = latent * (2 if classes else 1)
        widths = pairwise([inputs, *[style] * mapping])
        self.mapping = nn.Sequential(*(layer for pair in widths for layer in (
            Equalised(*pair, gain=math.sqrt(2), rate=MAPPING_RATE), nn.LeakyReLU(SLOPE))))

    def map(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """z (B, latent) -> w (B, style)."""
        w: Tensor = self.mapping(z if self.embed is None else torch.cat([z, self.embed(labels)], dim=1))
        return w

    def styles(self, latents: Tensor, crossover: Tensor,
               labels: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """w of each layer (B, layers, style), and the noise (B, pixels).

        crossover: int64 (B, 1); layers from it on have the second style (Karras 2019, section 3.1).
        """
        first, second, noise = latents.split([self.latent, self.latent, self.synthesis.pixels], dim=1)
        both = self.map(torch.cat([first, second]), None if labels is None else labels.repeat(2))
        layer = torch.arange(self.synthesis.layers, device=latents.device)
        w_1, w_2 = both[:, None].chunk(2)
        return torch.where((layer < crossover)[:, :, None], w_1, w_2), noise

    def forward(self, latents: Tensor, crossover: Tensor, labels: Tensor | None = None) -> Tensor:
        """(B, 2 * latent + pixels), int64 (B, 1), int64 (B,) -> (B, channels, size, size)"""
        images: Tensor = self.synthesis(*self.styles(latents, crossover, labels))
        return images
