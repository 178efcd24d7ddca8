"""Observers: metrics and logs. They are told what happened and change nothing."""
