"""The parts of the U-Net against torch's own, and its levels."""

import math

import torch
import torch.nn.functional as F

from aigc.networks.unet import Attention, UNet


def test_attention_is_that_of_torch_with_its_gradients() -> None:
    torch.manual_seed(0)
    layer = Attention(64).double()  # two heads
    torch.nn.init.normal_(layer.out.weight)
    x = torch.randn(3, 64, 4, 5, dtype=torch.float64, requires_grad=True)
    joint = layer.query_key_value(layer.norm(x)).flatten(2)
    query, key, value = (part.unflatten(1, (2, 32)).transpose(2, 3) for part in joint.chunk(3, dim=1))
    theirs = F.scaled_dot_product_attention(query, key, value).transpose(2, 3).reshape(x.shape)
    theirs = x + layer.out(theirs)
    torch.testing.assert_close(layer(x), theirs)
    torch.testing.assert_close(*(torch.autograd.grad(y.square().sum(), x)[0] for y in (layer(x), theirs)))


def test_attention_carries_a_far_pixel_to_every_position() -> None:
    torch.manual_seed(0)
    network = UNet(1, 0, 8, 1, [8], [1], attention=[8])
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    x = torch.randn(1, 1, 8, 8, requires_grad=True)
    network(x, torch.tensor([0.5]), torch.tensor([-1]))[0, 0, 0, 0].backward()
    assert x.grad is not None and (x.grad != 0).all()


def test_levels_depth_and_multiples_set_the_number_of_blocks_and_their_channels() -> None:
    network = UNet(3, 10, 8, 2, [12, 6, 3], [1, 2, 3], depth=2)
    assert [len(level.residuals) for level in network.encoder] == [2, 2, 2]
    assert [level.residuals[-1].conv2.out_channels for level in network.encoder] == [8, 16, 24]
    assert [level.residuals[0].conv1.in_channels for level in network.decoder] == [32, 16]
    v = network(torch.randn(2, 3, 24, 24), torch.rand(2), torch.tensor([3, 10]))
    assert v.shape == (2, 3, 24, 24)


def test_dropout_hides_the_stated_share_and_keeps_the_mean() -> None:
    torch.manual_seed(0)
    network = UNet(1, 0, 8, 1, [8], [1], dropout=0.25)
    block = network.encoder[0].residuals[0]
    seen: list[torch.Tensor] = []
    block.conv2.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    x, embedding = torch.randn(200, 8, 8, 8), torch.randn(200, 32)
    block(x, embedding)
    block(x, embedding, torch.Generator().manual_seed(0))
    plain, dropped = seen
    hidden = dropped == 0
    assert math.isclose(hidden.float().mean().item(), 0.25, abs_tol=0.005)
    torch.testing.assert_close(dropped[~hidden], plain[~hidden] / 0.75)
