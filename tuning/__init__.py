"""The search for settings: any setting of any job over ranges, one experiment run a trial."""
