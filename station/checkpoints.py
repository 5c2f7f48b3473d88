"""The newest signed checkpoint of the ledger, for custody records: checked with the key that signs here."""

from agents.ledger.checkpoints import checkpoint_files, read_checkpoint
from agents.ledger.signing import load_or_make_key, verifier_from_text
from config.settings import Settings
from models.ledger.chain import Checkpoint

PUBLIC_KEY_FILE = "ledger.pub"


def newest_checkpoint(settings: Settings) -> Checkpoint | None:
    """None when there is none yet, or nothing to check it with: a station apart from the worker may not have it."""
    folder = settings.checkpoint_folder
    files = checkpoint_files(folder) if folder.is_dir() else []
    if not files:
        return None
    if (folder / PUBLIC_KEY_FILE).exists():
        return read_checkpoint(files[-1], verifier_from_text((folder / PUBLIC_KEY_FILE).read_text()))
    if settings.signing_key_file.exists():
        return read_checkpoint(files[-1], load_or_make_key(settings.signing_key_file).public_key())
    return None
