"""What operators type. Each command is one call into operations/; `./wallet` is the launcher."""

import os
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from config import Settings


Engine = Annotated[Literal["postgresql", "sqlite"], typer.Option(help="What it is kept in.")]
PayoutEnd = Annotated[Literal["arrived", "returned"], typer.Argument(help="How it ended.")]
Reference = Annotated[str, typer.Argument(help="The payment's reference, as it is listed.")]
Note = Annotated[str, typer.Option(help="Why; it is kept with the payment.")]

ROOT = Path(__file__).resolve().parent

app = typer.Typer(
    name="wallet",
    help="A wallet payment backend: double-entry ledger, exactly-once transactions.",
    no_args_is_help=True,
    add_completion=False,
    # Locals in a traceback could hold secrets.
    pretty_exceptions_show_locals=False,
)

bench = typer.Typer(invoke_without_command=True)
app.add_typer(bench, name="bench")
keys = typer.Typer(no_args_is_help=True, help="Make, list and revoke API keys of services.")
app.add_typer(keys, name="keys")
assets = typer.Typer(no_args_is_help=True, help="List the kinds of credits, and add one.")
app.add_typer(assets, name="assets")
payments = typer.Typer(invoke_without_command=True)
app.add_typer(payments, name="payments")


@app.command()
def run(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int | None,
        typer.Option(min=1, max=65535, help="Port; without it the first free one from 8000."),
    ] = None,
    worker: Annotated[bool, typer.Option(help="Start the worker as well.")] = True,
) -> None:
    """Start the service and everything it needs. Ctrl-C ends all of it."""
    from operations import run as service

    _settings()
    raise typer.Exit(service.run(host=host, port=port, with_worker=worker))


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def test(context: typer.Context) -> None:
    """Check format, lint, types and run all tests. What follows is passed on to pytest."""
    from operations import checks

    raise typer.Exit(checks.run(context.args))


@app.command()
def migrate() -> None:
    """Bring the database's schema up to date (alembic upgrade head)."""
    _settings()
    _become("alembic", "upgrade", "head")


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def worker(context: typer.Context) -> None:
    """Do the work that follows a commit. What follows is passed on to dramatiq."""
    _settings()
    _become("dramatiq", "workers", *context.args)


@app.command()
def seed() -> None:
    """Create demo people with wallets and history, and say how to sign in."""
    from operations.seed import seed as create

    raise typer.Exit(create(_settings()))


@app.command()
def verify() -> None:
    """Prove the rules of money on the live database; exits with 1 if one is broken."""
    from operations.verify import verify as prove

    raise typer.Exit(prove(_settings()))


@app.command()
def sweep() -> None:
    """Ask a worker to delete expired refresh tokens; for a daily timer."""
    from operations.sweep import sweep as ask

    _settings()
    raise typer.Exit(ask())


@app.command()
def freeze(number: Annotated[str, typer.Argument(help="The wallet's number.")]) -> None:
    """Stop all movement of a wallet's money."""
    from operations.freeze import freeze as stop

    raise typer.Exit(stop(_settings(), number))


@app.command()
def unfreeze(number: Annotated[str, typer.Argument(help="The wallet's number.")]) -> None:
    """Let a frozen wallet's money move again."""
    from operations.freeze import unfreeze as release

    raise typer.Exit(release(_settings(), number))


@app.command()
def outbox(
    resend: Annotated[bool, typer.Option("--resend", help="Send those given up again.")] = False,
) -> None:
    """List the receipts that could not be sent; exits with 1 if there are any."""
    from operations import outbox as receipts

    settings = _settings()
    raise typer.Exit(receipts.resend(settings) if resend else receipts.show(settings))


@payments.callback()
def show_payments(context: typer.Context) -> None:
    """List the payments that somebody has to look into; exits with 1 if there are any."""
    from operations.payments import show

    if context.invoked_subcommand is None:
        raise typer.Exit(show(_settings()))


@payments.command("credit")
def credit_deposit(reference: Reference) -> None:
    """Credit a deposit that was paid after it had failed, once, if Paystack says so."""
    from operations.payments import credit

    raise typer.Exit(credit(_settings(), reference))


@payments.command("end")
def end_payout(reference: Reference, how: PayoutEnd, note: Note) -> None:
    """End a payout in doubt, unless Paystack contradicts: as paid out, or back in the wallet."""
    from operations.payments import end

    raise typer.Exit(end(_settings(), reference, how, note))


@payments.command("clear")
def clear_payment(reference: Reference, note: Note) -> None:
    """Be done with what a payment needed, once you have seen to it."""
    from operations.payments import clear

    raise typer.Exit(clear(_settings(), reference, note))


