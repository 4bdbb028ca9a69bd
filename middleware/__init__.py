"""Pure ASGI layers: request context, body limit, idempotent answers."""
