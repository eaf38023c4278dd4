"""Operations: certificates, listeners, limits, metrics, webhooks and start-up files."""
