"""Tables, engines and the transaction boundary."""
