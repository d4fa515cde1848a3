"""Speed-ups and slow-downs in a series: when they began, when they were at their most, when they ended."""
