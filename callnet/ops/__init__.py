"""Operations: listeners, certificates, limits, metrics, webhooks, readiness."""
