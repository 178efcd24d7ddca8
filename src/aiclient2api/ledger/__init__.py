"""What was used, booked exactly once: records that survive a kill, and the roll-ups they add up to."""
