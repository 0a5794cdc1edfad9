"""Providers to sign in with: one that others wrote and certified, and one that lies as a test says."""
