"""The test of non-interference: two databases that differ in protected values only, and whoever talks to them through
the proxy must be sent the same bytes by both. What differs tells a protected value, whatever statement brought it out.
"""
