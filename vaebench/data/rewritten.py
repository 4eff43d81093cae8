"""Sentences that were changed, or said by a model, as a split."""

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from vaebench.data.dataset import TextSplit
from vaebench.data.tokenizers import BOS, EOS


def thinned(split: TextSplit, keep: float, seed: int) -> TextSplit:
    """Each sentence with int(`keep` n) of its n words in their order, each as likely as any other
    (IGP, Section 4.2). Which, is a function of the seed and the split."""
    if not 0 <= keep <= 1:
        raise ValueError(f"keep is {keep!r}; expected a share from 0 to 1")
    lengths = split.lengths.numpy() - 2
    kept = (keep * lengths).astype(np.int64)
    keys = np.random.PCG64(seed).random_raw(int(lengths.sum()))
    owners = np.repeat(np.arange(len(lengths)), lengths)
    ranks = np.empty(len(keys), np.int64)
    starts = lengths.cumsum() - lengths
    ranks[np.lexsort((keys, owners))] = np.arange(len(keys)) - starts[owners]
    starts = split.starts.cpu().numpy()
    stay = np.ones(len(split.tokens), np.bool_)
    words = np.ones(len(split.tokens), np.bool_)
    words[starts] = words[starts + lengths + 1] = False
    stay[words] = ranks < kept[owners]
    tokens = split.tokens[torch.from_numpy(stay).to(split.tokens.device)]
    return TextSplit(tokens, torch.from_numpy(kept) + 2, split.labels)


def said(words: Tensor, lengths: Tensor, labels: Tensor) -> TextSplit:
    """The split of sentences int64 [N, T], of which in each row the first `lengths` [N] count:
    without <s> and </s>, which they get."""
    rows = pad(words, (1, 1))
    rows[:, 0] = BOS
    rows.scatter_(1, lengths[:, None] + 1, EOS)
    there = torch.arange(rows.shape[1], device=rows.device) < lengths[:, None] + 2
    return TextSplit(rows[there].to(torch.int32), lengths.cpu() + 2, labels)
