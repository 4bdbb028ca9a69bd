"""`wallet sweep`: asks a worker to delete what nobody can use any more."""

import sys

from redis.exceptions import RedisError

from operations.database import NOT_READY_EXIT_CODE


def sweep() -> int:
    """Ask for it and say so. Returns 0, or 3 if Redis, which carries the request, is away."""
    # Importing the workers makes their broker, which only this command needs.
    import workers  # noqa: PLC0415 - see above

    try:
        workers.delete_expired_tokens.send()
    except (RedisError, OSError) as error:
        print(
            f"Redis, which carries the request to a worker, cannot be reached ({error}); set "
            "REDIS_URL to the one that the worker uses.",
            file=sys.stderr,
        )
        return NOT_READY_EXIT_CODE
    print("Asked a worker to delete expired refresh tokens; its log will say how many there were.")
    return 0
