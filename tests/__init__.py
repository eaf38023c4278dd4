"""The specification of callnet, as tests. Start with ``test_seed``."""

import gc

from hypothesis import HealthCheck, settings

# By default Python looks for garbage after every 700 objects, which is a fifth of what tests of rules cost. The daemon
# has limits of its own (:class:`callnet.ops.process.Garbage`).
gc.set_threshold(100_000)

# A busy machine is no error: neither an example nor the making of examples has a time limit.
settings.register_profile("callnet", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("callnet")
