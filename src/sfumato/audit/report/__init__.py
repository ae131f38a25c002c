"""What an audit shows: verdicts, a page, plots, a card, a gate, a comparison."""
