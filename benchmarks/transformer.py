"""Pictures a second that the transformer samples, with and without its cache of keys and values.

    PYTHONPATH=src python benchmarks/transformer.py [--grid 8 16] [--pictures 32] [--rounds 3]

An untrained model of the settings of params.yaml for pictures of 32 x 32 in colour. Without the cache the
whole network sees all tokens so far for each new one. The two take turns in one process, and CPU seconds of
one thread are counted. `equal` is the share of the tokens that both ways draw: a rounding can change one.
"""

import argparse
import statistics
import time
from collections.abc import Callable

from aigc.core import runtime

runtime.cap_environment("portable", 1)

import torch
from torch import Tensor

from aigc import methods
from aigc.core import config
from aigc.methods.transformer import Transformer, uniform
from aigc.model.contract import Shape
from aigc.networks.causal import pick


def without_cache(model: Transformer, latents: Tensor, labels: Tensor) -> Tensor:
    """As Transformer.drawn_tokens, with the whole network on all tokens so far."""
    inputs, tokens = model.prefix(labels), []
    for u in uniform(latents).unbind(1):
        logits = model.prior.step(inputs, model.prior.start())
        tokens.append(pick(logits, u, model.config.temperature, model.config.top_k))
        inputs = torch.cat([inputs, model.prior.embed(tokens[-1])[:, None]], 1)
    return torch.stack(tokens, 1)


def with_cache(model: Transformer, latents: Tensor, labels: Tensor) -> Tensor:
    return model.drawn_tokens(latents, labels, model.config.temperature)


def seconds(draw: Callable[[Transformer, Tensor, Tensor], Tensor], model: Transformer, latents: Tensor,
            labels: Tensor) -> tuple[float, Tensor]:
    """CPU seconds of one call, and its tokens."""
    started = time.process_time()
    tokens = draw(model, latents, labels)
    return time.process_time() - started, tokens


@torch.inference_mode()
def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--grid", nargs="+", type=int, default=[8, 16], help="tokens a side (default 8 16)")
    parser.add_argument("--pictures", type=int, default=32, help="pictures of a batch (default 32)")
    parser.add_argument("--rounds", type=int, default=3, help="the median of so many (default 3)")
    chosen = parser.parse_args()
    runtime.start_torch("portable", 1)
    section = dict(config.read()["transformer"])
    for grid in chosen.grid:
        section |= {"grid": grid, "guidance": 1.0}
        settings = methods.load_config("transformer", {"transformer": section})
        torch.manual_seed(0)
        model = methods.build("transformer", settings, Shape(3, 32, 10)).eval()
        for parameter in model.prior.parameters():
            torch.nn.init.normal_(parameter, std=0.1)  # an untrained prior predicts the same everywhere
        labels = torch.arange(chosen.pictures) % 10
        latents = model.latents(chosen.pictures, torch.Generator().manual_seed(0))
        times: dict[str, list[float]] = {"with": [], "without": []}
        for _ in range(chosen.rounds):
            spent, tokens = seconds(with_cache, model, latents, labels)
            times["with"].append(spent)
            spent, others = seconds(without_cache, model, latents, labels)
            times["without"].append(spent)
        fast, slow = (statistics.median(times[name]) for name in ("with", "without"))
        print(f"{grid} x {grid} tokens: with cache {chosen.pictures / fast:7.1f} pictures/s, without "
              f"{chosen.pictures / slow:7.1f}, ratio {slow / fast:.1f}, "
              f"equal {(tokens == others).float().mean():.4f}", flush=True)


if __name__ == "__main__":
    main()
