"""The rule of an upload: who overrides whom, and who is screened."""
