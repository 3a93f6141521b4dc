"""A codebook: vectors that stand for all outputs of an encoder (van den Oord et al. 2017)."""

import torch
from torch import Tensor, nn

DEAD = 0.03  # of an even share of the vectors: a code that is chosen less often is restarted
RESTARTED = 0.06  # of an even share: the count that a restarted code begins with
TRIES = 8  # vectors that are drawn for a restart
TINY = 1e-12  # keeps the length of a vector above 0


class Codebook(nn.Module):
    """K codes of d dimensions, learned as moving averages (van den Oord et al. 2017, appendix A.1).

        counts_k <- decay counts_k + (1 - decay) n_k          n_k: how many vectors of the batch chose code k
        sums_k   <- decay sums_k + (1 - decay) sum of these vectors         codes_k = sums_k / |sums_k|

    Vectors and codes have length 1 (Yu et al. 2022, ViT-VQGAN), so the nearest code is the one with the
    largest product. A code that hardly any vector chooses is restarted at a vector of the batch (as
    Dhariwal et al. 2020, Jukebox): of TRIES drawn ones, the one that is farthest from its code. Any one would
    split what is frequent, such as a blank ground, into many codes that mean the same. At first all codes
    are unused, so the first batch sets them.

    The state is in buffers: no optimizer changes it.
    """

    codes: Tensor
    counts: Tensor
    sums: Tensor

    def __init__(self, codes: int, dimensions: int, decay: float) -> None:
        super().__init__()
        self.decay = decay
        self.register_buffer("codes", unit(torch.randn(codes, dimensions)))
        self.register_buffer("counts", torch.zeros(codes))
        self.register_buffer("sums", torch.zeros(codes, dimensions))

    def forward(self, vectors: Tensor) -> Tensor:
        """The index of the nearest code: float32 (N, d) of length 1 -> int64 (N,)."""
        with torch.autocast(vectors.device.type, enabled=False), torch.no_grad():
            return (vectors.float() @ self.codes.T).argmax(1)

    @torch.no_grad()
    def learn(self, vectors: Tensor, tokens: Tensor, rng: torch.Generator) -> None:
        """Move the codes by one batch of vectors (N, d) with their tokens (N,), and restart dead codes."""
        with torch.autocast(vectors.device.type, enabled=False):
            vectors = vectors.float()
            chosen = (tokens[:, None] == torch.arange(len(self.codes), device=tokens.device)).float()
            self.counts.lerp_(chosen.sum(0), 1 - self.decay)
            self.sums.lerp_(chosen.T @ vectors, 1 - self.decay)
        even = len(vectors) / len(self.codes)
        dead = self.counts < DEAD * even
        drawn = torch.randint(len(vectors), (TRIES, len(self.codes)), generator=rng, device=rng.device)
        distance = (vectors - self.codes[tokens]).square().sum(1)
        farthest = drawn.gather(0, distance[drawn].argmax(0, keepdim=True)).squeeze(0)
        count = RESTARTED * even
        self.counts.copy_(torch.where(dead, count, self.counts))
        self.sums.copy_(torch.where(dead[:, None], count * vectors[farthest], self.sums))
        self.codes.copy_(unit(self.sums))


def unit(vectors: Tensor) -> Tensor:
    """Each of (..., d) scaled to length 1. x * rsqrt, since sqrt is not portable: core/runtime.py."""
    return vectors * (vectors.square().sum(-1, keepdim=True) + TINY).rsqrt()
