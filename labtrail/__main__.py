"""`python -m labtrail` is the `labtrail` command."""

from labtrail.cli import main

main()
