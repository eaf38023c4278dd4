"""What an operator lives with: certificates and start-up files."""
