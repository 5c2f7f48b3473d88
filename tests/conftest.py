"""What every test folder shares: the real servers. Fixtures of one folder live in that folder."""

pytest_plugins = ["tests.servers"]
