"""A VQ-VAE turns a picture into tokens, a causal transformer learns their sequence (van den Oord et al. 2017;
Radford et al. 2019; Ramesh et al. 2021, DALL-E).

    tokeniser   z = unit(encoder(x)),  token = argmax_k <z, codes_k>,  e = codes[token],  G = decoder(e)
                loss = -log p(x|e) + commitment |z - sg(e)|^2 - adversarial D(G)        sg: no gradient
    critic      loss = relu(1 - D(x)) + relu(1 + D(G)), where adversarial > 0 (Esser et al. 2021, VQGAN)
    prior       loss = -sum_i log p(token_i | class, token_1 ... token_(i-1))
    sampling    token_i = the inverse CDF of softmax(logits / temperature) at u_i = Phi(z_i),  z_i ~ N(0, 1)
                logits = logits(none) + guidance (logits(y) - logits(none))    (Gafni et al. 2022)

The tokeniser learns in the first share of the run, then it is frozen and the prior learns. The gradient of G
passes the codebook unchanged, from e to z. One latent number decides each token, so every latent has one
picture. Only the top_k likeliest tokens are drawn (Fan et al. 2018).
"""

import math
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Annotated

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from aigc.core import paths
from aigc.core.config import Count, NonNegative, Positive, Share
from aigc.core.errors import ConfigError
from aigc.methods.families.adversarial import CRITIC_LOSSES, GENERATOR_LOSSES
from aigc.methods.families.encoding import Likelihood, negative_log_likelihood, pixels
from aigc.model.contract import LearningRate, Method, MethodConfig, Player, Shape
from aigc.model.exports import Call, Exports, Network
from aigc.networks import blocks
from aigc.networks.causal import INITIAL, CausalTransformer, pick
from aigc.networks.codebook import Codebook, unit
from aigc.networks.convolutional import Critic
from aigc.networks.residual import EXPANSION, GROUP, bottlenecks, fix_up

USED = 0.01  # of an even share of the training tokens: a code with less counts as unused
COLLAPSED = 0.1  # share of the codes: with fewer used ones the codebook has collapsed
SQUARE_ROOT_OF_HALF = 0.7071067811865476
TOKENISER_BETAS, CRITIC_BETAS, PRIOR_BETAS = (0.5, 0.99), (0.0, 0.99), (0.9, 0.99)  # of Adam

