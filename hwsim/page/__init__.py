"""Runs as one page of HTML that needs nothing else: `hwsim report`."""
