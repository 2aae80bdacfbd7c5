"""The views of the page Por dentro."""
