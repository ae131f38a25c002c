"""What attacks are built from: learners, matchers, decoders, and their scores."""
