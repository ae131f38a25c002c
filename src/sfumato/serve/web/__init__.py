"""The pages of the filter service: what a person does with it in a browser."""
