"""Messages on their way: what they say, how they are signed and sent, and the outbox from which they are."""
