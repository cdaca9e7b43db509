"""The beat classifier: convolutions over one beat, then GRUs over the patient's beats, a committee of three.

After Yao et al. 2021, "Interpretation of Electrocardiogram Heartbeat by CNN and GRU" (10.1155/2021/6534942).
Deviations: the GRU runs over a patient's successive beats, not over the samples of one beat, so that its state is
what is known of this patient; the beat is seen beside the patient's own template; rhythm features join behind the
convolutions; strides instead of pooling; three members judge, and a mean of their probabilities holds
(docs/decisions/0011). One sees waveform and features, two the features alone: of patients whom they have not learnt
from they know as much of rhythms, for a tenth of the work. The first counts as much as these two together.

The network keeps no state: ``step(seen, hidden) -> (logits, hidden)``. It is parted in two, because the first half
has no memory: ``look`` sees any number of beats at once, of one patient or of many; ``step`` takes one beat of each
patient further.
"""

import torch
from torch import Tensor, nn

from monitor.beats import CHANNELS, FEATURES, LENGTH
from monitor.events import CLASSES, BeatClass

_SEES_WAVEFORM = (True, False, False, False, False)
"""Of each member."""
MEMBERS = len(_SEES_WAVEFORM)
_LOG_SHARES = torch.tensor([0.5, 0.125, 0.125, 0.125, 0.125]).log().unsqueeze(-1)
"""Of each member in the verdict, [MEMBERS, 1]; once, since every beat needs them."""
_STATE = 64
"""Size of a patient's state in one member."""
_SEEN = 64
"""Size of what one member sees of a beat."""
HIDDEN = MEMBERS * _STATE
"""Size of a patient's state."""
EMBEDDING = MEMBERS * _SEEN
"""Size of what is seen of one beat."""
_WIDTHS = (8, 16, 24, 32)


class Member(nn.Module):
    """Something of a beat → GRU → logits."""

    def __init__(self, inputs: int, dropout: float) -> None:
        super().__init__()
        self.embed = nn.Linear(inputs, _SEEN)
        self.dropout = nn.Dropout(dropout)
        self.gru = nn.GRU(_SEEN, _STATE)
        self.head = nn.Sequential(nn.Linear(_SEEN + _STATE, 64), nn.ReLU(), nn.Linear(64, len(CLASSES)))

    def look(self, inputs: Tensor) -> Tensor:
        """[B, input] → [B, seen]"""
        return torch.relu_(self.embed(inputs))

    def forward(self, seen: Tensor, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """seen [T, B, seen], hidden [B, state] → logits [T, B, class], hidden [B, state]"""
        seen = self.dropout(seen)
        remembered, last = self.gru(seen, hidden.unsqueeze(0).contiguous())  # cuDNN and the exporter ask for it
        logits: Tensor = self.head(torch.cat((seen, self.dropout(remembered)), dim=-1))
        return logits, last.squeeze(0)


class Network(nn.Module):
    """CNN → GRUs → logits."""

    def __init__(self, dropout: float = 0.0) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels, length = CHANNELS, LENGTH
        for width, kernel in zip(_WIDTHS, (7, 5, 5, 3), strict=True):
            layers += [nn.Conv1d(channels, width, kernel, stride=2, padding=kernel // 2), nn.ReLU(inplace=True)]
            channels, length = width, (length + 1) // 2
        self.convolutions = nn.Sequential(*layers)
        self.members = nn.ModuleList(
            Member(channels * length * sees + len(FEATURES), dropout) for sees in _SEES_WAVEFORM
        )

    def look(self, x: Tensor, f: Tensor) -> Tensor:
        """What is to be seen of each beat alone.

        Args:
            x: [B, CHANNELS, LENGTH]
            f: [B, feature], or [B, MEMBERS, feature] where each member is shown other ones.

        Returns:
            [B, EMBEDDING]
        """
        shape = self.convolutions(x).flatten(1)
        shown = f.unbind(1) if f.dim() == 3 else (f,) * MEMBERS
        seen = [
            member.look(torch.cat((shape, own), dim=-1) if sees else own)
            for member, sees, own in zip(self._members(), _SEES_WAVEFORM, shown, strict=True)
        ]
        return torch.cat(seen, dim=-1)

    def step(self, seen: Tensor, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """One beat of each of B patients.

        Args:
            seen: [B, EMBEDDING], from :meth:`look`.
            hidden: [B, HIDDEN], the patients' states; zeros for a new one.

        Returns:
            logits [B, class], hidden [B, HIDDEN] after this beat.
        """
        logits, last = self.forward(seen.unsqueeze(0), hidden)
        return together(logits).squeeze(0), last

    def forward(self, seen: Tensor, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """The members' logits along T successive beats: seen [T, B, EMBEDDING] → [T, B, MEMBERS, class]; hidden [B,
        HIDDEN]."""
        given = [
            member(own, state)
            for member, own, state in zip(
                self._members(),
                torch.chunk(seen, MEMBERS, dim=-1),
                torch.chunk(hidden, MEMBERS, dim=-1),
                strict=True,
            )
        ]
        return torch.stack([logits for logits, _ in given], dim=-2), torch.cat([state for _, state in given], dim=-1)

    @torch.no_grad()
    def raise_logit(self, label: BeatClass, by: float) -> None:
        """Every member believes so much more in a class from now on."""
        for member in self._members():
            last = member.head[-1]
            assert isinstance(last, nn.Linear)
            last.bias[CLASSES.index(label)] += by

    def _members(self) -> list[Member]:
        return [member for member in self.members if isinstance(member, Member)]


def together(logits: Tensor) -> Tensor:
    """Logits [..., class] of the weighted mean of the members' probabilities; theirs are [..., MEMBERS, class]."""
    return torch.logsumexp(torch.log_softmax(logits, dim=-1) + _LOG_SHARES.to(logits.device), dim=-2)


def parameters(network: nn.Module) -> int:
    """How many numbers were learnt."""
    return sum(p.numel() for p in network.parameters())
