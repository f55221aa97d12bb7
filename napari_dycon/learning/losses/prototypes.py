"""Contrast in feature space between two networks: of places, and of class prototypes.

A prototype is the direction of a class in the space of embeddings: the mean over its cells. All vectors are
normalised, so that no loss can be lowered by longer or shorter ones.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from napari_dycon.learning.losses.fecl import UNCLEAR

_LEAST = 1e-6


class Prototypes(NamedTuple):
    """The directions of all classes."""

    vectors: Tensor
    """`(C, D)` float32 of length 1; 0 for a class without one."""
    present: Tensor
    """`(C,)` bool, which classes have one."""


def class_prototypes(embedding: Tensor, shares: Tensor) -> Prototypes:
    r"""Average the embedding of each class (masked average pooling).

    .. math:: c_k = \frac{m_k}{\lVert m_k \rVert}, \quad
              m_k = \frac{\sum_i s_{ik} z_i / \lVert z_i \rVert}{\sum_i s_{ik}}

    Parameters
    ----------
    embedding
        `(B, D, x, y, z)`.
    shares
        `(B, C, x, y, z)`, see `class_shares`.
    """
    with torch.autocast(embedding.device.type, enabled=False):
        z = F.normalize(embedding.float(), dim=1, eps=_LEAST)
        sums = torch.einsum("bdxyz,bcxyz->cd", z, shares.float())
        total = shares.float().sum(dim=(0, 2, 3, 4))
        means = sums / total.clamp_min(_LEAST)[:, None]
        return Prototypes(F.normalize(means, dim=1, eps=_LEAST), total > _LEAST)


class PrototypeMemory(nn.Module):
    """Running mean of the prototypes of every class, which patches without some class can be held against.

    Parameters
    ----------
    classes, channels
        Number of classes C; channels D of the embedding.
    momentum
        Share of the old mean that is kept at each update.
    """

    vectors: Tensor

    def __init__(self, classes: int, channels: int, momentum: float = 0.9) -> None:
        super().__init__()
        self.momentum = momentum
        self.register_buffer("vectors", torch.zeros(classes, channels))

    @property
    def known(self) -> Prototypes:
        """What is remembered; a class never met is not present."""
        return Prototypes(self.vectors, (self.vectors != 0).any(dim=1))

    @torch.no_grad()
    def update(self, fresh: Prototypes) -> None:
        """Move towards fresh prototypes; a class met for the first time takes them over."""
        keep = torch.where(self.known.present, self.momentum, 0.0)[:, None]
        moved = F.normalize(keep * self.vectors + (1.0 - keep) * fresh.vectors.detach(), dim=1, eps=_LEAST)
        self.vectors.copy_(torch.where(fresh.present[:, None], moved, self.vectors))


def prototype_contrast(own: Prototypes, others: Prototypes, temperature: float = 0.3) -> Tensor:
    r"""Draw each prototype to the one of its class and away from those of others (InfoNCE).

    .. math:: -\frac1K \sum_k \log \frac{e^{c_k \cdot o_k / T}}{\sum_j e^{c_k \cdot o_j / T}}

    Parameters
    ----------
    own
        Prototypes of a network; the gradient flows through them.
    others
        What they are held against.
    temperature
        The factor T.

    Returns
    -------
    Tensor
        Scalar float32; 0 without a class that both know and another to tell it from.
    """
    rows = own.present & others.present
    if not rows.any() or others.present.sum() < 2:
        return own.vectors.sum() * 0.0
    scores = own.vectors[rows] @ others.vectors.T / temperature
    scores = scores.masked_fill(~others.present, float("-inf"))
    return F.cross_entropy(scores, rows.nonzero().flatten())


def place_contrast(first: Tensor, second: Tensor, cells: int = 3, temperature: float = 0.3) -> Tensor:
    r"""Let two networks describe the same place alike and other places of its patch differently.

    .. math:: -\frac1N \sum_i \log \frac{e^{a_i \cdot b_i / T}}{\sum_j e^{a_i \cdot b_j / T}}

    averaged over both directions; the gradient reaches both networks.

    Parameters
    ----------
    first, second
        Embeddings `(B, D, x, y, z)` of the same patches by two networks.
    cells
        Places along each axis into which a patch is divided, fewer where the feature map is smaller.
    temperature
        The factor T.

    Returns
    -------
    Tensor
        Scalar float32; 0 where a patch is one place.
    """
    with torch.autocast(first.device.type, enabled=False):
        a, b = _places(first, cells), _places(second, cells)
        scores = torch.einsum("bdi,bdj->bij", a, b) / temperature
        same = torch.arange(scores.shape[1], device=scores.device).expand(len(scores), -1)
        return 0.5 * (F.cross_entropy(scores, same) + F.cross_entropy(scores.transpose(1, 2), same))


def _places(embedding: Tensor, cells: int) -> Tensor:
    """Return `(B, D, N)` directions of the places of each patch."""
    x, y, z = (min(cells, side) for side in embedding.shape[2:])
    return F.normalize(F.adaptive_avg_pool3d(embedding.float(), (x, y, z)).flatten(2), dim=1, eps=_LEAST)


def uncertain_contrast(
    embeddings: Tensor, labels: Tensor, prototypes: Prototypes, margin: float = 1.4, repulsion: float = 0.5
) -> Tensor:
    r"""Align uncertain cells with the prototype of their class, and keep the prototypes apart (CCE).

    .. math:: \frac1K \sum_k \frac{1}{N_k} \sum_{i: y_i = k} \lVert z_i - c_k \rVert
              - \lambda \frac{2}{K (K - 1)} \sum_{j < k} \min(\lVert c_j - c_k \rVert, m)

    The released code adds the second term, which draws the prototypes together. Cells move to prototypes,
    which carry no gradient in the first term, not the reliable to the uncertain.

    Parameters
    ----------
    embeddings
        `(M, D)`; normalised here.
    labels
        `(M,)` int64, the class an uncertain cell most likely has; `UNCLEAR` for cells to leave out.
    prototypes
        Of the reliable cells of the same network.
    margin
        The distance m from which prototypes are far enough apart; at most 2.
    repulsion
        The factor lambda.

    Returns
    -------
    Tensor
        Scalar float32; shifted by `repulsion * margin`, so that 0 is the least it can be.
    """
    with torch.autocast(embeddings.device.type, enabled=False):
        z = F.normalize(embeddings.float(), dim=1, eps=_LEAST)
        loss = z.sum() * 0.0
        pulls = [
            _distance(z[labels == k], prototypes.vectors[k].detach()).mean()
            for k in prototypes.present.nonzero().flatten().tolist()
            if bool((labels == k).any())
        ]
        if pulls:
            loss = loss + torch.stack(pulls).mean()
        centres = prototypes.vectors[prototypes.present]
        if len(centres) > 1:
            j, k = torch.triu_indices(len(centres), len(centres), offset=1, device=z.device)
            loss = loss + repulsion * (margin - _distance(centres[j], centres[k])).clamp_min(0.0).mean()
        return loss


def uncertain_cells(doubtful: Tensor, probabilities: Tensor, least: float = 0.25) -> Tensor:
    """Give doubtful cells the class they most likely have.

    Parameters
    ----------
    doubtful
        `(B, x, y, z)` share of each cell that is neither known nor reliable.
    probabilities
        `(B, C, x, y, z)` mean probability in each cell.
    least
        Doubtful share from which a cell is one. Doubt keeps to borders: few cells are mostly doubtful.

    Returns
    -------
    Tensor
        `(B * x * y * z,)` int64 classes, `UNCLEAR` for other cells.
    """
    return torch.where(doubtful >= least, probabilities.max(dim=1).indices, UNCLEAR).flatten()


def _distance(a: Tensor, b: Tensor) -> Tensor:
    """Return Euclidean distances along the last axis, with a finite gradient where they are 0."""
    return ((a - b).square().sum(dim=-1) + 1e-12).sqrt()
