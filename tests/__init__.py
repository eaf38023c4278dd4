"""The specification of callnet, as tests. Start with ``test_seed``."""

from hypothesis import settings

# A busy machine is no error: no example has a time limit of its own.
settings.register_profile("callnet", deadline=None)
settings.load_profile("callnet")
