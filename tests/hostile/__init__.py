"""Input that means harm: through links, without a browser, and a little of it in Chromium."""
