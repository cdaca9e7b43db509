"""Where weights come from, as they say themselves; and what a training that begins with others' weights takes over.

Who has learnt from a patient is not to be tested by that patient: so the recordings of all trainings that led to
weights are in what these say.
"""

import hashlib
import json
import subprocess
from pathlib import Path
from typing import Any

import msgspec

from monitor.checkpoint import load
from monitor.config import Settings
from monitor.errors import UserError
from monitor.events import BeatClass
from monitor.network import Network
from replay import physionet
from trainer.protocols import Protocol
from trainer.recipe import Common
from trainer.strips import STRIPS, STRIPS_SUFFIX, strips
from trainer.told_by_eye import FIBRILLATING


def begun(base: Path | None, protocol: Protocol) -> tuple[Network | None, dict[str, Any]]:
    """What a training begins with, its logits as they were learnt, and where it comes from; None: by chance.

    Raises:
        UserError: ``base`` is no weights of this network, does not say what it has learnt from, or has learnt from who
            is held out.
    """
    if base is None:
        return None, {}
    network, origin = load(base)
    if not {"data_sha256", "recipe", "protocol"} <= origin.keys():
        raise UserError(f"--from {base}: does not say what it has learnt from")
    # Where beats are parted, who tests is learnt from too: but only what that very parting shows.
    same_beats = protocol.beats is not None and origin["protocol"] == protocol.name
    held_out = set() if same_beats else {*protocol.validate, *protocol.test}
    if seen := held_out & set(origin["data_sha256"]):
        raise UserError(f"--from {base}: has learnt from {min(seen)}, whom {protocol.name} holds out")
    network.raise_logit(BeatClass.S, -origin["recipe"]["s_logit"])
    network.raise_logit(BeatClass.V, -origin["recipe"]["v_logit"])
    return network, origin | {"sha256": hashlib.sha256(base.read_bytes()).hexdigest()[:16]}


def _digest(records: list[str], suffixes: tuple[str, ...], settings: Settings) -> str:
    """Of these files of these records, in their order."""
    digest = hashlib.sha256()
    for record in records:
        for suffix in suffixes:
            digest.update(Path(f"{physionet.locate(record, settings.data)}{suffix}").read_bytes())
    return digest.hexdigest()[:16]


def origin(
    protocol: Protocol, recipe: Common, settings: Settings, figures: dict[str, float], base: dict[str, Any]
) -> dict[str, Any]:
    """Where weights come from: protocol, recipe, hashes of all the data they have learnt from, commit, and the same of
    what they began with."""
    hashes = {record: _digest([record], (".dat", ".atr"), settings) for record in protocol.train}
    if protocol.strips:
        hashes[STRIPS] = _digest(
            [one.record for one in strips(settings) if one.record not in FIBRILLATING], (STRIPS_SUFFIX,), settings
        )
        hashes |= {record: _digest([record], (".dat",), settings) for record in FIBRILLATING}
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False, cwd=Path(__file__).parent
    ).stdout.strip()
    return {
        "protocol": protocol.name,
        "recipe": json.loads(msgspec.json.encode(recipe)),
        "data_sha256": base.get("data_sha256", {}) | hashes,
        "base": {name: base[name] for name in ("protocol", "recipe", "commit", "sha256", "base") if base.get(name)},
        "commit": commit or "unknown",
        "last_report": figures,
    }