@app.command()
def version() -> None:
    """Print the version."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        typer.echo(f"wallet {tomllib.load(file)['project']['version']}")


@keys.command("create")
def create_key(
    permissions: Annotated[str, typer.Option(help="What it may do; several with commas.")],
    name: Annotated[str, typer.Option(help="What it is for.")] = "service",
    expires: Annotated[str, typer.Option(help="1H, 1D, 1M, 1Y or never.")] = "1Y",
) -> None:
    """Make an API key of the house's and print it, once."""
    from operations.keys import create

    made = create(_settings(), permissions=permissions, name=name, expires=expires)
    raise typer.Exit(made)


@keys.command("list")
def list_keys() -> None:
    """List all API keys, without their secrets."""
    from operations.keys import show

    raise typer.Exit(show(_settings()))


@keys.command("revoke")
def revoke_key(
    key_id: Annotated[
        int, typer.Argument(metavar="ID", min=1, max=2**63 - 1, help="As `list` shows it.")
    ],
) -> None:
    """End an API key, at once and for good."""
    from operations.keys import revoke

    raise typer.Exit(revoke(_settings(), key_id))


@assets.command("list")
def list_assets() -> None:
    """List the kinds of credits there are."""
    from operations.assets import show

    raise typer.Exit(show(_settings()))


@assets.command("add")
def add_asset(
    code: Annotated[str, typer.Argument(help="2 to 8 capital letters.")],
    name: Annotated[str, typer.Argument(help="What people call it.")],
    scale: Annotated[int, typer.Option(help="How many decimals it has.")] = 0,
) -> None:
    """Add a kind of credits. It can never be changed or taken away."""
    from operations.assets import add

    raise typer.Exit(add(_settings(), code=code, name=name, scale=scale))


@bench.callback()
def measure(
    context: typer.Context,
    seconds: Annotated[float, typer.Option(min=0.1, help="How long each measurement takes.")] = 4,
    rounds: Annotated[int, typer.Option(min=1, help="How often each is repeated.")] = 5,
    only: Annotated[
        list[str] | None,
        typer.Option(help="Only scenarios with this in their name; may be given several times."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(help="Where results go; a whole run's go to docs/performance by themselves."),
    ] = None,
) -> None:
    """Measure the wallet beside other ways to do the same. Ctrl-C ends it."""
    from bench.run import run as take

    if context.invoked_subcommand is None:
        raise typer.Exit(take(seconds=seconds, rounds=rounds, only=only or [], output=output))


@bench.command()
def grow(
    entries: Annotated[
        int, typer.Option(min=10_000, help="How many entries the ledger has at last.")
    ] = 10_000_000,
    engine: Engine = "postgresql",
    seconds: Annotated[float, typer.Option(min=0.1, help="How long postings are measured.")] = 4,
    rounds: Annotated[int, typer.Option(min=1, help="How often each is repeated.")] = 5,
    output: Annotated[
        Path | None,
        typer.Option(help="Where results go; a whole run's go to docs/performance by themselves."),
    ] = None,
) -> None:
    """Measure how the wallet behaves as its ledger grows tenfold, step by step."""
    from bench.growth import run as growth

    plan = growth.Plan(entries=entries, engine=engine, seconds=seconds, rounds=rounds)
    raise typer.Exit(growth.grow(plan, output))


@bench.command()
def memory(
    transfers: Annotated[int, typer.Option(min=1000, help="How many are made.")] = 1_000_000,
    minutes: Annotated[float, typer.Option(min=0.1, help="The longest it may take.")] = 30,
    output: Annotated[
        Path | None,
        typer.Option(help="Where results go; a whole run's go to docs/performance by themselves."),
    ] = None,
) -> None:
    """Measure how much memory an API process holds after many transfers."""
    from bench.growth.memory import memory as measure_memory

    raise typer.Exit(measure_memory(wanted=transfers, minutes=minutes, output=output))


def _settings() -> "Settings":
    """The settings, or one clear line and exit code 2."""
    from config import SettingsError, load_settings

    try:
        return load_settings()
    except SettingsError as error:
        typer.echo(error, err=True)
        raise typer.Exit(2) from None


def _become(module: str, *arguments: str) -> None:
    """Replaces this process, so that signals and the exit code are the module's own."""
    os.execv(sys.executable, [sys.executable, "-m", module, *arguments])  # noqa: S606 - no shell


if __name__ == "__main__":
    # Relative paths, such as the default database's, are relative to the checkout.
    os.chdir(ROOT)
    app(prog_name="./wallet")
