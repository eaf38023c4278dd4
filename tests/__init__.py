"""The specification of callnet, as tests. Start with ``test_seed``."""

from hypothesis import HealthCheck, settings

# A busy machine is no error: neither an example nor the making of examples has a time limit.
settings.register_profile("callnet", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("callnet")
