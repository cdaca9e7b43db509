"""The beat classifier: convolutions over one beat, then a GRU over the patient's beats.

After Yao et al. 2021, "Interpretation of Electrocardiogram Heartbeat by CNN and GRU" (10.1155/2021/6534942).
Deviations: the GRU runs over a patient's successive beats, not over the samples of one beat, so that its state is
what is known of this patient; the beat is seen beside the patient's own template; rhythm features join behind the
convolutions; strides instead of pooling.

The network keeps no state: ``step(seen, hidden) -> (logits, hidden)``. It is parted in two, because the first half
has no memory: ``look`` sees any number of beats at once, of one patient or of many; ``step`` takes one beat of each
patient further.
"""

import torch
from torch import Tensor, nn

from monitor.beats import CHANNELS, FEATURES, LENGTH
from monitor.events import CLASSES

HIDDEN = 96
"""Size of a patient's state."""
EMBEDDING = 96
"""Size of what is seen of one beat."""
_WIDTHS = (16, 32, 48, 64)


class Network(nn.Module):
    """CNN → GRU → logits."""

    def __init__(self, dropout: float = 0.0) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels, length = CHANNELS, LENGTH
        for width, kernel in zip(_WIDTHS, (7, 5, 5, 3), strict=True):
            layers += [nn.Conv1d(channels, width, kernel, stride=2, padding=kernel // 2), nn.ReLU(inplace=True)]
            channels, length = width, (length + 1) // 2
        self.convolutions = nn.Sequential(*layers)
        self.embed = nn.Linear(channels * length + len(FEATURES), EMBEDDING)
        self.dropout = nn.Dropout(dropout)
        self.gru = nn.GRU(EMBEDDING, HIDDEN)
        self.head = nn.Sequential(nn.Linear(EMBEDDING + HIDDEN, 64), nn.ReLU(), nn.Linear(64, len(CLASSES)))

    def look(self, x: Tensor, f: Tensor) -> Tensor:
        """What is to be seen of each beat alone: x [B, CHANNELS, LENGTH], f [B, feature] → [B, EMBEDDING]."""
        shape = self.convolutions(x).flatten(1)
        return torch.relu_(self.embed(torch.cat((shape, f), dim=-1)))

    def step(self, seen: Tensor, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """One beat of each of B patients.

        Args:
            seen: [B, EMBEDDING], from :meth:`look`.
            hidden: [B, HIDDEN], the patients' states; zeros for a new one.

        Returns:
            logits [B, class], hidden [B, HIDDEN] after this beat.
        """
        logits, last = self.forward(seen.unsqueeze(0), hidden)
        return logits.squeeze(0), last

    def forward(self, seen: Tensor, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """:meth:`step` along T successive beats: seen [T, B, EMBEDDING] → logits [T, B, class], hidden [B, HIDDEN]."""
        seen = self.dropout(seen)
        remembered, last = self.gru(seen, hidden.unsqueeze(0))
        logits: Tensor = self.head(torch.cat((seen, self.dropout(remembered)), dim=-1))
        return logits, last.squeeze(0)


def parameters(network: nn.Module) -> int:
    """How many numbers were learnt."""
    return sum(p.numel() for p in network.parameters())
