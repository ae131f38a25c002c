"""The paper `san`: an autoencoder hides an attribute of a face."""