Width = Annotated[int, Field(gt=0, multiple_of=GROUP // EXPANSION)]
ShareBelow1 = Annotated[float, Field(ge=0, lt=1)]


class TransformerConfig(MethodConfig):
    tokeniser_share: Annotated[float, Field(gt=0, lt=1)]
    tokeniser_lr: LearningRate
    prior_lr: LearningRate
    grid: Count
    codes: Annotated[int, Field(ge=2, le=2**16)]
    code_width: Count
    codebook_decay: ShareBelow1
    commitment: NonNegative
    likelihood: Likelihood
    adversarial: NonNegative
    critic_lr: LearningRate
    width: Width
    max_width: Width
    depth: Count
    prior_width: Count
    layers: Count
    heads: Count
    dropout: ShareBelow1
    label_dropout: Share
    guidance: Positive
    temperature: Positive
    top_k: Count

    @model_validator(mode="after")
    def _guidance_needs_dropout(self) -> "TransformerConfig":
        if self.guidance != 1 and self.label_dropout == 0:
            raise ValueError("guidance other than 1 needs label_dropout above 0: the logits without a class "
                             "are learned from pictures whose class is hidden")
        return self

    @model_validator(mode="after")
    def _heads_divide_the_width(self) -> "TransformerConfig":
        if self.prior_width % self.heads:
            raise ValueError(f"prior_width ({self.prior_width}) must be a multiple of heads ({self.heads})")
        return self


class Transformer(Method):
    config: TransformerConfig
    conditional = True  # where the pictures have classes
    binding_settings = ("heads",)
    made_anew = ("usage",)
    reconstructs = True
    sampling_settings = ("guidance", "temperature", "top_k")
    usage: Tensor

    def __init__(self, config: TransformerConfig, shape: Shape) -> None:
        super().__init__(shape)
        if config.grid >= shape.size:
            raise ConfigError(f"{paths.PARAMS}: `transformer.grid` ({config.grid}) must be below the "
                              f"pictures' side of {shape.size} pixels")
        self.config = config
        self.conditional = shape.has_classes
        sides = blocks.halved(shape.size, config.grid)
        self.side = sides[-1]
        self.latent_shape = (self.side**2,)
        self.encoder, self.decoder = tokeniser(config, shape.channels, sides)
        self.codebook = Codebook(config.codes, config.code_width, config.codebook_decay)
        self.critic = critic(config, shape) if config.adversarial else None
        self.condition = blocks.ClassEmbedding(
            1 + (shape.classes if self.conditional else 0), config.prior_width)
        nn.init.normal_(self.condition.weight, std=INITIAL)
        self.prior = CausalTransformer(config.codes, self.side**2, 1, config.prior_width, config.layers,
                                       config.heads, config.dropout)
        self.register_buffer("usage", torch.zeros(config.codes))  # shares of the training tokens

    def players(self) -> dict[str, Player]:
        switch, config = self.config.tokeniser_share, self.config
        first = {"tokeniser": Player([*self.encoder.parameters(), *self.decoder.parameters()],
                                     config.tokeniser_lr, TOKENISER_BETAS, (0.0, switch))}
        if self.critic is not None:
            first["critic"] = Player(list(self.critic.parameters()), config.critic_lr, CRITIC_BETAS,
                                     (0.0, switch))
        return {**first, "prior": Player([*self.condition.parameters(), *self.prior.parameters()],
                                         config.prior_lr, PRIOR_BETAS, (switch, 1.0))}

    def updates(self, real: Tensor, labels: Tensor, rng: torch.Generator) -> Iterator[tuple[str, Tensor]]:
        if self.progress < self.config.tokeniser_share:
            yield from self.tokeniser_updates(real, rng)
        else:
            with torch.no_grad():
                tokens = self.tokens(real)
            hidden = torch.rand(len(real), generator=rng, device=rng.device) < self.config.label_dropout
            labels = labels.masked_fill(hidden, -1)
            yield "prior", self.token_losses(tokens, labels, rng).mean()

    def tokeniser_updates(self, real: Tensor, rng: torch.Generator) -> Iterator[tuple[str, Tensor]]:
        """The losses of the first part: nats per number of a picture, plus the weighted commitment, minus the
        weighted score of the critic, where there is one. Moves the codebook by this batch.
        """
        z = self.vectors(real)
        tokens = self.codebook(z)
        e = self.codebook.codes[tokens]
        self.codebook.learn(z.detach(), tokens, rng)
        logits = self.decoder(self.on_grid(z + (e - z).detach()))
        nats = negative_log_likelihood(self.config.likelihood, logits, real)
        loss = nats.mean() / real[0].numel() + self.config.commitment * (z - e).square().sum(1).mean()
        if self.critic is not None:
            fake = pixels(logits)
            yield "critic", CRITIC_LOSSES["hinge"](self.critic(real), self.critic(fake.detach()))
            loss = loss + self.config.adversarial * GENERATOR_LOSSES["hinge"](real, self.critic(fake))
        yield "tokeniser", loss

    def token_losses(self, tokens: Tensor, labels: Tensor, rng: torch.Generator | None = None) -> Tensor:
        """-log p(token | class, earlier tokens) in nats: int64 (B, n), int64 (B,) -> (B, n)."""
        logits = self.prior(self.prefix(labels), tokens, rng)
        rows = logits.flatten(0, 1)  # of (B, codes, n) the GPU's loss is not deterministic
        return F.cross_entropy(rows.float(), tokens.flatten(), reduction="none").view_as(tokens)

    def vectors(self, images: Tensor) -> Tensor:
        """The encoder's vector of length 1 at each place: (B, C, H, W) -> (B * n, code_width), row by row."""
        encoded: Tensor = self.encoder(images)
        return unit(encoded.float().permute(0, 2, 3, 1).reshape(-1, self.config.code_width))

    def tokens(self, images: Tensor) -> Tensor:
        """The tokens of pictures, row by row: (B, C, H, W) in [-1, 1] -> int64 (B, n)."""
        tokens: Tensor = self.codebook(self.vectors(images))
        return tokens.view(len(images), -1)

    def on_grid(self, vectors: Tensor) -> Tensor:
        """(B * n, code_width) -> (B, code_width, side, side)"""
        return vectors.view(-1, self.side, self.side, self.config.code_width).permute(0, 3, 1, 2).contiguous()

    def images(self, tokens: Tensor) -> Tensor:
        """The picture of tokens int64 (B, n): (B, C, H, W) in [-1, 1]."""
        return pixels(self.decoder(self.on_grid(self.codebook.codes[tokens.flatten()])))

    def prefix(self, labels: Tensor) -> Tensor:
        """What comes before the first token: the class; an unlabelled picture has its own. int64 (B,) ->
        (B, 1, prior_width).
        """
        classes = self.condition.num_embeddings - 1
        classes_or_none = torch.where(labels < 0, classes, labels) if classes else torch.zeros_like(labels)
        prefix: Tensor = self.condition(classes_or_none)[:, None]
        return prefix

    def decode(self, latents: Tensor, labels: Tensor) -> Tensor:
        return self.images(self.drawn_tokens(latents, labels, self.config.temperature))

    def sample(self, labels: Tensor, rng: torch.Generator, temperature: float = 1.0) -> Tensor:
        """As Method.sample, but the temperature acts on the softmax, not on the latents."""
        latents = self.latents(len(labels), rng)
        return self.images(self.drawn_tokens(latents, labels, temperature * self.config.temperature))

    def drawn_tokens(self, latents: Tensor, labels: Tensor, temperature: float) -> Tensor:
        """The tokens of latents (B, n), one after the other: int64 (B, n)."""
        guided = self.conditional and self.config.guidance != 1
        if guided:
            labels = torch.cat([labels, torch.full_like(labels, -1)])
        past, inputs, tokens = self.prior.start(), self.prefix(labels), []
        for u in uniform(latents).unbind(1):
            logits = self.prior.step(inputs, past)
            if guided:
                with_class, without_class = logits.chunk(2)
                logits = torch.lerp(without_class, with_class, self.config.guidance)
            tokens.append(pick(logits, u, temperature, self.config.top_k))
            inputs = self.prior.embed(tokens[-1]).repeat(1 + guided, 1)[:, None]
        return torch.stack(tokens, 1)

    def reconstruct(self, images: Tensor) -> Tensor:
        return self.images(self.tokens(images))

    def exports(self) -> Exports:
        """The logits of the next token, and the decoder of tokens; the caller draws the tokens in turn."""
        tokens = torch.arange(2 * self.side**2).view(2, -1) % self.config.codes
        step = {"tokens": tokens, "position": torch.tensor(self.side**2 // 2), **self.example_labels()}
        return Exports({"next_token": Network(Call(self, self.next_logits), step, "logits"),
                        "decoder": Network(Call(self, self.images), {"tokens": tokens}, "images")}, (
            f"tokens = np.zeros((count, {self.side**2}), np.int64)\n"
            f"for place in range({self.side**2}):\n"
            "    logits = run('next_token', tokens=tokens, position=np.array(place), labels=labels)\n"
            f"    order = np.argsort(-logits, axis=1, kind='stable')[:, :{self.config.top_k}]\n"
            f"    likely = np.take_along_axis(logits, order, 1) / {self.config.temperature}\n"
            "    ends = np.exp(likely - likely[:, :1]).cumsum(1)\n"
            "    rank = (ends[:, :-1] <= rng.random((count, 1)) * ends[:, -1:]).sum(1)\n"
            "    tokens[:, place] = order[np.arange(count), rank]\n"
            "images = run('decoder', tokens=tokens)\n"))

    def next_logits(self, tokens: Tensor, position: Tensor, labels: Tensor | None = None) -> Tensor:
        """The logits of the token at `position`, int64 (), with guidance: int64 (B, n) -> (B, codes).

        Of the tokens only those before it count.
        """
        none = torch.full((tokens.shape[0],), -1, dtype=torch.int64)
        logits = self.prior(self.prefix(none if labels is None else labels), tokens)
        if labels is not None and self.config.guidance != 1:
            logits = torch.lerp(self.prior(self.prefix(none), tokens), logits, self.config.guidance)
        return logits.index_select(1, position[None]).squeeze(1)

    def fit_after_training(self, batches: Iterable[Tensor], seed: int) -> None:
        """Count how often each code is used for the training pictures."""
        codes = torch.arange(self.config.codes, device=self.usage.device)
        counts = sum((self.tokens(batch).flatten()[:, None] == codes).sum(0) for batch in batches)
        assert isinstance(counts, Tensor)
        self.usage.copy_(counts / counts.sum())

    def own_measures(self, real: Tensor, labels: Tensor, rng: torch.Generator) -> dict[str, Tensor]:
        """bits_per_token: of the prior, without dropout. perplexity: 2^(bits per token) of the batch.

        codebook_use: the share of the codes that have at least USED of an even share of the training tokens.
        codebook_perplexity: exp of the entropy of these shares, 1 to `codes`. codebook_collapsed: whether
        fewer than COLLAPSED of the codes are used. reconstruction_error: mean squared error of a pixel in
        [-1, 1].
        """
        tokens, shares = self.tokens(real), self.usage
        bits = self.token_losses(tokens, labels).mean(1) / math.log(2)
        use = (shares >= USED / len(shares)).float().mean()
        of_batch = {"perplexity": bits.mean().exp2(), "codebook_use": use,
                    "codebook_perplexity": torch.special.entr(shares).sum().exp(),
                    "codebook_collapsed": use < COLLAPSED}
        return {"bits_per_token": bits,
                "reconstruction_error": (self.images(tokens) - real).square().mean((1, 2, 3)),
                **{name: value.expand(len(real)) for name, value in of_batch.items()}}


def uniform(latents: Tensor) -> Tensor:
    """Normal numbers -> uniform ones in [0, 1], by the normal distribution function."""
    return ((latents * SQUARE_ROOT_OF_HALF).erf() + 1) / 2


def critic(config: TransformerConfig, shape: Shape) -> Critic:
    """A critic whose score is a sum over positions: it judges how sharp and natural a picture is in detail.

    With spectral normalisation (Miyato 2018), so that it needs no gradient penalty.
    """
    levels, sides = blocks.pyramid(config.width, shape.size, config.max_width)
    built = Critic(shape.channels, levels, sides)
    for layer in built.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d):
            spectral_norm(layer)
    return built


def tokeniser(config: TransformerConfig, channels: int, sides: list[int]) -> tuple[nn.Module, nn.Module]:
    """encoder: images -> vectors (B, code_width, side, side). decoder: the reverse, to logits of pixels.

    sides: from `blocks.halved`. The vector of a patch depends on its own pixels alone. So equal patches, such
    as those of a blank ground, have one token, and no token tells again what its neighbour tells; both would
    be for the prior to learn. The decoder sees neighbours: it joins the patches.
    """
    levels = [min(config.max_width, config.width * 2**level) for level in range(len(sides))]
    down: list[nn.Module] = []
    up: list[nn.Module] = []
    for (fine, coarse), side in zip(pairwise([channels, *levels[1:]]), sides, strict=False):
        down += [nn.Conv2d(fine, coarse, 2 + side % 2, stride=2), nn.SiLU()]
        up = [nn.SiLU(), blocks.up(coarse, fine, side), *up]
    encoder = nn.Sequential(*down, nn.Conv2d(levels[-1], levels[-1], 1), nn.SiLU(),
                            nn.Conv2d(levels[-1], config.code_width, 1))
    decoder = nn.Sequential(nn.Conv2d(config.code_width, levels[-1], 3, padding=1),
                            bottlenecks(levels[-1], config.depth), *up)
    fix_up(decoder)
    return encoder, decoder
