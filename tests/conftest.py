"""What every test folder shares: the real servers. Fixtures of one folder live in that folder."""

import signal

pytest_plugins = ["tests.support.servers"]

# a shell has SIGINT ignored by what it puts into the background, and so by the commands that the tests interrupt
signal.signal(signal.SIGINT, signal.default_int_handler)
