"""Whole glaciers: plan the blocks, work on them in parallel, stream results, survive a crash."""
