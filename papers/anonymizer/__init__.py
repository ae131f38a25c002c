"""The paper `anonymizer`: its data, methods, assessment and figures."""
