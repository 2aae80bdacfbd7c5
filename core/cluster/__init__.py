"""The app's side of a Ray cluster: what its nodes run. The app itself never imports it, nor Ray."""
