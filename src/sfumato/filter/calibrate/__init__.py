"""What a backbone can do, measured on public pictures before it blocks anything."""
