"""What the business means: money, postings, the ledger, people. No HTTP, no Redis, no provider."""
