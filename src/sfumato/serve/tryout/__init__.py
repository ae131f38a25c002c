"""The filter tried on three folders of pictures: what an engineer runs first."""
