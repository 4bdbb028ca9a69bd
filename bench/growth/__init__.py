"""How the wallet behaves as its ledger and its uptime grow; see `./wallet bench --help`."""
