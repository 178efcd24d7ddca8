"""Accounts, their health, and the pools that hand them out."""
