"""What a file holds, what the delegate takes of it, and what looks wrong."""
