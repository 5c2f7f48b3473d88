"""How many examples Hypothesis tries: profile `ci` all that a test asks for, `dev` an eighth, the same at each run.

`HYPOTHESIS_PROFILE` names the profile; without it, it is `ci` where CI=true and `dev` elsewhere.
"""

import os

from hypothesis import settings

EXAMPLES = 100
PART = 8
LEAST = 3
CHOSEN = os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if os.environ.get("CI") == "true" else "dev")


def examples(number: int) -> int:
    """What `max_examples` is in the chosen profile for a test that tries `number` examples in CI."""
    return number if CHOSEN == "ci" else max(number // PART, LEAST)


def load_profile() -> None:
    """Make the chosen profile the default of every property."""
    for name in ("ci", "dev"):
        settings.register_profile(
            name, max_examples=examples(EXAMPLES), deadline=None, derandomize=True, print_blob=True
        )
    settings.load_profile(CHOSEN)
