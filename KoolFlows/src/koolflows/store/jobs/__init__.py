"""What service tasks have to do: the outbox."""
