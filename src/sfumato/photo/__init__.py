"""Whole photographs and videos: every face is found, protected in its place and blended back."""
