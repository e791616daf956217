"""Rounds of speculative decoding drawn one by one: laws, policies, requests and traces."""
