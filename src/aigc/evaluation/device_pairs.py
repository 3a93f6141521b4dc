"""The pairs of metrics/pairs.py on a GPU, by torch: the same candidates and counts, from the same bounds.

Products are float64, or float32 without TF32 where numpy's are float32. A block of them never leaves the
device.
"""

from collections.abc import Iterable, Iterator

import numpy as np
import torch
from torch import Tensor

from aigc.core import cuda, sharing
from aigc.core.runtime import Device
from aigc.metrics import pairs
from aigc.metrics.arrays import row_blocks
from aigc.metrics.pairs import MAX_TIES, Candidates, Pairs


def use(device: Device) -> None:
    """From now on metrics compute all pairs on `device`, if that is a CUDA card; others lack float64.

    Otherwise by numpy, in all processes of the stage.
    """
    is_cuda = device.torch_device.type == "cuda"
    pairs.compute_with(DevicePairs(device.torch_device) if is_cuda else Pairs(sharing.in_order))


class DevicePairs(Pairs):
    def __init__(self, device: torch.device) -> None:
        super().__init__()
        self.device = device

    def near(self, queries: np.ndarray, pool: np.ndarray, k: int, same: bool) -> Iterator[Candidates]:
        for rows, estimated, error in self._blocks(queries, pool):
            if same:
                estimated.diagonal(rows.start).fill_(torch.inf)
            kth = estimated.topk(k, dim=1, largest=False).values[:, -1:]
            near = estimated <= kth + 2 * error
            if int(near.sum(1).max()) > k + MAX_TIES:
                tied = near & (estimated >= kth - 2 * error)
                near &= ~tied | (tied.int().cumsum(1) <= k + MAX_TIES)
            row, column = near.nonzero(as_tuple=True)
            yield row.cpu().numpy() + rows.start, column.cpu().numpy()

    def inside(self, queries: np.ndarray, centres: np.ndarray,
               squared_radii: np.ndarray) -> tuple[np.ndarray, np.ndarray, Candidates]:
        radii, unsure, per_query = self._put(squared_radii), [], []
        per_ball = torch.zeros(len(centres), dtype=torch.int64, device=self.device)
        for rows, estimated, error in self._blocks(queries, centres):
            estimated -= radii
            is_unsure = estimated.abs() <= error
            inside = (estimated <= 0) & ~is_unsure
            per_query.append(inside.sum(1).cpu().numpy())
            per_ball += inside.sum(0)
            row, column = is_unsure.nonzero(as_tuple=True)
            unsure.append((row.cpu().numpy() + rows.start, column.cpu().numpy()))
        return np.concatenate(per_query), per_ball.cpu().numpy(), pairs.joined(unsure)

    def kernel_sums(self, x: np.ndarray, y: np.ndarray, same: bool) -> tuple[np.ndarray, np.ndarray]:
        there, of_x = self._put(y), []
        of_y = torch.zeros(len(y), dtype=there.dtype, device=self.device)
        for rows in row_blocks(len(x), len(y)):
            block = ((self._put(x[rows]) @ there.T) / x.shape[1] + 1) ** 3
            if same:
                block.diagonal(rows.start).zero_()
            of_x.append(block.sum(1).cpu().numpy())
            of_y += block.sum(0)
        return np.concatenate(of_x), of_y.cpu().numpy()

    def nearest_roughly(self, sets: Iterable[np.ndarray],
                        pool: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        there = self._put(pool)
        norms = there.square().sum(1)
        for queries in sets:
            found = []
            for rows in row_blocks(len(queries), len(pool)):
                here = self._put(queries[rows])
                with cuda.without_tf32():
                    squares, index = (here.square().sum(1)[:, None] + norms - 2 * here @ there.T).min(1)
                found.append((index.cpu().numpy(), squares.cpu().numpy()))
            yield pairs.joined(found)

    def _blocks(self, queries: np.ndarray, pool: np.ndarray) -> Iterator[tuple[slice, Tensor, Tensor]]:
        """(rows, squared distances (rows, m) by a product, the bound (rows, 1) on their error)"""
        there, pool_norms = self._put(pool), pairs.squared_norms(pool)
        norms, query_norms = self._put(pool_norms), pairs.squared_norms(queries)
        errors = self._put(pairs.error_bounds(query_norms, pool_norms.max(), queries.shape[1]))
        of_queries = self._put(query_norms)
        for rows in row_blocks(len(queries), len(pool)):
            estimated = self._put(queries[rows]) @ there.T
            estimated.mul_(-2).add_(of_queries[rows, None]).add_(norms)
            yield rows, estimated, errors[rows, None]

    def _put(self, array: np.ndarray) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(array)).to(self.device)
