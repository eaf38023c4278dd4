"""The rules of calls, one test for each line of protocol §2.3 and §2.4."""
