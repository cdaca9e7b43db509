"""The beat classifier: convolutions over one beat, then a GRU over the patient's beats.

After Yao et al. 2021, "Interpretation of Electrocardiogram Heartbeat by CNN and GRU" (10.1155/2021/6534942).
Deviations: the GRU runs over a patient's successive beats, not over the samples of one beat, so that its state is
what is known of this patient; the beat is seen beside the patient's own template; rhythm features join behind the
convolutions; strides instead of pooling.

The network keeps no state: ``step(x, f, hidden) -> (logits, hidden)``.
"""

import torch
from torch import Tensor, nn

from monitor.beats import CHANNELS, FEATURES, LENGTH
from monitor.events import CLASSES

HIDDEN = 96
"""Size of a patient's state."""
_EMBEDDING = 96
_WIDTHS = (16, 32, 48, 64)


class Network(nn.Module):
    """CNN → GRU → logits."""

    def __init__(self, dropout: float = 0.0) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels, length = CHANNELS, LENGTH
        for width, kernel in zip(_WIDTHS, (7, 5, 5, 3), strict=True):
            layers += [nn.Conv1d(channels, width, kernel, stride=2, padding=kernel // 2), nn.ReLU()]
            channels, length = width, (length + 1) // 2
        self.convolutions = nn.Sequential(*layers)
        self.embed = nn.Linear(channels * length + len(FEATURES), _EMBEDDING)
        self.dropout = nn.Dropout(dropout)
        self.gru = nn.GRU(_EMBEDDING, HIDDEN)
        self.head = nn.Sequential(nn.Linear(_EMBEDDING + HIDDEN, 64), nn.ReLU(), nn.Linear(64, len(CLASSES)))

    def forward(self, x: Tensor, f: Tensor, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """Many beats of many patients.

        Args:
            x: [T, B, CHANNELS, LENGTH], beats in their order along T.
            f: [T, B, feature].
            hidden: [B, HIDDEN].

        Returns:
            logits [T, B, class], hidden [B, HIDDEN] after the last beat.
        """
        steps, batch = x.shape[:2]
        shape = self.convolutions(x.reshape(steps * batch, CHANNELS, LENGTH)).reshape(steps, batch, -1)
        seen = self.dropout(torch.relu(self.embed(torch.cat((shape, f), dim=-1))))
        remembered, last = self.gru(seen, hidden.unsqueeze(0))
        logits: Tensor = self.head(torch.cat((seen, self.dropout(remembered)), dim=-1))
        return logits, last.squeeze(0)

    def step(self, x: Tensor, f: Tensor, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """One beat of each of B patients: x [B, CHANNELS, LENGTH], f [B, feature], hidden [B, HIDDEN]."""
        logits, last = self.forward(x.unsqueeze(0), f.unsqueeze(0), hidden)
        return logits.squeeze(0), last


def parameters(network: nn.Module) -> int:
    """How many numbers were learnt."""
    return sum(p.numel() for p in network.parameters())
