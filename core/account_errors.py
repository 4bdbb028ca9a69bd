"""What can be refused of further accounts and of credits; the rest is in `core.errors`."""

from core.errors import WalletError


class AccountNotFound(WalletError):
    """404: the caller has no open account with this number."""

    status, code, title = 404, "account_not_found", "Account not found"
    detail = "You have no open account with this number; GET /accounts lists yours."


class TransferNotFound(WalletError):
    """404: no such transfer, or the caller has no part in it."""

    status, code, title = 404, "transfer_not_found", "Transfer not found"
    detail = "There is no transfer of yours with this id."


class TooManyAccounts(WalletError):
    """409: the caller has as many open accounts as one may have."""

    status, code, title = 409, "too_many_accounts", "Too many accounts"
    detail = "You have 100 open accounts; close one that is empty first."


class AssetNotTransferable(WalletError):
    """422: what the account holds stays with its holder."""

    status, code, title = 422, "asset_not_transferable", "Asset not transferable"
    detail = "What this account holds cannot be transferred."


class AssetNotWithdrawable(WalletError):
    """422: what the account holds neither comes from the outside world nor goes there."""

    status, code, title = 422, "asset_not_withdrawable", "Asset not withdrawable"
    detail = "What this account holds cannot be deposited or withdrawn."


class AssetNotFound(WalletError):
    """404: there are no such credits."""

    status, code, title = 404, "asset_not_found", "Asset not found"
    detail = "There are no credits with this asset_type_id; GET /api/v1/assets lists them."


class AssetExists(WalletError):
    """409: another asset has this code."""

    status, code, title = 409, "asset_exists", "Asset exists"
    detail = "Another asset has this code; choose another code."


class CreditUserNotFound(WalletError):
    """404: nobody of this name was ever given credits."""

    status, code, title = 404, "user_not_found", "User not found"
    detail = "There is no user with this id; the first top-up or bonus makes one."
