"""What a score is worth: standard errors, intervals, tests, rankings, sample sizes."""
