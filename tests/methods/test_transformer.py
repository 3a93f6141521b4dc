"""The transformer: two players in turn, its latents, its measures, and what it refuses."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from aigc import methods
from aigc.core.errors import ConfigError
from aigc.core.runtime import Device
from aigc.methods import transformer
from aigc.model import sampling
from aigc.model.contract import Shape
from aigc.training.config import TrainConfig
from aigc.training.feed import Feed
from aigc.training.loop import Trainer
from small import committed_params
from training.test_waits import READS

SMALL = {"width": 8, "max_width": 16, "prior_width": 16, "layers": 2, "codes": 16, "code_width": 4,
         "batch_size": 8, "images": 64, "top_k": 16, "guidance": 1.0}
SHAPE = Shape(1, 16, 3)
NO_LABELS = torch.full((2,), -1)


def build(shape: Shape = SHAPE, **changes: object) -> transformer.Transformer:
    torch.manual_seed(0)
    section = committed_params()["transformer"] | SMALL | changes
    built = methods.build("transformer", methods.load_config("transformer", {"transformer": section}), shape)
    assert isinstance(built, transformer.Transformer)
    for parameter in (*built.prior.parameters(), *built.condition.parameters()):
        torch.nn.init.normal_(parameter, std=0.3)  # a new prior knows neither class nor place
    return built.eval()


def pictures(count: int = 40) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (count, *SHAPE.image), dtype=np.uint8), rng.integers(0, 3, count)


def trainer(device: Device, **changes: object) -> Trainer:
    section = committed_params()["transformer"] | SMALL | changes
    config = methods.load_config("transformer", {"transformer": section})
    train = TrainConfig(seed=0, intervals=4, checkpoints=1)
    return Trainer("transformer", lambda: methods.build("transformer", config, SHAPE),
                   Feed(*pictures(), 0, device), config, train, device)


def test_the_tokeniser_learns_in_the_first_share_and_is_frozen_in_the_second(device: Device) -> None:
    run = trainer(device, tokeniser_share=0.5)
    half = run.schedule.steps // 2
    for _ in range(half):
        (_, player, *_), = run.train_step()
        assert player == "tokeniser"
    before = {name: value.clone() for name, value in run.model.state_dict().items()}
    for _ in range(half):
        (_, player, *_), = run.train_step()
        assert player == "prior"
    for name, value in run.model.state_dict().items():
        learns = name.startswith(("prior", "condition"))
        assert torch.equal(value, before[name]) != learns or (not learns and not value.any()), name


def test_the_averaged_tokeniser_ends_as_the_frozen_one(device: Device) -> None:
    run = trainer(device, images=1600, ema_halflife=10.0)
    run.fit()
    for average, trained in zip(run.ema.model.encoder.parameters(), run.model.encoder.parameters(),
                                strict=True):
        torch.testing.assert_close(average, trained, rtol=0, atol=1e-5)


def test_a_row_of_history_lacks_the_player_that_rests_and_each_half_has_its_own_learning_rate(
    device: Device
) -> None:
    run = trainer(device, images=640, tokeniser_share=0.5, warmup=0.0, decay=0.5)
    run.fit()
    first, second, third, fourth = run.history
    assert {name.partition("/")[2] for name in first if "/" in name} == {"tokeniser"}
    assert {name.partition("/")[2] for name in fourth if "/" in name} == {"prior"}
    assert all(math.isfinite(value) for row in run.history for value in row.values())
    peak = run.model.config.tokeniser_lr
    assert first["learning_rate/tokeniser"] == pytest.approx(peak)
    assert run.model.config.prior_lr == pytest.approx(third["learning_rate/prior"])
    assert second["step"] == 40 and "loss/prior" not in second


def test_the_loss_of_the_prior_is_the_cross_entropy_of_each_token_given_those_before() -> None:
    built = build()
    tokens, labels = torch.randint(16, (2, 64)), torch.tensor([0, 2])
    with torch.no_grad():
        found = built.token_losses(tokens, labels)
        for place in (0, 1, 63):
            past, inputs = built.prior.start(), built.prefix(labels)
            for earlier in range(place):
                built.prior.step(inputs, past)
                inputs = built.prior.embed(tokens[:, earlier])[:, None]
            chances = built.prior.step(inputs, past).log_softmax(1)
            torch.testing.assert_close(found[:, place], -chances[torch.arange(2), tokens[:, place]],
                                       rtol=1e-4, atol=1e-5)


def test_the_gradient_of_the_picture_passes_the_codebook_unchanged() -> None:
    built = build(commitment=0.0)
    z = transformer.unit(torch.randn(128, 4)).requires_grad_()
    e = built.codebook.codes[built.codebook(z)].requires_grad_()
    weights = torch.randn(2, 1, 16, 16)
    gradient, = torch.autograd.grad((built.decoder(built.on_grid(z + (e - z).detach())) * weights).sum(), z)
    expected, = torch.autograd.grad((built.decoder(built.on_grid(e)) * weights).sum(), e)
    torch.testing.assert_close(gradient, expected)


@pytest.mark.parametrize(("size", "patch"), [(16, 2), (28, 4), (88, 0)])  # 88 -> 44 -> 22 -> 11 -> 5: none
def test_a_vector_is_of_its_own_patch_alone_and_every_pixel_is_seen(size: int, patch: int) -> None:
    built = build(Shape(1, size, 0))
    real = torch.rand(1, 1, size, size).requires_grad_()
    vectors, seen = built.vectors(real).view(built.side, built.side, -1), torch.zeros(size, size)
    for row in range(built.side):
        for column in range(built.side):
            vector = vectors[row, column] @ torch.randn(vectors.shape[2])
            gradient = torch.autograd.grad(vector, real, retain_graph=True)[0][0, 0].abs()
            seen += gradient
            if patch:
                gradient[patch * row:patch * (row + 1), patch * column:patch * (column + 1)] = 0
                assert not gradient.any()
    assert (seen > 0).all()


def test_tokens_become_the_picture_at_their_place() -> None:
    built = build(Shape(1, 16, 0), depth=1)
    tokens = torch.zeros(1, 64, dtype=torch.int64)
    other = tokens.clone()
    other[0, 8 * 1 + 6] = 1  # row 1, column 6 of 8 x 8 places of 2 x 2 pixels
    with torch.no_grad():
        rows, columns = (built.images(tokens) - built.images(other))[0, 0].abs().gt(1e-6).nonzero().unbind(1)
    assert rows.min() < 4 < columns.min() and rows.max() < 12 < columns.max()


def latents_of_two() -> Tensor:
    return torch.randn(2, 64, generator=torch.Generator().manual_seed(1))


@torch.no_grad()
def test_the_first_token_of_many_latents_has_the_distribution_of_the_prior() -> None:
    built, count = build(temperature=0.7, top_k=5), 4000
    labels = torch.full((count,), 1)
    latents = built.latents(count, torch.Generator().manual_seed(0))
    past = built.prior.start()
    tokens = transformer.pick(built.prior.step(built.prefix(labels), past), uniform_of(latents)[:, 0], 0.7, 5)
    logits = built.prior.step(built.prefix(labels[:1]), built.prior.start())[0]
    kept = logits >= logits.sort().values[-5]
    expected = (logits / 0.7).masked_fill(~kept, -torch.inf).softmax(0)
    assert torch.equal(built.drawn_tokens(latents, labels, 0.7)[:, 0], tokens)
    torch.testing.assert_close(torch.bincount(tokens, minlength=16) / count, expected, rtol=0, atol=0.03)


def uniform_of(latents: Tensor) -> Tensor:
    return torch.distributions.Normal(0.0, 1.0).cdf(latents)


@torch.no_grad()
def test_sampling_with_the_cache_picks_the_tokens_that_the_whole_network_picks() -> None:
    built, latents, labels = build(), latents_of_two(), torch.tensor([0, 2])
    tokens = built.drawn_tokens(latents, labels, 1.0)
    logits, uniform = built.prior(built.prefix(labels), tokens), uniform_of(latents)
    again = torch.stack([transformer.pick(logits[:, place], uniform[:, place], 1.0, 16)
                         for place in range(64)], 1)
    assert torch.equal(tokens, again)


@torch.no_grad()
def test_guided_tokens_are_drawn_from_the_logits_that_lie_beyond_those_of_the_class() -> None:
    built, latents, labels = build(guidance=2.5), latents_of_two(), torch.tensor([0, 2])
    tokens = built.drawn_tokens(latents, labels, 1.0)
    with_class, without = (built.prior(built.prefix(seen), tokens) for seen in (labels, NO_LABELS))
    logits, uniform = without + 2.5 * (with_class - without), uniform_of(latents)
    again = torch.stack([transformer.pick(logits[:, place], uniform[:, place], 1.0, 16)
                         for place in range(64)], 1)
    assert torch.equal(tokens, again)
    assert not torch.equal(tokens, build().drawn_tokens(latents, labels, 1.0))


def test_the_class_of_a_share_of_the_pictures_is_hidden_from_the_prior() -> None:
    labels, seen = torch.arange(3).repeat(400), []
    built = build(label_dropout=0.25).train()
    built.progress = 0.9
    built.token_losses = lambda tokens, labels, rng: seen.append(labels) or built.condition.weight.sum()  # type: ignore[func-returns-value]
    next(built.updates(torch.rand(1200, 1, 16, 16), labels, torch.Generator().manual_seed(0)))
    hidden = seen[0] < 0
    assert 0.2 < hidden.float().mean() < 0.3 and torch.equal(seen[0][~hidden], labels[~hidden])


@torch.no_grad()
def test_a_picture_does_not_depend_on_the_others_of_its_block() -> None:
    built, count = build(), sampling.BLOCK
    latents, labels = built.latents(count, torch.Generator().manual_seed(0)), torch.arange(count) % 3
    alone = built.decode(latents, labels)[5]
    others = torch.randn(count, 64, generator=torch.Generator().manual_seed(1))
    others[5] = latents[5]
    assert torch.equal(built.decode(others, torch.full_like(labels, int(labels[5])))[5], alone)


@torch.no_grad()
def test_extreme_latents_have_a_picture() -> None:
    built = build()
    for value in (-1e9, -8.0, 8.0, 1e9):
        assert built.decode(torch.full((2, 64), value), torch.tensor([0, 1])).isfinite().all()


@torch.no_grad()
def test_a_temperature_near_0_draws_the_likeliest_tokens_whatever_the_latents() -> None:
    built = build(temperature=1.0)
    labels = torch.tensor([1, 1])
    first, second = built.sample(labels, torch.Generator().manual_seed(0), temperature=1e-3)
    greedy = build(top_k=1).decode(latents_of_two(), labels)
    assert torch.equal(first, second) and torch.equal(first, greedy[0])
    assert not torch.equal(*built.sample(labels, torch.Generator().manual_seed(0)))


@torch.no_grad()
def test_the_class_decides_the_picture_and_an_unlabelled_one_has_its_own_prefix() -> None:
    built = build()
    latents = torch.randn(8, 64, generator=torch.Generator().manual_seed(1))
    found = [built.decode(latents, torch.full((8,), label)) for label in (0, 1, 2, -1)]
    assert all(not torch.equal(found[a], found[b]) for a in range(4) for b in range(a))
    without = build(Shape(1, 16, 0))
    assert not without.conditional and torch.equal(
        *without.decode(latents[:1].expand(2, -1), torch.tensor([-1, 0])))


def test_a_class_out_of_range_is_one_line() -> None:
    with pytest.raises(ConfigError) as caught:
        next(sampling.blocks(build(), 0, 1, torch.tensor([3])))
    assert str(caught.value) == "label 3 is out of range: this model knows 0 to 2"


@pytest.mark.parametrize(("changes", "says"), [
    ({"grid": 16}, r"`transformer.grid` \(16\) must be below the pictures' side of 16 pixels"),
    ({"heads": 3}, r"prior_width \(16\) must be a multiple of heads \(3\)"),
    ({"tokeniser_share": 1.0}, "`transformer.tokeniser_share`"),
    ({"top_k": 0}, "`transformer.top_k`"),
    ({"codes": 1}, "`transformer.codes`"),
    ({"guidance": 2.0, "label_dropout": 0.0}, "guidance other than 1 needs label_dropout above 0"),
])
def test_what_cannot_be_built_is_one_line_that_names_the_key(changes: dict[str, object], says: str) -> None:
    with pytest.raises(ConfigError, match=says) as caught:
        build(**changes)
    assert "\n" not in str(caught.value)


@torch.no_grad()
def test_the_measures_of_a_prior_that_knows_nothing_are_those_of_chance() -> None:
    built = build()
    torch.nn.init.zeros_(built.prior.head.weight)
    torch.nn.init.zeros_(built.prior.head.bias)
    real = torch.rand(8, 1, 16, 16) * 2 - 1
    built.usage.fill_(1 / 16)
    found = built.own_measures(real, torch.zeros(8, dtype=torch.int64), torch.Generator())
    assert {name: (value.shape, round(value.float().mean().item(), 4)) for name, value in found.items()
            if name != "reconstruction_error"} == {
        "bits_per_token": ((8,), 4.0), "perplexity": ((8,), 16.0), "codebook_use": ((8,), 1.0),
        "codebook_perplexity": ((8,), 16.0), "codebook_collapsed": ((8,), 0.0)}


@torch.no_grad()
def test_a_codebook_of_which_all_pictures_use_one_code_has_collapsed() -> None:
    built = build()
    torch.nn.init.zeros_(built.encoder[-1].weight)  # the planted fault: every picture has one vector
    batches = torch.rand(20, 1, 16, 16).split(5)
    built.fit_after_training(batches, 0)
    assert sorted(built.usage.tolist()) == [0.0] * 15 + [1.0]
    found = built.own_measures(batches[0], NO_LABELS[:1].expand(5), torch.Generator())
    assert found["codebook_collapsed"].all()
    assert found["codebook_use"][0].item() == pytest.approx(1 / 16)
    assert found["codebook_perplexity"][0].item() == pytest.approx(1)


class Reads(TorchDispatchMode):
    def __torch_dispatch__(self, func: object, types: object, args: tuple = (), kwargs: dict | None = None):
        assert func._schema.name not in READS
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("progress", [0.0, 0.9])
def test_no_step_of_either_half_reads_from_the_device(progress: float) -> None:
    built = build(adversarial=0.1).train()
    built.progress = progress
    with Reads():
        for _, loss in built.updates(torch.rand(4, 1, 16, 16), torch.zeros(4, dtype=torch.int64),
                                     torch.Generator().manual_seed(0)):
            loss.backward()


def test_with_a_critic_the_tokeniser_gains_its_score_and_the_critic_learns_to_tell_them_apart() -> None:
    built, real = build(adversarial=0.5, likelihood="gaussian").train(), torch.rand(4, 1, 16, 16) * 2 - 1
    labels, seen = torch.zeros(4, dtype=torch.int64), []
    assert built.critic is not None
    built.critic.register_forward_hook(lambda *given: seen.append(given[2].detach()))
    (first, critic), (second, loss) = built.updates(real, labels, torch.Generator().manual_seed(0))
    assert (first, second) == ("critic", "tokeniser")
    on_real, on_fake, after = seen
    hinge = (1 - on_real).relu().mean() + (1 + on_fake).relu().mean()
    assert critic.item() == pytest.approx(hinge.item(), rel=1e-5)
    plain = build(likelihood="gaussian").train()
    plain.load_state_dict(build(adversarial=0.5).state_dict(), strict=False)
    (_, without), = plain.updates(real, labels, torch.Generator().manual_seed(0))
    assert loss.item() == pytest.approx(without.item() - 0.5 * after.mean().item(), rel=1e-4)


def test_the_memory_of_both_halves_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    from aigc.training import memory

    wide, narrow = (memory.activation_bytes(build(prior_width=width)) for width in (256, 16))
    assert wide > 2 * narrow
