"""Who vouches for people here: Google, or whoever else is set up; or the demo; or nobody."""

from core.identity_providers import IdentityProvider
from integrations.demo_provider import DemoProvider
from integrations.google import GoogleClient, GoogleProvider


def choose_provider(client: GoogleClient, *, in_production: bool) -> IdentityProvider | None:
    """Return who vouches: the provider that knows us as `client`, if we have an id there.

    Otherwise nobody in production; in development somebody stands in, who vouches for one demo
    person.
    """
    if client.client_id:
        return GoogleProvider(client)
    return None if in_production else DemoProvider()
