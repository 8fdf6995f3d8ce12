"""What `hwsim map` says, writes and refuses."""
