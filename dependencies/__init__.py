"""Who is asking, what may they do, what did they send, and the services that answer them."""
