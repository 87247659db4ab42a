"""Interpreters: with the delegate for users; with every tensor kept for calibration."""
